"""An export in bulk, how far it is written, and its files."""

from datetime import datetime
from typing import Literal

import msgspec

from service.access.model import Actor
from service.values import Id

Level = Literal["system", "patient", "group"]
State = Literal["running", "done", "failed", "cancelled"]


class Wish(msgspec.Struct, frozen=True):
    """What a client asks for. `group`: the organisation and the need code of a Group. `persons`: these alone.
    `base`: the address of the surface at which it was asked for, no slash at its end; `request`: what was asked there."""

    level: Level
    types: tuple[str, ...]
    base: str
    request: str
    since: datetime | None = None
    group: tuple[Id, str] | None = None
    persons: tuple[Id, ...] | None = None


class Cursor(msgspec.Struct, frozen=True):
    """How far an export is written: its stage, within it the last person done (where it goes by persons), and the last row
    behind that."""

    stage: int = 0
    person: Id | None = None
    row: str | None = None


class Export(msgspec.Struct, frozen=True):
    """An export as it stands. `transaction_time` is empty until a worker has begun it; `rows` were written so far."""

    id: Id
    actor: Actor
    wish: Wish
    state: State
    asked_at: datetime
    transaction_time: datetime | None
    cursor: Cursor
    rows: int
    stumbles: int
    expires_at: datetime | None


class File(msgspec.Struct, frozen=True):
    """A file of an export: its type, its number among those of that type, how many lines and octets it has, in how many
    pieces."""

    type: str
    number: int
    rows: int
    size: int
    parts: int


class Page(msgspec.Struct, frozen=True):
    """A piece of a file as it is stored: `content` is its NDJSON, deflated; `size` the octets of it before. `persons`: who is in it,
    kept for an agency alone."""

    type: str
    rows: int
    size: int
    content: bytes
    persons: tuple[Id, ...] = ()
