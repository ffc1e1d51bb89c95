"""`[accounts.NAME.options]` of an account at the Virtual Patient Engine."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.errors import ConfigError
from bridge.platforms.network import Network
from bridge.platforms.protocol import Account
from bridge.results.output import MeshFrame

EXPLICIT = "explicit-little-endian"
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
OLD_ROUTE, ROUTE = "generic-job", "job"
_OLD = re.compile(r"v[12]")


class Options(BaseModel):
    """Paces in seconds. Defaults are those of the vendor's European region where it tells them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_id: str = Field(min_length=1)
    """Who we are; its secret is what stands in the account's token_file."""
    token_url: str = "https://vpengine.eu.auth0.com/oauth/token"
    """Where the token comes from; other regions have another."""
    audience: str = "virtualpatientengine.com"
    """What the token is for; without a scheme."""
    version: str = ""
    """Of the engine, as in its address, where a rule declares none."""
    create_route: Literal["auto", "job", "generic-job"] = "auto"
    """`auto`: `generic-job` for v1 and v2, `job` for every other version."""
    notify: Literal["auto", "put", "post"] = "auto"
    """How the end of an upload is told. `auto`: PUT, and POST where that is refused."""
    upload_headers: dict[str, str] = Field(
        default_factory=lambda: {"Content-Type": "application/octet-stream"}
    )
    """Sent with each upload; an Azure container wants `x-ms-blob-type = "BlockBlob"`."""
    upload_url_lifetime_s: float = Field(default=3600.0, gt=0)
    """An upload that is not begun by then takes a new address, and so a new job."""
    max_input_bytes: int = Field(default=5 << 30, ge=1)
    """A larger file is refused before anything is sent."""
    size_check: Literal["strict", "warn"] = "strict"
    """`warn`: a file that is not of the size the platform told counts all the same."""
    dicom_syntax: Literal["explicit-little-endian", "as-it-is"] = "explicit-little-endian"
    """In which compressed objects leave; the vendor does not say which transfer syntaxes it reads."""
    mesh_frame: MeshFrame = MeshFrame.LPS_MM
    """Axes and unit of what comes back; the vendor's documents do not say, nor does the file."""
    poll_s: float = Field(default=5.0, gt=0)
    """Between looks at a new job; grows by half each time."""
    poll_longest_s: float = Field(default=120.0, gt=0)
    connect_s: float | None = Field(default=None, gt=0)
    read_s: float | None = Field(default=None, gt=0)
    write_s: float | None = Field(default=None, gt=0)
    pool_s: float | None = Field(default=None, gt=0)
    breaker_failures: int = Field(default=8, ge=1)
    breaker_s: float = Field(default=15.0, gt=0)
    breaker_longest_s: Annotated[float, Field(gt=0)] = 900.0

    def network(self) -> Network:
        return Network(
            connect_s=self.connect_s,
            read_s=self.read_s,
            write_s=self.write_s,
            pool_s=self.pool_s,
            breaker_failures=self.breaker_failures,
            breaker_s=self.breaker_s,
            breaker_longest_s=self.breaker_longest_s,
        )

    def route(self, version: str) -> str:
        """The one that makes a job. The other is never tried: 404 may mean a wrong version as well."""
        if self.create_route != "auto":
            return self.create_route
        return OLD_ROUTE if _OLD.fullmatch(version) else ROUTE


def options_of(account: Account) -> Options:
    """Raises ConfigError: VPE-001, names the keys that are missing, unknown or out of range."""
    try:
        return Options.model_validate(account.options)
    except ValidationError as error:
        wrong = sorted({str(problem["loc"][0]) for problem in error.errors(include_input=False)})
        raise ConfigError(
            "VPE-001",
            f"options that are missing, unknown or out of range: {', '.join(wrong)}",
            "client_id, and some of "
            + ", ".join(name for name in Options.model_fields if name != "client_id"),
            key=f"accounts.{account.name}.options",
        ) from None
