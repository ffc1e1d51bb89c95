"""The sandbox's own certificate authority."""

from __future__ import annotations

import ssl
from pathlib import Path

from bridge.errors import ConfigError


def certificate(ca_file: Path, host: str) -> ssl.SSLContext:
    """A context for a server on loopback and on `host`; the authority is written to `ca_file`.

    Raises ConfigError: SBX-001, the package `trustme` is missing.
    """
    try:
        import trustme
    except ImportError:
        raise ConfigError(
            "SBX-001",
            "the package trustme is not installed",
            "it, for the sandbox's certificate",
            "Install dicom-cloud-bridge[sandbox]",
        ) from None
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*dict.fromkeys(("127.0.0.1", "localhost", host))).configure_cert(context)
    return context
