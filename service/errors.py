"""The one tree of errors; each protocol maps it once.

YuansheError
├── SetupError          the operator must mend the environment (one clear line, exit 2)
└── Refusal             the caller is told why; nothing was stored
    ├── Malformed           400  cannot be read at all
    ├── Unauthenticated     401  nobody we know
    ├── Forbidden           403  known, but may not
    ├── NotFound            404  absent, or the caller may not know of it
    ├── Gone                410  was there once
    ├── NotAcceptable       406  an answer in that form is not to be had
    ├── Conflict            409  somebody was first (`duplicate`, `conflict`, `taken`, …)
    ├── Stale               412  the version named is not the current one
    ├── TooLarge            413  over a limit, which is named
    ├── UnsupportedMedia    415  a body in a form that is not read
    ├── Invalid             422  read, understood, and against a rule
    ├── TooEarly            425  the same is being done at this moment
    ├── TooMany             429  slow down
    └── Unavailable         503  the database is away; try again
"""

from collections.abc import Sequence

import msgspec


class Issue(msgspec.Struct, frozen=True):
    """One thing that is wrong: `text` says what and how to mend it, `at` where (a path in the words of the caller's input).

    `code` is an issue type of the FHIR value set `issue-type`, the widest vocabulary in use for this. The text never holds
    a name, an identifier or free text of a person. `key` is a stable word for programs, where there is one.
    """

    text: str
    at: str | None = None
    code: str = "invalid"
    severity: str = "error"
    key: str | None = None


class YuansheError(Exception):
    """Root of everything that the project raises on purpose."""


class SetupError(YuansheError):
    """The environment must be mended by its operator; the message says how."""


class Refusal(YuansheError):
    """A request that is answered with a reason.

    `key` is a stable word for programs (`no-active-partnership`); `names` carries ids that the answer may show
    (for example the referral that a duplicate repeats).
    """

    code = "invalid"

    def __init__(
        self,
        text: str,
        *,
        at: str | None = None,
        code: str | None = None,
        key: str | None = None,
        issues: Sequence[Issue] = (),
        names: dict[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.key = key
        self.names = names or {}
        self.issues: tuple[Issue, ...] = tuple(issues) or (Issue(text, at, code or self.code),)


class Malformed(Refusal):
    code = "structure"


class Unauthenticated(Refusal):
    code = "login"


class Forbidden(Refusal):
    code = "forbidden"


class NotFound(Refusal):
    code = "not-found"


class Gone(Refusal):
    code = "deleted"


class NotAcceptable(Refusal):
    code = "not-supported"


class Conflict(Refusal):
    code = "conflict"


class Stale(Refusal):
    code = "conflict"


class TooLarge(Refusal):
    code = "too-long"


class UnsupportedMedia(Refusal):
    code = "not-supported"


class Invalid(Refusal):
    code = "business-rule"


class TooEarly(Refusal):
    code = "transient"


class TooMany(Refusal):
    """`wait` is in how many seconds there is room again."""

    code = "throttled"

    def __init__(self, text: str, *, wait: float = 1.0, at: str | None = None) -> None:
        super().__init__(text, at=at)
        self.wait = wait


class Unavailable(Refusal):
    code = "transient"
