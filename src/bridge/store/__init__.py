"""What do we hold? Index tables, instance files, job rows: the truth, kept in files of ours."""
