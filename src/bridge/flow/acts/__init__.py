"""What a person asks of a job while the service runs: cancel, retry, rerun, release, adopt, lift the fence."""
