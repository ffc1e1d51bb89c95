"""The whole error tree on one page. The type says who can do something about it.

    BridgeError       code, found, expected, what to do; never a patient value
    ├─ ConfigError    file, line, key, nearest spelling          -> start refuses
    ├─ Refused        the input cannot or must not be processed  -> job ends, numbers kept
    ├─ Held           a person must decide                       -> waits, visible
    ├─ TryLater       after how long, until when                 -> retried, for days if need be
    │  └─ Unsure      the effect may have happened               -> look first, then repeat
    ├─ Never          the other side says no for good            -> shown, not retried
    ├─ Unauthorized   token or certificate                       -> alert, queue paused
    └─ Damaged        what we hold or got fails its check        -> kept aside, alert

Only `flow` turns these into waiting, holding and ending. Texts of pydicom, pynetdicom, highdicom and httpx
quote values of attributes: around those libraries raise `... from None`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class BridgeError(Exception):
    """What was found, what was expected, what to do. Numbers and keywords, never a value of a patient."""

    kind: ClassVar[str] = "error"

    def __init__(
        self,
        code: str,
        found: str,
        expected: str = "",
        remedy: str = "",
        numbers: Mapping[str, float | int | str] | None = None,
    ) -> None:
        self.code = code
        self.found = found
        self.expected = expected
        self.remedy = remedy
        self.numbers = dict(numbers or {})
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """The one sentence that log, command line, report and page show alike."""
        text = self.found
        if self.expected:
            text += f"; expected {self.expected}"
        if self.remedy:
            text += f". {self.remedy}"
        return text

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "code": self.code, "reason": self.sentence(), "numbers": self.numbers}

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross from child processes by pickle; the default would call __init__ with one argument.
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(cls: type[BridgeError], state: dict[str, Any]) -> BridgeError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    Exception.__init__(error, error.sentence())
    return error


class ConfigError(BridgeError):
    """A configuration file asks for something that cannot be. Points at file, line, column and key.

    `others`: the further problems of the same file, in the order of their lines; the sentence is of this one only.
    """

    kind = "config"

    def __init__(
        self,
        code: str,
        found: str,
        expected: str = "",
        remedy: str = "",
        *,
        file: str = "",
        line: int = 0,
        column: int = 0,
        key: str = "",
        others: tuple[ConfigError, ...] = (),
    ) -> None:
        self.file, self.line, self.column, self.key = file, line, column, key
        self.others = others
        super().__init__(code, found, expected, remedy)

    def sentence(self) -> str:
        places = [str(one) for one in (self.file, self.line, self.column) if one]
        where = f"{':'.join(places)}: " if places else ""
        key = f"{self.key}: " if self.key else ""
        return where + key + super().sentence()


class Refused(BridgeError):
    """This input cannot or must not be processed."""

    kind = "refused"


class Held(BridgeError):
    """A person must decide."""

    kind = "held"


class TryLater(BridgeError):
    """Not now. `after_s`: the other side's wish in seconds, if it told one. `tries`: after so many it is no use."""

    kind = "try-later"

    def __init__(
        self,
        code: str,
        found: str,
        expected: str = "",
        remedy: str = "",
        numbers: Mapping[str, float | int | str] | None = None,
        *,
        after_s: float | None = None,
        tries: int | None = None,
    ) -> None:
        self.after_s = after_s
        self.tries = tries
        super().__init__(code, found, expected, remedy, numbers)


class Unsure(TryLater):
    """The effect may have happened: look before repeating."""

    kind = "unsure"


class Never(BridgeError):
    """The other side says no for good."""

    kind = "never"


class Unauthorized(BridgeError):
    """A token or certificate is missing, wrong or spent."""

    kind = "unauthorized"


class Damaged(BridgeError):
    """What we hold or were given fails its check."""

    kind = "damaged"
