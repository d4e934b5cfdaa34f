"""`yuanshe db`: starts and stops the embedded database, backs any database up, restores it whole or not at all."""

import asyncio
from pathlib import Path

import click

from adapters import settings
from service.db import backup as backups
from service.db import embedded
from service.errors import SetupError


@click.group("db")
def command() -> None:
    """Start, stop, back up or restore the database."""


@command.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Also listen on this TCP port of 127.0.0.1.")
@click.option("--show-url", is_flag=True, help="Print the URLs, with their passwords.")
def start(port: int | None, show_url: bool) -> None:
    """Start the embedded database and keep it running until `yuanshe db stop`."""
    with embedded.attach(_home_of_embedded(), tcp_port=port) as attached:
        attached.pin()
        click.echo(f"PostgreSQL {attached.binaries.major} runs in {attached.data}; `yuanshe db stop` stops it.")
        if show_url:
            click.echo(f"DATABASE_URL={attached.app_dsn}\nYUANSHE_OWNER_DATABASE_URL={attached.owner_dsn}")


@command.command()
def stop() -> None:
    """Stop the embedded database; one that is in use stops with its last user."""
    stopped = embedded.stop(_home_of_embedded())
    click.echo("PostgreSQL is stopped." if stopped else "PostgreSQL is in use; it stops when the last user leaves.")


@command.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write the database and the attachments to FILE, a tar archive of mode 0600. A file that is there is not written over."""
    if file.exists():
        raise SetupError(f"{file} is there already; name another file.")
    read = settings.read()
    with settings.databases(read) as found:
        backups.write(found.owner or found.app, file, read.attachments)
    click.echo(f"Wrote {file} ({file.stat().st_size:,} bytes).")


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Replace the database and the attachments by those in FILE, whole or not at all.

    Refused while a service is connected.
    """
    read = settings.read()
    with settings.databases(read) as found:
        asyncio.run(backups.restore(found.owner or found.app, file, read.attachments))
    click.echo(f"Restored {file}.")


def _home_of_embedded() -> Path:
    read = settings.read()
    if read.database_url or read.owner_database_url:
        raise SetupError("A database URL is set, so there is no embedded database to start or stop.")
    return read.home
