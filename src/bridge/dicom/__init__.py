"""The standard's own words: UIDs, codes, statuses, character sets, headers. No network, no file of ours."""
