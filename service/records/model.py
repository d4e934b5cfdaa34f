"""A resource as received, and what is known of a file."""

from datetime import datetime
from typing import Literal

import msgspec

from service.records.scanning import Verdict
from service.values import Id

Category = Literal[
    "identity", "request", "supporting", "message", "work", "case-note", "supervision", "safety", "setting"
]
"""Who may read a record besides its author: `supporting` the agency disclosed to, `message` both sides, `work` the
hospital when it is returned as an output, `case-note` and `safety` nobody else, `supervision` nobody at all, the platform
included, `setting` everyone."""


class Record(msgspec.Struct, frozen=True):
    """One version of a resource; `body` is its JSON as received. `returned`: given back to the hospital."""

    id: Id
    version: int
    type: str
    category: Category
    author: Id
    body: bytes
    at: datetime
    hospital: Id | None = None
    agency: Id | None = None
    patient: Id | None = None
    referral: Id | None = None
    task: Id | None = None
    returned: bool = False
    status: str | None = None
    code: str | None = None

    def readable(self, organization: Id) -> bool:
        """Whether one whose scope shows it may read it, too: a supervision note by who wrote it alone."""
        return self.category != "supervision" or self.author == organization


class Attachment(msgspec.Struct, frozen=True):
    """What is known of a file. `context_type` and `context` name the resource whose readers read it; without one, only its
    author does. `agency` is set where the context is a Task."""

    id: Id
    author: Id
    media_type: str
    octets: int
    sha256: bytes
    at: datetime
    context_type: str | None = None
    context: Id | None = None
    hospital: Id | None = None
    agency: Id | None = None
    patient: Id | None = None
    referral: Id | None = None
    scan: Verdict = "unasked"
    """What the scanner said of its content: nobody reads one that is pending or infected."""
    scan_at: datetime | None = None
    """When a pending one is looked at again."""


InboxState = Literal["applied", "recorded", "parked", "replayed", "dropped"]
"""What became of a message: `recorded` told nothing newer, `parked` waits for a person, `replayed` was parked once."""


class Fault(msgspec.Struct, frozen=True):
    """Why a message is parked: a word for programs, where in the message, and what to do; no person's data in any of it."""

    key: str
    place: str | None
    text: str


class Message(msgspec.Struct, frozen=True):
    """A message of HL7 v2 as it came in. `sender`: its name in the configuration; `body` is None once it is forgotten;
    `mends`: the parked message of which this is the mended text."""

    id: Id
    sender: str
    hospital: Id | None
    control_id: str
    digest: bytes
    event: str
    received_at: datetime
    state: InboxState
    answer: bytes
    event_at: datetime | None = None
    fault: Fault | None = None
    body: bytes | None = None
    patient: Id | None = None
    stay: Id | None = None
    mends: Id | None = None
    handled_at: datetime | None = None
