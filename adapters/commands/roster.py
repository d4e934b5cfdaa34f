"""`yuanshe roster`: says where the crisis rosters have gaps or one person alone, and how pages fared."""

import sys
from datetime import timedelta

import click
import msgspec

from adapters.commands import operated
from service.access.model import Call, operator
from service.db import Session
from service.directory import flow as directory
from service.directory.duty import Gap
from service.directory.flow import Watch
from service.notices import paging_flow as paging
from service.notices.paging_store import Page
from service.values import SHANGHAI

DAYS = 14
"""How far ahead a roster is looked at, unasked."""


@click.group("roster")
def command() -> None:
    """Look at who is on duty in a crisis, and at the calls that were made."""


@command.command("check")
@click.option("--days", type=click.IntRange(1, 366), default=DAYS, show_default=True, help="How far ahead.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def check(days: int, as_json: bool) -> None:
    """Say where fewer than two people are on duty; ends with 1 where that is so."""
    found = operated.run(Call("R", "roster-check"), lambda session: watch(session, days))
    if as_json:
        rows = [
            {"organization": key, "from": gap.begins, "to": gap.ends, "people": gap.people} for key, gap in found.gaps
        ]
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
    for key, gap in () if as_json else found.gaps:
        click.echo(line(key, gap))
    if found.gaps:
        sys.exit(1)
    if not as_json:
        click.echo(f"{found.organizations} organisation(s) have two people on duty throughout the next {days} day(s).")


@command.command("pages")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def pages(limit: int, as_json: bool) -> None:
    """List the calls that were made in crises: whom, when, by which channel, and what came of each."""

    async def act(session: Session) -> list[Page]:
        return paging.shown(await paging.pages(session, operator(), limit=limit))

    found = operated.run(Call("R", "roster-pages"), act)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    for each in found:
        by = f"  acknowledged by {each.acknowledged_by}" if each.acknowledged_at else ""
        error = f"  {each.last_error}" if each.last_error else ""
        click.echo(
            f"{each.id}  {each.made_at:%Y-%m-%d %H:%M:%S}Z  {each.rung:<11} {each.name or '-'}  {each.channel:<7} "
            f"{each.state:<13} {each.attempts} tried{error}{by}"
        )


async def watch(session: Session, days: int = DAYS) -> Watch:
    """The gaps of every roster from now on."""
    return await directory.roster_gaps(session, operator(), session.began, session.began + timedelta(days=days))


def line(key: str, gap: Gap) -> str:
    """A gap as an operator reads it, in local time."""
    begins, ends = (at.astimezone(SHANGHAI) for at in (gap.begins, gap.ends))
    short = "nobody is on duty" if gap.people == 0 else "one person alone is on duty"
    return f"{key}: {short} from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} (+08:00)"
