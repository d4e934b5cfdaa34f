"""`yuanshe migrate`: brings the database to this version's schema, as its owner."""

import asyncio
import secrets

import click

from adapters import settings
from service.db import address, migrate
from service.errors import SetupError


@click.command("migrate")
@click.option("--check", is_flag=True, help="Change nothing; fail when the schema is not that of this version.")
def command(check: bool) -> None:
    """Apply the migrations that the database lacks, each in a transaction of its own.

    Uses YUANSHE_OWNER_DATABASE_URL, else DATABASE_URL when that role owns the schema, else the embedded database.
    """
    with settings.databases(settings.read()) as found:
        asyncio.run(_check(found) if check else _migrate(found))


async def _check(found: settings.Databases) -> None:
    connection = await address.connect(found.owner or found.app)
    try:
        await migrate.refuse_other_schema(connection)
    finally:
        await connection.close()
    click.echo("The schema is that of this version.")


async def _migrate(found: settings.Databases) -> None:
    owner, password, invented = found.owner or found.app, None, None
    if found.app != owner:
        app = address.read(found.app)
        password = app.password if app.user == migrate.APP else None
    elif address.read(owner).user == migrate.APP:
        raise SetupError(
            f"DATABASE_URL is that of `{migrate.APP}`, which owns nothing on purpose: "
            "set YUANSHE_OWNER_DATABASE_URL to the owner's URL."
        )
    else:
        # One URL alone: the service needs a role of its own, whose password has to be told to somebody once.
        connection = await address.connect(owner)
        try:
            if not await migrate.role_exists(connection):
                password = invented = secrets.token_urlsafe(24)
        finally:
            await connection.close()
    applied = await migrate.migrate(owner, app_password=password)
    for name in applied:
        click.echo(f"applied {name}")
    click.echo("The schema is that of this version." if applied else "Nothing to apply.")
    if invented:
        click.echo(
            f"Created the role `{migrate.APP}` with the password {invented} (shown this once): set DATABASE_URL to its "
            "URL for `serve` and `work`, and YUANSHE_OWNER_DATABASE_URL to the URL that was used now."
        )
