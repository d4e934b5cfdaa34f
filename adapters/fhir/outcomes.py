"""Refusals and warnings as OperationOutcomes: the one place where the tree of errors becomes HTTP and FHIR."""

from collections.abc import Sequence
from typing import Any

from service.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    Issue,
    Malformed,
    NotAcceptable,
    NotFound,
    Refusal,
    Stale,
    TooEarly,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)

STATUS: dict[type[Refusal], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    NotAcceptable: 406,
    Conflict: 409,
    Gone: 410,
    Stale: 412,
    TooLarge: 413,
    UnsupportedMedia: 415,
    Invalid: 422,
    TooEarly: 425,
    TooMany: 429,
    Unavailable: 503,
}
"""The HTTP status of each kind of refusal; one of a kind not listed here is 422, the service's own rule."""


def status_of(refusal: Refusal) -> int:
    """The HTTP status that a refusal is answered with."""
    return next((STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS), 422)


def outcome(issues: Sequence[Issue], of: str = "") -> dict[str, Any]:
    """An OperationOutcome. `of`: the type that the places speak of where they do not say so themselves (`subject`).
    `diagnostics` is never used: what it would say could be a person's."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue, of) for issue in issues] or [ALL_OK]}


ALL_OK: dict[str, Any] = {
    "severity": "information",
    "code": "informational",
    "details": {
        "text": "By FHIR R4 and the profiles named all is well. What this network asks besides is told with mode=create, or when it is sent."
    },
}


KEY = "urn:yuanshe:issue"
"""System of the stable words by which a program tells issues apart."""


def _issue(issue: Issue, of: str) -> dict[str, Any]:
    found: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "details": {"text": issue.text}}
    if issue.key:
        found["details"]["coding"] = [{"system": KEY, "code": issue.key}]
    if issue.at:
        found["expression"] = [issue.at if not of or issue.at[0].isupper() else f"{of}.{issue.at}"]
    return found


def information(issues: Sequence[Issue], of: str = "") -> dict[str, Any]:
    """An OperationOutcome that goes along with a success: nothing in it is graver than a warning."""
    said = outcome(issues, of)
    for issue in said["issue"]:
        if issue["severity"] not in ("warning", "information"):
            issue["severity"] = "information"
    return said
