"""`[accounts.NAME.options]` of an account at Grand Challenge."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.errors import ConfigError
from bridge.platforms.protocol import Account


class Options(BaseModel):
    """Paces in seconds; sizes in MiB. Defaults suit the public site."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    poll_first_s: float = Field(default=5.0, gt=0)
    """Between looks at a job in its first half minute: bad input ends it at once."""
    poll_s: float = Field(default=15.0, gt=0)
    """Between looks after that; a tenth of the algorithm's usual duration where that is longer."""
    poll_longest_s: float = Field(default=120.0, gt=0)
    part_mib: int = Field(default=16, ge=5, le=5120)
    """S3 takes parts of 5 MiB to 5 GiB."""
    parallel_parts: int = Field(default=4, ge=1, le=32)
    retry_s: float = Field(default=1.0, ge=0)
    """Before parts that did not arrive are sent again; doubles each round."""


def options_of(account: Account) -> Options:
    """Raises ConfigError: GC-001, names the keys that are unknown or out of range."""
    try:
        return Options.model_validate(account.options)
    except ValidationError as error:
        wrong = sorted({str(problem["loc"][0]) for problem in error.errors(include_input=False)})
        raise ConfigError(
            "GC-001",
            f"options that are unknown or out of range: {', '.join(wrong)}",
            "some of " + ", ".join(Options.model_fields),
            key=f"accounts.{account.name}.options",
        ) from None
