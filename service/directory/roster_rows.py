"""Decides what the rows of a roster say: who is on duty for whom, from when to when, and where a page reaches them."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from service.directory.duty import Person, Shift
from service.directory.model import PLACERS, TAKERS, Known, KnownOrganization, Worker
from service.directory.rows import Once, Row, named
from service.values import Id, new_id

EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def read(
    rows: Sequence[Row], known: Known, everyone: Mapping[str, KnownOrganization], workers: Sequence[Worker]
) -> tuple[Shift, ...]:
    """The shifts of a roster; each fault is noted with its row."""
    once, found = Once(), list[tuple[Row, Shift]]()
    staff = dict(known.workers) | {worker.key: (worker.id, worker.agency) for worker in workers}
    for row in rows:
        on = named(
            row, "organization", everyone, lambda o: o.kind in (*PLACERS, *TAKERS, "platform"),
            "a hospital, campus, agency, station, room or the platform",
        )  # fmt: skip
        begins, ends = row.instant("from"), row.instant("to")
        if begins and ends and ends <= begins:
            row.fault("to", "is not after from")
            ends = None
        first = _person(row, "first", on, staff)
        second = _person(row, "second", on, staff) if any(_cells(row, "second")) else None
        if first and second and (first.email, first.webhook) == (second.email, second.webhook):
            row.fault("second", "is reached where the first is: a second person has an address of their own")
        if on is None or begins is None or ends is None or first is None:
            continue
        if once.check(row, "from", (on.id, begins), f"the shift of {on.key} from {row.cells['from']}"):
            held = known.shifts.get((on.id, begins))
            id = held[0] if held else new_id()
            found.append((row, Shift(id, on.id, begins, ends, first, second, row.flag("active", True))))
    _apart([(row, shift) for row, shift in found if shift.active], known)
    return tuple(shift for _, shift in found)


def _cells(row: Row, who: str) -> list[str]:
    return [row.cells.get(f"{who}{part}", "") for part in ("", "_worker", "_email", "_webhook", "_phone")]


def _person(row: Row, who: str, on: KnownOrganization | None, staff: Mapping[str, tuple[Id, Id]]) -> Person | None:
    name, key = row.text(who, 50), row.text(f"{who}_worker", 64)
    email, webhook = row.text(f"{who}_email", 254), row.text(f"{who}_webhook", 1000)
    if not name:
        if who == "second":
            row.fault(who, "is empty, but there is more about a second person")
        return None
    worker = staff.get(key)
    if key and (worker is None or (on and worker[1] != on.id)):
        row.fault(f"{who}_worker", "is not the key of a worker of this organization")
    if email and not EMAIL.fullmatch(email):
        row.fault(f"{who}_email", "is not an address such as duty@hospital.example")
    if webhook and not _is_url(webhook):
        row.fault(f"{who}_webhook", "is not a URL such as https://pager.example/duty, without name and password")
    if not (email or webhook):
        row.fault(f"{who}_email", f"nobody can page them: fill {who}_email or {who}_webhook")
    return Person(
        name, worker[0] if worker else None, email or None, webhook or None, row.text(f"{who}_phone", 40) or None
    )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:
        return False
    return bool(sound) and "@" not in parts.netloc and text.isascii() and text.isprintable() and " " not in text


def _apart(found: Sequence[tuple[Row, Shift]], known: Known) -> None:
    """Of two shifts of one organisation at the same time nobody can tell who is paged."""
    replaced = {(shift.organization, shift.begins) for _, shift in found}
    spans: list[tuple[Id, datetime, datetime, str]] = [
        (organization, begins, ends, "a shift that is there")
        for (organization, begins), (_, ends, active) in known.shifts.items()
        if active and (organization, begins) not in replaced
    ]
    for row, shift in found:
        for organization, begins, ends, where in spans:
            if organization == shift.organization and begins < shift.ends and shift.begins < ends:
                row.fault("from", f"overlaps with {where}")
                break
        spans.append((shift.organization, shift.begins, shift.ends, f"the shift at {row.where}"))
