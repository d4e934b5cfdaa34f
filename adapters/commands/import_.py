"""`yuanshe import`: loads the directory from plain files, all of them or nothing."""

import sys
from pathlib import Path

import click

from adapters import network
from adapters.commands import operated, roster
from service.access.model import Call, operator
from service.db import Session
from service.directory import flow as directory
from service.directory.flow import Watch
from service.directory.model import Tally
from service.errors import Invalid


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(paths: tuple[Path, ...]) -> None:
    """Load the directory from CSV files, or from a folder of them.

    A file's name says its table: regions.csv, organizations.csv, services.csv, partnerships.csv, workers.csv,
    rosters.csv. UTF-8, the first line names the columns, lists are separated by spaces. Every bad row is reported with
    its file, line and reason, and then nothing is loaded. Loading the same files again changes nothing. With a roster,
    times with fewer than two people on duty are told as warnings.
    """

    async def load(session: Session) -> tuple[list[Tally], Watch | None]:
        loaded = await directory.load(session, operator(), tables, session.began)
        return loaded, await roster.watch(session) if any(table.name == "rosters" for table in tables) else None

    try:
        tables = network.read(paths)
        done, watched = operated.run(Call("U", "import"), load)
    except Invalid as refusal:
        for issue in refusal.issues:
            click.echo(f"{issue.at}: {issue.text}", err=True)
        click.echo(f"{len(refusal.issues)} fault(s); nothing was loaded.", err=True)
        sys.exit(1)
    for tally in done:
        click.echo(f"{tally.table:<14} {tally.added} added, {tally.changed} changed, {tally.unchanged} unchanged")
    if not any(tally.added or tally.changed for tally in done):
        click.echo("Nothing changed: the directory says all of this already.")
    for key, gap in watched.gaps if watched else ():
        click.echo(f"warning: {roster.line(key, gap)}", err=True)
