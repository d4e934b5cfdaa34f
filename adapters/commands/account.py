"""`yuanshe account`: gives people of staff accounts of this service, for sites without a sign-in of their own."""

import sys
import uuid

import click

from adapters import settings
from adapters.commands import operated
from service.access import flow, provider_flow, session_flow
from service.access.model import PERSON_ROLES, Account, Call, NewAccount, operator
from service.db import Session
from service.directory import store as directory
from service.errors import SetupError


@click.group("account")
def command() -> None:
    """Add or list accounts; set a password, ask for a code, link to the organisation's own sign-in, sign a person out everywhere,
    put an account away."""


def _password() -> str:
    """Asked for twice at a terminal, else the first line of the input: never an argument, which others could read."""
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline().rstrip("\n")


def _id(option: str, kind: str, text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text.removeprefix(f"{kind}/"))
    except ValueError:
        raise SetupError(f"{option} takes {kind}/<uuid>, not {text!r}.") from None


@command.command()
@click.argument("login")
@click.option("--organization", required=True, help="Id of the organisation that they work for: Organization/<uuid>.")
@click.option("--role", required=True, type=click.Choice(PERSON_ROLES))
@click.option("--name", required=True, help="Shown in timelines.")
@click.option("--worker", help="The worker of the directory that they are: PractitionerRole/<uuid>.")
@click.option("--no-password", is_flag=True, help="They sign in through the organisation's own sign-in alone.")
def add(login: str, organization: str, role: str, name: str, worker: str | None, no_password: bool) -> None:
    """Give a person an account; their password is asked for, or read from the input."""
    works_for = _id("--organization", "Organization", organization)
    new = NewAccount(login, role, works_for, name, _id("--worker", "PractitionerRole", worker) if worker else None)
    password = None if no_password else _password()

    async def act(session: Session) -> Account:
        if await directory.organization(session, works_for) is None:
            raise SetupError("The directory knows no organisation of this id.")
        return await flow.add_account(session, operator(), new, password, session.began)

    click.echo(f"{operated.run(Call('C', 'account-add'), act).login} may sign in.")


@command.command()
@click.argument("login")
@click.option(
    "--subject", required=True, help="The provider's name of the person (sub); the page of somebody unknown shows it."
)
@click.option("--issuer", help="The provider; OIDC_ISSUER where it is not said.")
def link(login: str, subject: str, issuer: str | None) -> None:
    """Link an account to a person of the organisation's own sign-in (OpenID Connect)."""
    known = settings.read().oidc
    by = issuer or (known.issuer if known else "")
    if not by:
        raise SetupError("Name the provider: --issuer, or OIDC_ISSUER.")

    async def act(session: Session) -> None:
        await provider_flow.link(session, operator(), login, by, subject)

    operated.run(Call("C", "account-link"), act)
    click.echo(f"{login} signs in through {by}.")


@command.command()
@click.argument("login")
def unlink(login: str) -> None:
    """Unlink an account from the organisation's own sign-in, and end its sessions."""

    async def act(session: Session) -> int:
        return await provider_flow.unlink(session, operator(), login)

    click.echo(f"{operated.run(Call('D', 'account-unlink'), act)} links ended.")


@command.command("list")
def list_() -> None:
    """List every account."""

    async def act(session: Session) -> list[tuple[Account, bool]]:
        return await session_flow.list_accounts(session, operator())

    for account, code in operated.run(Call("R", "account-list"), act):
        state = "in use" if account.active else "put away"
        click.echo(f"{account.login:<24} {account.role:<14} {state:<9} {'code' if code else '    '}  {account.name}")


@command.command()
@click.argument("login")
def password(login: str) -> None:
    """Set another password, which ends every session of the account."""
    given = _password()

    async def act(session: Session) -> None:
        await session_flow.set_password(session, operator(), login, given)

    operated.run(Call("U", "account-password"), act)
    click.echo(f"{login} signs in with the new password.")


@command.command()
@click.argument("login")
@click.option("--none", "drop", is_flag=True, help="Ask for no code any more.")
def code(login: str, drop: bool) -> None:
    """Ask for a code besides the password: prints the address for the person's generator, this once."""

    async def act(session: Session) -> str | None:
        if drop:
            return await session_flow.ask_for_no_code(session, operator(), login)
        return await session_flow.ask_for_code(session, operator(), login)

    click.echo(operated.run(Call("U", "account-code"), act) or f"{login} signs in with the password alone.")


@command.command("sign-out")
@click.argument("login")
def sign_out(login: str) -> None:
    """End every session of a person."""

    async def act(session: Session) -> int:
        return await session_flow.end_sessions(session, operator(), login)

    click.echo(f"{operated.run(Call('U', 'account-sign-out'), act)} sessions ended.")


@command.command()
@click.argument("login")
def off(login: str) -> None:
    """Put an account away: it signs in no more, and its sessions end. What the person did stays under their name."""

    async def act(session: Session) -> None:
        await session_flow.put_away(session, operator(), login)

    operated.run(Call("U", "account-off"), act)
    click.echo(f"{login} is put away.")
