"""`yuanshe delivery`: shows notices and how they fare, and sends one again."""

import uuid

import click
import msgspec

from adapters.commands import operated
from service.access.model import Call, operator
from service.db import Session
from service.errors import SetupError
from service.notices import flow
from service.notices.model import Delivery
from service.values import Id


@click.group("delivery")
def command() -> None:
    """List notices that were not delivered, and send them again."""


@command.command("list")
@click.option(
    "--state", type=click.Choice(["waiting", "sent", "not-delivered", "any"]), default="any", show_default=True
)
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=200, show_default=True, help="How many, newest first."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_(state: str, limit: int, as_json: bool) -> None:
    """List notices, newest first."""

    async def act(session: Session) -> list[Delivery]:
        found: list[Delivery] = []
        while len(found) < limit:
            page = await flow.list_deliveries(
                session,
                operator(),
                None if state == "any" else state,
                found[-1].id if found else None,
                min(limit - len(found), 200),
            )
            if not page:
                break
            found += page
        return found

    found = operated.run(Call("R", "delivery-list"), act)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    for each in found:
        error = "" if each.last_error is None else f"  {each.last_error}"
        withheld = "" if each.withheld is None else f"  withheld: {each.withheld}"
        click.echo(
            f"{each.id}  {each.state:<13}  {each.created_at:%Y-%m-%d %H:%M:%S}Z  to {each.to}  "
            f"#{each.number} {each.kind}  {each.attempts} tried{error}{withheld}"
        )


@command.command()
@click.argument("id")
def resend(id: str) -> None:
    """Send the notice ID again, under the same number and webhook-id; that it was asked for is recorded."""

    async def act(session: Session) -> Delivery:
        return await flow.resend(session, operator(), _id(id), session.began)

    sent = operated.run(Call("U", "delivery-resend", resource_id=_id(id)), act)
    click.echo(f"{sent.id} is sent again to {sent.to} as #{sent.number}.")


def _id(text: str) -> Id:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise SetupError(f"ID is the id of a delivery, as `yuanshe delivery list` shows it, not {text!r}.") from None
