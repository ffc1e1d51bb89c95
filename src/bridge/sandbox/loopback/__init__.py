"""What the clouds of the sandbox have in common: TLS origins on loopback, a clock that moves, faults, line files."""
