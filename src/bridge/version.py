"""The version, as a constant: reading package metadata costs five times the start of Python."""

__version__ = "0.1.0"
