"""`[accounts.NAME.options]` of an account at Grand Challenge."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.errors import ConfigError
from bridge.platforms.network import Network
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
    validating_warn_s: float = Field(default=1800.0, gt=0)
    """A job that is validated for longer is said to be slow, and looked at seldom."""
    validating_longest_s: float = Field(default=50 * 3600.0, gt=0)
    """After so long it counts as failed: the platform tries for two days, and an import may take two hours."""
    compare_inputs: bool = True
    """Compare the platform's own copy of each volume with ours before its outputs count."""
    connect_s: float | None = Field(default=None, gt=0)
    """To reach a host; without it 15 s, or the account's `timeout_s` where that is less."""
    read_s: float | None = Field(default=None, gt=0)
    """Between two pieces of an answer; without it `timeout_s`."""
    write_s: float | None = Field(default=None, gt=0)
    """Between two pieces of a request; without it `timeout_s`."""
    pool_s: float | None = Field(default=None, gt=0)
    """For a free connection; without it `timeout_s`."""
    breaker_failures: int = Field(default=8, ge=1)
    """After so many failures in a row a host is left alone."""
    breaker_s: float = Field(default=15.0, gt=0)
    """For so long at first; twice as long after each attempt that fails."""
    breaker_longest_s: float = Field(default=900.0, gt=0)
    """And at most for so long."""

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
