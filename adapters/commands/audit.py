"""`yuanshe audit`: says whether the audit log is what was written."""

import asyncio
import sys

import click

from adapters import settings
from adapters.commands import operated
from service.access import flow
from service.access.model import ChainReport, operator


@click.group("audit")
def command() -> None:
    """Verify the chain of the audit log."""


@command.command()
def verify() -> None:
    """Recompute the whole chain; exit 1 and name the first row that does not hold.

    Keep the head that it prints somewhere else, and compare: who can rewrite the whole table can rewrite its chain too.
    """
    with settings.databases(settings.read()) as found:
        report = asyncio.run(_verify(found.app))
    click.echo(
        f"{report.rows:,} rows hold, {report.unchained:,} not chained yet; head {report.rows} {report.head.hex()}"
    )
    if report.broken:
        click.echo(f"broken at position {report.broken.position} (row {report.broken.id}): {report.broken.what}")
        sys.exit(1)


async def _verify(dsn: str) -> ChainReport:
    async with operated.database(dsn) as database:
        # Chained first, so that what has happened until now is part of what is verified.
        scope = operator().scope
        async with database.transaction(scope) as session:
            while await flow.chain(session, session.began):
                pass
        async with database.transaction(scope) as session:
            return await flow.verify(session)
