"""`yuanshe export`: writes the directory out as the plain files that `yuanshe import` reads."""

import asyncio
import csv
from pathlib import Path

import click

from adapters import settings
from service import db
from service.access import flow as access
from service.access.model import Call, operator
from service.directory import flow as directory
from service.errors import SetupError
from service.values import utc_now


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Write the directory into FOLDER: regions.csv, organizations.csv, services.csv, partnerships.csv, workers.csv.

    What is written loads again with `yuanshe import` and changes nothing. Files that are there already are not touched.
    """
    with settings.databases(settings.read()) as found:
        tables = asyncio.run(_unload(found.app))
    taken = [table for table in tables if (folder / f"{table}.csv").exists()]
    if taken:
        raise SetupError(f"{folder} already holds {taken[0]}.csv; name an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in tables.items():
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(directory.COLUMNS[table]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        click.echo(f"{table:<14} {len(rows)} written")


async def _unload(dsn: str) -> dict[str, list[dict[str, str]]]:
    database = await db.connect(dsn, size=1)
    try:
        async with access.open(database, operator(), Call("R", "export"), utc_now()) as session:
            return await directory.export(session, operator())
    finally:
        await database.close()
