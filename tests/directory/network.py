"""The demo network in a test's own database, and plain files written by a test."""

from collections.abc import Mapping
from pathlib import Path

from adapters import network
from service.access.model import Actor, operator
from service.db import Database, Scope, Session
from service.directory import flow, store
from service.directory.model import Organization, Service, Table, Tally
from service.values import Id, new_id, utc_now

KEYS = ("platform", "hospital-a", "hospital-a-east", "hospital-b", "agency-a", "agency-b", "agency-c")


async def load(pool: Database, tables: list[Table], actor: Actor | None = None) -> list[Tally]:
    async with pool.transaction(operator().scope) as session:
        return await flow.load(session, actor or operator(), tables, utc_now())


async def load_demo(pool: Database) -> dict[str, Organization]:
    await load(pool, network.read([network.DEMO]))
    async with pool.transaction(operator().scope) as session:
        return await store.organizations_by_key(session, KEYS)


def table(name: str, text: str, file: str | None = None) -> Table:
    """A CSV as a person would write it: the first line the columns."""
    lines = [line.split(",") for line in text.strip().splitlines()]
    rows = tuple((number, dict(zip(lines[0], cells, strict=True))) for number, cells in enumerate(lines[1:], start=2))
    return Table(name, file or f"{name}.csv", tuple(lines[0]), rows)


def written(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def of(organization: Organization) -> Scope:
    return Scope(organization.id, "agency")


def agent(organization: Organization, role: str = "agency") -> Actor:
    return Actor(new_id(), "client", organization.id, role, organization.name_en)


async def only_service(session: Session, agency: Id) -> Service:
    (found,) = await store.services(session, agency, Id(int=0), 10)
    return found
