"""Nouns of the directory, and the shapes in which plain files are loaded into it."""

from datetime import date, datetime
from typing import Literal

import msgspec

from service.directory.duty import Shift
from service.practice import Limit
from service.values import Id

Kind = Literal["platform", "hospital", "campus", "agency", "station", "room", "base"]
PLACERS = ("hospital", "campus")
"""Kinds that place referrals."""
TAKERS = ("agency", "station", "room")
"""Kinds that referrals are dispatched to; a base only incubates others."""
STAFFED = (*TAKERS, "base")
USCC = "urn:yuanshe:uscc"
"""Identifier system of the unified social credit code (GB 32100)."""


class Region(msgspec.Struct, frozen=True):
    """A division of GB/T 2260 or a street below one; `code` has no zeros of levels left open."""

    code: str
    name_zh: str
    name_en: str
    valid_from: date | None = None
    valid_to: date | None = None
    superseded_by: str | None = None


class Organization(msgspec.Struct, frozen=True):
    """A hospital, campus, agency, station, room, base, or the platform. `status` stands for the last five but the platform."""

    id: Id
    key: str
    kind: Kind
    name_zh: str
    name_en: str
    part_of: Id | None = None
    uscc: str | None = None
    region: str | None = None
    status: Literal["incubating", "accredited", "suspended"] | None = None
    ready: bool = True
    protection_qualified: bool = False
    co_supervised_by: Id | None = None
    phone: str | None = None
    email: str | None = None
    active: bool = True
    version: int = 1
    updated_at: datetime | None = None


CapacityStatus = Literal["capacity", "no-capacity", "waitlist", "additional-assessment-required"]


class Service(msgspec.Struct, frozen=True):
    """What an agency offers. `regions` are prefixes of region codes; `places` how many shares it takes at once."""

    id: Id
    key: str
    agency: Id
    name_zh: str
    name_en: str
    service_types: tuple[str, ...]
    needs: tuple[str, ...]
    regions: tuple[str, ...]
    populations: tuple[str, ...]
    languages: tuple[str, ...]
    capacity_status: CapacityStatus
    places: int
    confirmed_at: datetime
    active: bool = True
    version: int = 1
    updated_at: datetime | None = None


class Partnership(msgspec.Struct, frozen=True):
    """A hospital's agreement with an agency, in force from `valid_from` to `valid_to`, both days included."""

    id: Id
    hospital: Id
    agency: Id
    valid_from: date
    valid_to: date | None
    needs: tuple[str, ...]
    rank: int
    mode: Literal["sequence", "broadcast", "manual"]
    reply_limits: dict[str, Limit] | None
    departments: tuple[str, ...]
    version: int = 1
    updated_at: datetime | None = None


class Worker(msgspec.Struct, frozen=True):
    """A member of an agency's staff. Without a grade: not licensed. `certificate` is there for those who may read it."""

    id: Id
    key: str
    agency: Id
    name: str
    grade: Literal["assistant", "certified", "senior"] | None
    licensed_from: date | None
    licensed_to: date | None
    duty: bool = False
    supervisor: bool = False
    active: bool = True
    certificate: str | None = None
    version: int = 1
    updated_at: datetime | None = None
    away_since: datetime | None = None
    """Handed their work over and is not back: nobody names them for anything."""
    stand_in: Id | None = None


class Member(msgspec.Struct, frozen=True):
    """One of a team: a worker by id."""

    worker: Id
    duty: bool
    supervisor: bool


class Team(msgspec.Struct, frozen=True):
    """An agency's working staff as a team, derived: it bears the agency's id."""

    id: Id
    name_zh: str
    name_en: str
    active: bool
    members: tuple[Member, ...]
    version: int
    updated_at: datetime | None


class Table(msgspec.Struct, frozen=True):
    """A plain file as read: `name` of the table, `file` as the person knows it, its columns, its rows with line numbers."""

    name: str
    file: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


class KnownOrganization(msgspec.Struct, frozen=True):
    """What loading must know of an organisation that is already there."""

    id: Id
    key: str
    kind: str
    part_of: Id | None
    uscc: str | None
    status: str | None


class Known(msgspec.Struct, frozen=True):
    """What is in the directory before a load, so that files may refer to it and a second load changes nothing."""

    regions: frozenset[str] = frozenset()
    organizations: dict[str, KnownOrganization] = {}
    services: dict[str, tuple[Id, Id]] = {}
    """Key → (id, agency)."""
    workers: dict[str, tuple[Id, Id]] = {}
    """Key → (id, agency)."""
    partnerships: dict[tuple[Id, Id, date], Id] = {}
    """Hospital, agency, first day → id."""
    shifts: dict[tuple[Id, datetime], tuple[Id, datetime, bool]] = {}
    """Organisation, beginning → (id, end, whether it stands)."""


class Batch(msgspec.Struct, frozen=True):
    """Everything that files say, in the service's words, ready to be saved."""

    regions: tuple[Region, ...] = ()
    organizations: tuple[Organization, ...] = ()
    services: tuple[Service, ...] = ()
    partnerships: tuple[Partnership, ...] = ()
    workers: tuple[Worker, ...] = ()
    rosters: tuple[Shift, ...] = ()


class Tally(msgspec.Struct, frozen=True):
    """What a load did to one table, in rows."""

    table: str
    added: int
    changed: int
    unchanged: int
