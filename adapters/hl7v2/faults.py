"""Why a message is not applied, and how that is said: HL7's condition codes, and places in a message."""

from adapters.hl7v2.er7 import Unreadable
from service.errors import Invalid, Refusal
from service.records.model import Fault

CONDITIONS = {
    "segment-sequence": ("100", "Segment sequence error"),
    "required-field": ("101", "Required field missing"),
    "data-type": ("102", "Data type error"),
    "table-value": ("103", "Table value not found"),
    "message-type": ("200", "Unsupported message type"),
    "event-code": ("201", "Unsupported event code"),
    "processing-id": ("202", "Unsupported processing id"),
    "version": ("203", "Unsupported version id"),
    "unknown-key": ("204", "Unknown key identifier"),
    "duplicate-key": ("205", "Duplicate key identifier"),
    "locked": ("206", "Application record locked"),
    "internal": ("207", "Application internal error"),
}
"""HL7 table 0357."""

_OF = {
    "no-header": "segment-sequence",
    "delimiters": "required-field",
    "charset": "data-type",
    "no-identifier": "required-field",
    "unknown-sender": "unknown-key",
    "message-id-reused": "duplicate-key",
    "identity-conflict": "duplicate-key",
    "other-patient": "duplicate-key",
    "which-stay": "unknown-key",
    "stay-ended": "duplicate-key",
    "event-time": "data-type",
    "required": "required-field",
    "value": "data-type",
    "business-rule": "data-type",
    "code-invalid": "table-value",
    "conflict": "duplicate-key",
    "not-found": "unknown-key",
}

_PLACES = {
    "identifier": "PID^1^3",
    "birthDate": "PID^1^7",
    "stay": "PV1^1^19",
    "period.end": "PV1^1^45",
    "period.start": "PV1^1^44",
    "hospitalization.destination": "PV1^1^37",
    "link.other": "MRG^1^1",
}
"""Where in a message stands what a verb calls so."""


def wrong(key: str, text: str, at: str) -> Invalid:
    """What is wrong with a message, to be raised. `key`: of CONDITIONS, or a word of ours."""
    return Invalid(text, at=at, key=key)


def fault_of(refused: Exception) -> Fault:
    """A refusal as it is parked: its first issue, at a place of the message where there is one for it."""
    if isinstance(refused, Unreadable):
        return Fault(refused.key, refused.at, str(refused))
    if isinstance(refused, Refusal):
        issue = refused.issues[0]
        at = issue.at or ""
        place = at if at[:3].isupper() else next((hl7 for word, hl7 in _PLACES.items() if word in at), None)
        return Fault(refused.key or issue.code, place, issue.text)
    return Fault(
        "internal", None, "The service itself failed; its log says where. Replay the message once that is mended."
    )


def condition(key: str) -> tuple[str, str]:
    """The code and its words."""
    return CONDITIONS.get(key) or CONDITIONS[_OF.get(key, "internal")]
