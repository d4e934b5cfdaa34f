"""`yuanshe client`: lets programs in, lists them, and shuts them out."""

import uuid
from pathlib import Path
from typing import Any

import click
import msgspec

from adapters.commands import operated
from service.access import flow
from service.access.model import CLIENT_ROLES, NOBODY, Call, Client, NewClient, operator
from service.db import Session
from service.directory import store as directory
from service.directory.model import PLACERS, TAKERS
from service.errors import SetupError

ACTS_FOR = {
    "hospital": PLACERS,
    "agency": TAKERS,
    "platform": ("platform",),
    "auditor": ("platform",),
    "volunteer": TAKERS,
}
"""Role of a client → the kinds of organisation that it may act for."""


@click.group("client")
def command() -> None:
    """Add, list or revoke clients of the API, and change their keys."""


@command.command()
@click.option("--organization", required=True, help="Id of the organisation that it acts for: Organization/<uuid>.")
@click.option("--role", required=True, type=click.Choice(CLIENT_ROLES))
@click.option("--name", required=True, help="Shown in timelines, such as the name of the hospital's system.")
@click.option("--scope", default="system/*.cruds", show_default=True, help="The most it may be granted.")
@click.option("--jwks", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with its public keys.")
@click.option("--jwks-url", help="The https address that publishes its public keys.")
def add(organization: str, role: str, name: str, scope: str, jwks: Path | None, jwks_url: str | None) -> None:
    """Register a program and print its client_id.

    Its keys are a JWK Set: RSA (RS384) or EC P-384 (ES384) public keys, each with a kid.
    """
    _public(jwks_url)
    keys = None if jwks is None else _keys(jwks)
    new = NewClient(_organization(organization), role, name, scope, keys, jwks_url)

    async def act(session: Session) -> Client:
        known = await directory.organization(session, new.organization)
        if known is None:
            raise SetupError("The directory knows no organisation of this id.")
        if known.kind not in ACTS_FOR[role]:
            raise SetupError(
                f"A client of the role {role} acts for {' or '.join(ACTS_FOR[role])}; this is a {known.kind}."
            )
        return await flow.add_client(session, operator(), new, session.began)

    click.echo(operated.run(Call("C", "client-add"), act).client_id)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """List every program, revoked ones too."""

    async def act(session: Session) -> list[Client]:
        found: list[Client] = []
        while page := await flow.list_clients(session, operator(), after=found[-1].id if found else NOBODY):
            found += page
        return found

    for client in operated.run(Call("R", "client-list"), act):
        state = "in use" if client.revoked_at is None else f"revoked {client.revoked_at:%Y-%m-%d %H:%M}Z"
        if as_json:
            click.echo(msgspec.json.encode(client))
        else:
            click.echo(f"{client.client_id}  {client.role:<9} {state:<27} {client.scope}  {client.name}")


@command.command()
@click.argument("client_id")
@click.option("--jwks", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with its public keys.")
@click.option("--jwks-url", help="The https address that publishes its public keys.")
@click.option("--add", "adding", is_flag=True, help="Keep the keys that it has, too.")
def keys(client_id: str, jwks: Path | None, jwks_url: str | None, adding: bool) -> None:
    """Give a program other keys, and print the kids that it has from now on.

    To rotate without a gap: --add the new key, let the program sign with it, then set the new key alone. A key that is no
    longer listed is refused at once; tokens that were issued end by themselves, within 300 seconds.
    """
    _public(jwks_url)
    given = None if jwks is None else _keys(jwks)

    async def act(session: Session) -> tuple[str, ...]:
        return await flow.change_keys(session, operator(), client_id, given, jwks_url, add=adding)

    kids = operated.run(Call("U", "client-keys"), act)
    click.echo("\n".join(kids) if kids else f"The keys of {client_id} are read from {jwks_url}.")


@command.command()
@click.argument("client_id")
def revoke(client_id: str) -> None:
    """Shut a program out: its tokens are refused within a minute, and its subscriptions end."""

    async def act(session: Session) -> None:
        await flow.revoke_client(session, operator(), client_id, session.began)

    operated.run(Call("U", "client-revoke"), act)
    click.echo(f"{client_id} is revoked.")


def _public(jwks_url: str | None) -> None:
    if jwks_url is not None and not jwks_url.startswith("https://"):
        raise SetupError("The address of its keys begins with https://.")


def _organization(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text.removeprefix("Organization/"))
    except ValueError:
        raise SetupError(f"--organization takes Organization/<uuid>, not {text!r}.") from None


def _keys(file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as fault:
        raise SetupError(f"{file} is not a JWK Set: {fault}.") from fault
