"""Decides what the rows of plain files say, and what is wrong with each; every fault is told with its file and line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, get_args

import msgspec
from stdnum.cn import uscc

from service import codes
from service.directory import regions
from service.directory.model import (
    PLACERS,
    STAFFED,
    TAKERS,
    Batch,
    Kind,
    Known,
    KnownOrganization,
    Organization,
    Partnership,
    Region,
    Service,
    Table,
    Worker,
)
from service.errors import Issue
from service.practice import PLATFORM, Limit
from service.values import SHANGHAI, URGENCIES, Id, new_id

# Column → whether each row must fill it. The order of the tables is the order in which they refer to one another.
COLUMNS: dict[str, dict[str, bool]] = {
    "regions": {
        "code": True, "name_zh": True, "name_en": True, "valid_from": False, "valid_to": False, "superseded_by": False,
    },
    "organizations": {
        "key": True, "kind": True, "part_of": False, "name_zh": True, "name_en": True, "uscc": False, "region": False,
        "status": False, "ready": False, "protection_qualified": False, "co_supervised_by": False, "phone": False,
        "email": False, "active": False,
    },
    "services": {
        "key": True, "agency": True, "name_zh": True, "name_en": True, "service_types": True, "needs": True,
        "regions": True, "populations": False, "languages": False, "capacity_status": False, "places": True,
        "confirmed_at": False, "active": False,
    },
    "partnerships": {
        "hospital": True, "agency": True, "valid_from": True, "valid_to": False, "needs": True, "rank": True,
        "mode": False, "reply_limits": False, "departments": False,
    },
    "workers": {
        "key": True, "agency": True, "name": True, "grade": False, "certificate_no": False, "licensed_from": False,
        "licensed_to": False, "duty": False, "supervisor": False, "active": False,
    },
    "rosters": {
        "organization": True, "from": True, "to": True,
        "first": True, "first_worker": False, "first_email": False, "first_webhook": False, "first_phone": False,
        "second": False, "second_worker": False, "second_email": False, "second_webhook": False, "second_phone": False,
        "active": False,
    },
}  # fmt: skip

SURPLUS = ""
"""Where a reader of files puts cells beyond the last column."""

_YES_NO = {"": None, "yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_KEY = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


class Row:
    """One line of a file; a cell that cannot be read is noted, and reads as its default."""

    def __init__(self, table: Table, line: int, cells: dict[str, str], faults: list[Issue]) -> None:
        self.where = f"{table.file}:{line}"
        self.cells = {column: (cell or "").strip() for column, cell in cells.items()}
        self._required = COLUMNS[table.name]
        self._faults = faults

    def fault(self, column: str, text: str) -> None:
        self._faults.append(Issue(f"{column}: {text}", at=self.where))

    def text(self, column: str, limit: int = 200) -> str:
        cell = self.cells.get(column, "")
        if not cell and self._required[column]:
            self.fault(column, "is empty; every row must fill it")
        if len(cell) > limit:
            self.fault(column, f"is longer than {limit} characters")
        return cell

    def key(self, column: str = "key") -> str:
        cell = self.text(column, 64)
        if cell and not _KEY.issuperset(cell):
            self.fault(column, f"{cell!r} is not a key: lower-case letters, digits, '-', '_' and '.' only")
        return cell

    def flag(self, column: str, default: bool) -> bool:
        cell = self.text(column).lower()
        if cell not in _YES_NO:
            self.fault(column, "is neither yes nor no")
        found = _YES_NO.get(cell)
        return default if found is None else found

    def day(self, column: str) -> date | None:
        cell = self.text(column)
        if not cell:
            return None
        try:
            return date.fromisoformat(cell)
        except ValueError:
            self.fault(column, f"{cell!r} is not a date such as 2026-03-01")
            return None

    def instant(self, column: str) -> datetime | None:
        cell = self.text(column)
        if not cell:
            return None
        try:
            at = datetime.fromisoformat(cell)
        except ValueError:
            self.fault(column, f"{cell!r} is not a time such as 2026-03-01T08:00:00+08:00")
            return None
        return (at if at.tzinfo else at.replace(tzinfo=SHANGHAI)).astimezone(UTC)

    def number(self, column: str, low: int, high: int) -> int:
        cell = self.text(column)
        if cell.isascii() and cell.isdigit() and low <= int(cell[:9]) <= high:
            return int(cell[:9])
        if cell:
            self.fault(column, f"{cell!r} is not a number from {low} to {high}")
        return low

    def choice(self, column: str, options: Iterable[str], default: str | None = None) -> str | None:
        cell = self.text(column)
        if not cell:
            return default
        if cell not in options:
            self.fault(column, f"{cell!r} is none of {', '.join(options)}")
            return default
        return cell

    def words(self, column: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.text(column, 4000).split()))

    def codes(self, column: str, system: str) -> tuple[str, ...]:
        for code in (found := self.words(column)):
            if not codes.known(system, code):
                self.fault(column, f"{code!r} is no code of {system}")
        return found

    def days(self, first: str, last: str) -> tuple[date | None, date | None]:
        begins, ends = self.day(first), self.day(last)
        if begins and ends and ends < begins:
            self.fault(last, f"{ends} lies before {first} {begins}")
            ends = None
        return begins, ends

    def limits(self, column: str) -> dict[str, Limit] | None:
        """`stat=30 urgent=240w`: minutes by urgency, of working time where a `w` follows."""
        found: dict[str, Limit] = {}
        for word in self.words(column):
            urgency, _, minutes = word.partition("=")
            working = minutes.endswith("w")
            digits = minutes.removesuffix("w")
            if urgency not in URGENCIES or not (
                digits.isascii() and digits.isdigit() and 0 < int(digits[:9]) <= 100_000
            ):
                self.fault(column, f"{word!r} is not an urgency and minutes, such as stat=30 or urgent=240w")
            else:
                found[urgency] = Limit(int(digits), working)
        return found or None


def read(tables: Sequence[Table], known: Known, now: datetime) -> tuple[Batch, list[Issue]]:
    """What the files say, and all that is wrong with them, in the order of the files and lines.

    Nothing may be saved when there is any fault: what was read around a fault is not what was meant.
    """
    faults: list[Issue] = []
    for table in tables:
        _check_columns(table, faults)
    rows = {name: [row for table in tables if table.name == name for row in _rows(table, faults)] for name in COLUMNS}
    places = _regions(rows["regions"], known)
    region_codes = known.regions | {region.code for region in places}
    organizations, everyone = _organizations(rows["organizations"], known, region_codes)
    # Imported here, since it is written in the words of this module.
    from service.directory import roster_rows

    workers = _workers(rows["workers"], known, everyone)
    batch = Batch(
        places,
        organizations,
        _services(rows["services"], known, everyone, region_codes, now),
        _partnerships(rows["partnerships"], known, everyone),
        workers,
        roster_rows.read(rows["rosters"], known, everyone, workers),
    )
    order = {table.file: position for position, table in enumerate(tables)}
    return batch, sorted(faults, key=lambda issue: _place(issue, order))


def _place(issue: Issue, order: Mapping[str, int]) -> tuple[int, int]:
    file, _, line = (issue.at or "").rpartition(":")
    return order.get(file, -1), int(line or 0)


def _check_columns(table: Table, faults: list[Issue]) -> None:
    known = COLUMNS[table.name]
    if missing := [column for column, must in known.items() if must and column not in table.columns]:
        faults.append(Issue(f"the first line lacks the columns {', '.join(missing)}", at=f"{table.file}:1"))
    if unknown := [column for column in table.columns if column not in known]:
        faults.append(Issue(f"the first line has unknown columns: {', '.join(unknown)}", at=f"{table.file}:1"))
    if len(set(table.columns)) < len(table.columns):
        faults.append(Issue("the first line has a column twice", at=f"{table.file}:1"))


def _rows(table: Table, faults: list[Issue]) -> Iterator[Row]:
    if all(column in table.columns for column, must in COLUMNS[table.name].items() if must):
        for line, cells in table.rows:
            row = Row(table, line, cells, faults)
            if SURPLUS in cells:
                row.fault("row", "has more cells than the first line has columns")
            yield row


class Once:
    """Finds what stands twice, and says where it stood first."""

    def __init__(self) -> None:
        self._seen: dict[Any, str] = {}

    def check(self, row: Row, column: str, identity: Any, text: str) -> bool:
        first = self._seen.setdefault(identity, row.where)
        if first != row.where:
            row.fault(column, f"{text} stands already at {first}")
        return first == row.where


def _regions(rows: list[Row], known: Known) -> tuple[Region, ...]:
    once, found = Once(), list[tuple[Row, Region]]()
    for row in rows:
        code = row.text("code")
        begins, ends = row.days("valid_from", "valid_to")
        if not regions.well_formed(code):
            row.fault("code", f"{code!r} is not a region code of 2, 4, 6, 9 or 12 digits")
        elif regions.stripped(code) != code:
            row.fault("code", f"{code!r} has zeros for levels left open: write {regions.stripped(code)}")
        elif once.check(row, "code", code, code):
            region = Region(
                code, row.text("name_zh"), row.text("name_en"), begins, ends, row.text("superseded_by") or None
            )
            found.append((row, region))
    every = known.regions | {region.code for _, region in found}
    for row, region in found:
        if region.superseded_by and region.superseded_by not in every:
            row.fault("superseded_by", f"the region {region.superseded_by!r} is not known")
        if region.superseded_by == region.code:
            row.fault("superseded_by", "is the region itself")
    return tuple(region for _, region in found)


def _region(row: Row, column: str, code: str, known: frozenset[str]) -> None:
    if code not in known:
        row.fault(column, f"the region {code!r} is not known")


def _organizations(
    rows: list[Row], known: Known, region_codes: frozenset[str]
) -> tuple[tuple[Organization, ...], dict[str, KnownOrganization]]:
    once, found = Once(), list[tuple[Row, KnownOrganization]]()
    everyone = dict(known.organizations)
    platform = next((each for each in everyone.values() if each.kind == "platform"), None)
    for row in rows:
        key, kind = row.key(), row.choice("kind", get_args(Kind))
        if not key or kind is None or not once.check(row, "key", key, key):
            continue
        before = known.organizations.get(key)
        if before and before.kind != kind:
            row.fault("kind", f"{key} is a {before.kind} and cannot become a {kind}")
        if kind == "platform" and platform and platform.key != key:
            row.fault("kind", f"there is one platform, and it is {platform.key}")
        id = PLATFORM if kind == "platform" else before.id if before else new_id()
        status = row.choice("status", codes.LISTS[codes.AGENCY_STATUS].codes, "accredited")
        if kind not in STAFFED:
            if row.cells.get("status"):
                row.fault("status", f"a {kind} has none")
            status = None
        each = KnownOrganization(id, key, kind, None, row.text("uscc").upper() or None, status)
        everyone[key] = each
        platform = each if kind == "platform" else platform
        found.append((row, each))
    owners = {
        each.uscc: each.key for each in reversed(everyone.values()) if each.uscc and each.kind not in ("campus", "room")
    }
    read = tuple(_organization(row, each, everyone, owners, region_codes) for row, each in found)
    by_id = {each.id: each for each in everyone.values()} | {
        org.id: msgspec.structs.replace(everyone[org.key], part_of=org.part_of) for org in read
    }
    for (row, _), org in zip(found, read, strict=True):
        above, up = {org.id}, org.part_of
        while up is not None and up not in above:
            above.add(up)
            up = by_id[up].part_of
        if up is not None:
            row.fault("part_of", "goes round in a circle")
    return read, {each.key: each for each in by_id.values()}


def _organization(
    row: Row, it: KnownOrganization, everyone: dict[str, KnownOrganization], owners: dict[str, str], known: frozenset[str]
) -> Organization:  # fmt: skip
    above = named(row, "part_of", everyone, lambda _: True, "an organisation") if row.text("part_of") else None
    if above and above.key == it.key:
        row.fault("part_of", "is the organisation itself")
        above = None
    if it.kind == "campus" and (above is None or above.kind != "hospital"):
        row.fault("part_of", "a campus is part of a hospital; name it")
    if it.uscc:
        if not uscc.is_valid(it.uscc):
            row.fault("uscc", "is not a unified social credit code (18 characters, the last one checks the others)")
        elif it.kind not in ("campus", "room") and owners[it.uscc] != it.key:
            row.fault("uscc", f"belongs to {owners[it.uscc]} already")
    elif it.kind in ("hospital", "agency"):
        row.fault("uscc", f"a {it.kind} has one; fill it")
    if region := row.text("region"):
        _region(row, "region", region, known)
    helper = None
    if row.text("co_supervised_by"):
        helper = named(
            row, "co_supervised_by", everyone, lambda o: o.kind == "agency" and o.status == "accredited" and o.key != it.key,
            "another agency that is accredited",
        )  # fmt: skip
    return Organization(
        it.id, it.key, it.kind, row.text("name_zh"), row.text("name_en"), above.id if above else None, it.uscc,  # type: ignore[arg-type]
        region or None, it.status,  # type: ignore[arg-type]
        row.flag("ready", True), row.flag("protection_qualified", False), helper.id if helper else None,
        row.text("phone") or None, row.text("email") or None, row.flag("active", True),
    )  # fmt: skip


def named(
    row: Row, column: str, everyone: Mapping[str, KnownOrganization], fits: Callable[[KnownOrganization], bool], what: str
) -> KnownOrganization | None:  # fmt: skip
    """The organisation whose key stands in the column, if it is one of those that may."""
    key = row.text(column)
    found = everyone.get(key)
    if key and (found is None or not fits(found)):
        row.fault(column, f"{key!r} is not the key of {what}")
        return None
    return found


def _services(
    rows: list[Row], known: Known, everyone: dict[str, KnownOrganization], region_codes: frozenset[str], now: datetime
) -> tuple[Service, ...]:  # fmt: skip
    once, found = Once(), list[Service]()
    for row in rows:
        key = row.key()
        agency = named(row, "agency", everyone, lambda o: o.kind in TAKERS, "an agency, station or room")
        covered = row.words("regions")
        for region in covered:
            _region(row, "regions", region, region_codes)
        service = Service(
            known.services[key][0] if key in known.services else new_id(),
            key,
            agency.id if agency else PLATFORM,
            row.text("name_zh"),
            row.text("name_en"),
            row.codes("service_types", codes.SERVICE_TYPE),
            row.codes("needs", codes.NEED),
            covered,
            row.codes("populations", codes.POPULATION),
            row.words("languages"),
            row.choice("capacity_status", codes.LISTS[codes.CAPACITY_STATUS].codes, "capacity"),  # type: ignore[arg-type]
            row.number("places", 0, 100_000),
            row.instant("confirmed_at") or now,
            row.flag("active", True),
        )
        if agency and key in known.services and known.services[key][1] != agency.id:
            row.fault("agency", f"{key} belongs to another agency")
        if key and once.check(row, "key", key, key):
            found.append(service)
    return tuple(found)


def _partnerships(rows: list[Row], known: Known, everyone: dict[str, KnownOrganization]) -> tuple[Partnership, ...]:
    once, found = Once(), list[Partnership]()
    for row in rows:
        hospital = named(row, "hospital", everyone, lambda o: o.kind in PLACERS, "a hospital or campus")
        agency = named(row, "agency", everyone, lambda o: o.kind in TAKERS, "an agency, station or room")
        begins, ends = row.days("valid_from", "valid_to")
        needs, rank = row.codes("needs", codes.NEED), row.number("rank", 1, 999)
        mode = row.choice("mode", codes.LISTS[codes.DISPATCH_MODE].codes, "sequence")
        limits, departments = row.limits("reply_limits"), row.words("departments")
        if hospital is None or agency is None or begins is None:
            continue
        identity = (hospital.id, agency.id, begins)
        if once.check(row, "valid_from", identity, f"the partnership of {hospital.key} and {agency.key} from {begins}"):
            id = known.partnerships.get(identity) or new_id()
            found.append(
                Partnership(id, hospital.id, agency.id, begins, ends, needs, rank, mode, limits, departments)  # type: ignore[arg-type]
            )
    return tuple(found)


def _workers(rows: list[Row], known: Known, everyone: dict[str, KnownOrganization]) -> tuple[Worker, ...]:
    once, found = Once(), list[Worker]()
    for row in rows:
        key = row.key()
        agency = named(row, "agency", everyone, lambda o: o.kind in STAFFED, "an agency, station, room or base")
        begins, ends = row.days("licensed_from", "licensed_to")
        grade = row.choice("grade", codes.LISTS[codes.GRADE].codes)
        if grade and begins is None:
            row.fault("licensed_from", "a licensed worker has one; fill it")
        if not grade and (begins or ends):
            row.fault("grade", "is empty, but there are dates of a licence")
        if grade and not row.cells.get("certificate_no"):
            row.fault("certificate_no", "a licensed worker has one; fill it")
        if agency and key in known.workers and known.workers[key][1] != agency.id:
            row.fault("agency", f"{key} belongs to another agency")
        id: Id = known.workers[key][0] if key in known.workers else new_id()
        worker = Worker(
            id, key, agency.id if agency else PLATFORM, row.text("name", 50), grade, begins, ends,  # type: ignore[arg-type]
            row.flag("duty", False), row.flag("supervisor", False), row.flag("active", True),
            row.text("certificate_no", 64) or None,
        )  # fmt: skip
        if key and once.check(row, "key", key, key):
            found.append(worker)
    return tuple(found)
