"""`yuanshe export`: writes the directory out as the plain files that `yuanshe import` reads."""

import csv
import os
from pathlib import Path

import click

from adapters.commands import operated
from service.access.model import Call, operator
from service.db import Session
from service.directory import flow as directory
from service.errors import SetupError


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Write the directory into FOLDER: regions.csv, organizations.csv, services.csv, partnerships.csv, workers.csv.

    What is written loads again with `yuanshe import` and changes nothing. Files that are there already are not touched.
    """
    tables = operated.run(Call("R", "export"), _unload)
    taken = [table for table in tables if (folder / f"{table}.csv").exists()]
    if taken:
        raise SetupError(f"{folder} already holds {taken[0]}.csv; name an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in tables.items():
        # Names of workers and what they may do: nobody else's on this machine to read.
        with open(folder / f"{table}.csv", "x", encoding="utf-8", newline="", opener=_closed) as stream:
            writer = csv.DictWriter(stream, fieldnames=list(directory.COLUMNS[table]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        click.echo(f"{table:<14} {len(rows)} written")


def _closed(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def _unload(session: Session) -> dict[str, list[dict[str, str]]]:
    return await directory.export(session, operator())
