"""What a problem of a configuration file says, without the file's name and the column."""

from __future__ import annotations

from bridge.errors import ConfigError


def said(error: ConfigError) -> str:
    """`7: rules.x.mode: missing. ...`"""
    return f"{error.line}: {str(error).partition(': ')[2]}"
