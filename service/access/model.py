"""Who acts: a client program, a person, whoever holds a link, or the service's own clock; and what is written down of each request."""

import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec

from service.db import Scope
from service.values import Id

Side = Literal["hospital", "agency", "platform", "auditor", "volunteer"]
"""Which side of a referral an actor stands on; `platform` is the coordinator. A volunteer stands on none: the visits that are
matched to them are all they see."""

ROLES: dict[str, Side] = {
    "hospital": "hospital",
    "referrer": "hospital",
    "interface": "hospital",
    "agency": "agency",
    "social_worker": "agency",
    "supervisor": "agency",
    "platform": "platform",
    "coordinator": "platform",
    "administrator": "platform",
    "auditor": "auditor",
    "volunteer": "volunteer",
}
"""Every role and its side; `interface` is a hospital's system that speaks HL7 v2. Client roles are hospital, agency, platform,
auditor, volunteer; the others are people's."""

CLIENT_ROLES = ("hospital", "agency", "platform", "auditor", "volunteer")
PERSON_ROLES = ("referrer", "social_worker", "supervisor", "coordinator", "administrator", "auditor", "volunteer")


class Actor(msgspec.Struct, frozen=True):
    """Who does it: `id` of a client, an account, or a link that an agency was sent; `organization` whose rows it may see; `role` a word of ROLES.

    `name` is shown in timelines (a client's or a person's working name). `scopes` are a client's granted SMART scopes.
    """

    id: Id
    kind: Literal["client", "person", "system", "link"]
    organization: Id
    role: str
    name: str
    scopes: tuple[str, ...] = ()
    worker: Id | None = None

    @property
    def side(self) -> Side:
        return ROLES[self.role]

    @property
    def administers(self) -> bool:
        """Whether this is a person who looks after the platform: they see what is late and where, and nobody by name."""
        return self.kind == "person" and self.role == "administrator"

    @property
    def scope(self) -> Scope:
        # The coordinator's own work is every referral; an auditor sees no patient rows at all, only the audit.
        account = self.id if self.kind == "person" else None
        if self.side == "volunteer":
            return Scope(None, self.role, account=account)
        return Scope(self.organization, self.role, platform=self.side == "platform", account=account)


def clock_actor(platform: Id) -> Actor:
    """The service itself: sweeps, expiry, reminders. `platform` is the platform's organisation."""
    return Actor(platform, "system", platform, "platform", "system")


NOBODY = uuid.UUID(int=0)


def operator() -> Actor:
    """Whoever may run the `yuanshe` command on the machine: it belongs to no organisation and has no account."""
    return Actor(NOBODY, "system", NOBODY, "administrator", "operator")


class NewClient(msgspec.Struct, frozen=True):
    """A program to be registered, with either its public keys (a JWK Set) or the https address that publishes them."""

    organization: Id
    role: str
    name: str
    scope: str
    jwks: dict[str, Any] | None = None
    jwks_url: str | None = None


class Client(msgspec.Struct, frozen=True):
    """A registered program. `client_id` is the name it gives itself, `id` ours."""

    id: Id
    client_id: str
    organization: Id
    role: str
    name: str
    scope: str
    jwks: dict[str, Any] | None
    jwks_url: str | None
    created_at: datetime
    revoked_at: datetime | None = None

    def actor(self, scopes: tuple[str, ...]) -> Actor:
        """The program at work with these granted scopes."""
        return Actor(self.id, "client", self.organization, self.role, self.name, scopes)


class Issued(msgspec.Struct, frozen=True):
    """A token handed out: shown once, never stored in clear. `seconds` is None where it lives as the database does."""

    token: str
    scope: str
    seconds: int | None


class NewAccount(msgspec.Struct, frozen=True):
    """A person of staff to be given an account. `worker` names them in the directory."""

    login: str
    role: str
    organization: Id
    name: str
    worker: Id | None = None


class Account(msgspec.Struct, frozen=True):
    """A person of staff who may sign in."""

    id: Id
    login: str
    role: str
    organization: Id
    worker: Id | None
    name: str
    active: bool

    @property
    def actor(self) -> Actor:
        return Actor(self.id, "person", self.organization, self.role, self.name, worker=self.worker)


class Named(msgspec.Struct, frozen=True):
    """A write to which its sender gave a name: SHA-256 of the name, and of everything that was asked under it."""

    name: bytes
    content: bytes


class Kept(msgspec.Struct, frozen=True):
    """An answer as it went out, in its protocol's own words, kept to be given again. `at`: when it was given."""

    status: int
    headers: dict[str, str]
    body: bytes
    at: datetime | None = None


LOOKS = frozenset(
    {
        "capabilities", "search", "history-type", "route", "status", "validate", "token", "events",
        "visits", "export", "export-status", "export-cancel", "export-file", "quality-time", "quality-time-entries",
        "quality-orphans", "quality-follow-up", "quality-mandatory-reports", "quality-coverage", "quality-readmissions",
        "answer-look",
    }
)  # fmt: skip
"""Executions that change no resource."""


class Call(msgspec.Struct):
    """One request, in the words of its audit line. Not frozen: a create learns its `resource_id` on the way.

    `action` is FHIR's audit-event-action: C, R, U, D or E (execute: a search, a transaction, an operation).
    `interaction` is the protocol's word (`read`, `search`, `transaction`); `resource_id` is never a number of a person.
    `answer` is what a request of that name (`named`) is answered from now on: kept with the line.
    """

    action: Literal["C", "R", "U", "D", "E"]
    interaction: str
    resource_type: str | None = None
    resource_id: Id | None = None
    request_id: str | None = None
    named: Named | None = None
    answer: Kept | None = None

    @property
    def writes(self) -> bool:
        """Whether it may change a resource; what only looks keeps no reader waiting (service/db/horizon.py)."""
        return self.action != "R" and self.interaction not in LOOKS


class AuditLine(msgspec.Struct, frozen=True):
    """What is written of one request: who, what, whose data, how it ended. No names, no free text."""

    id: Id
    at: datetime
    actor_id: Id
    actor_kind: str
    actor_role: str
    organization_id: Id
    action: str
    interaction: str
    resource_type: str | None
    resource_id: Id | None
    outcome: Literal["success", "refused", "error"]
    why: str | None
    request_id: str | None
    patients: tuple[Id, ...]
    referrals: tuple[Id, ...]
    platform_reasons: tuple[str, ...]


class Look(msgspec.Struct, frozen=True):
    """One request that touched a person: by which organisation, in which role, of which type of resource, when."""

    position: int
    at: datetime
    organization: Id
    role: str
    action: str
    interaction: str
    resource_type: str | None
    referrals: tuple[Id, ...]


class Link(msgspec.Struct, frozen=True):
    """An audit line's place in the chain."""

    line: AuditLine
    position: int
    chained_at: datetime
    previous_hash: bytes
    hash: bytes


class Break(msgspec.Struct, frozen=True):
    """The first place where the chain does not hold; `id` is None where a row is missing."""

    position: int
    id: Id | None
    what: str


class ChainReport(msgspec.Struct, frozen=True):
    """What a walk along the chain found: rows that hold, the last one's hash, rows not chained yet, the first break."""

    rows: int
    head: bytes
    unchained: int
    broken: Break | None = None
