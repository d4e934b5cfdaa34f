"""`yuanshe hl7`: the messages of HL7 v2 that wait for a person, read, mended, replayed or dropped; each written down."""

import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import click
import msgspec

from adapters import settings
from adapters.commands import operated
from adapters.commands.listen import config_of
from adapters.hl7v2 import handling, replaying, senders
from adapters.hl7v2.senders import Known
from service.access.model import Call, operator
from service.db import Session
from service.errors import Refusal, SetupError
from service.records import inbox_flow as inbox
from service.records.model import InboxState, Message
from service.values import Id

CONFIG = click.option("--config", type=click.Path(path_type=Path), help="As for `yuanshe listen`; else YUANSHE_HL7.")
REASON = click.option("--reason", required=True, help="Why: it is written into the audit.")


@click.group("hl7")
def command() -> None:
    """Messages of HL7 v2 that could not be applied wait here, sealed: list, show, mend, replay, drop."""


@command.command("list")
@click.option("--state", type=click.Choice([*inbox.STATES, "any"]), default="parked", show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_(state: str, limit: int, as_json: bool) -> None:
    """List messages, newest first, without what they say."""
    states: list[InboxState] = [each for each in inbox.STATES if state in ("any", each)]

    async def act(session: Session) -> list[Message]:
        return await inbox.list_messages(session, operator(), states, None, limit)

    found = operated.run(Call("R", "hl7-list"), act)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([_head(each) for each in found]), indent=2))
        return
    for each in found:
        why = f"  {each.fault.place or ''} {each.fault.key}: {each.fault.text}" if each.fault else ""
        click.echo(
            f"{each.id}  {each.state:<8}  {each.received_at:%Y-%m-%d %H:%M:%S}Z  {each.sender}  {each.event}{why}"
        )


def _head(message: Message) -> dict[str, object]:
    fault = message.fault
    return {
        "id": message.id, "state": message.state, "received_at": message.received_at, "sender": message.sender, "event": message.event,
        "event_at": message.event_at, "key": fault.key if fault else None, "place": fault.place if fault else None,
        "reason": fault.text if fault else None, "mends": message.mends,
    }  # fmt: skip


@command.command()
@click.argument("id")
@REASON
def show(id: str, reason: str) -> None:
    """Print the message ID as it came in, a segment a line."""

    async def act(session: Session) -> Message:
        return await inbox.show(session, operator(), _id(id), reason)

    found = operated.run(Call("R", "hl7-show", resource_id=_id(id)), act)
    click.echo("What it said is forgotten." if found.body is None else replaying.legible(found.body), nl=False)


@command.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every parked message, the oldest first.")
@CONFIG
def replay(ids: tuple[str, ...], every: bool, config: Path | None) -> None:
    """Apply the parked messages IDS as they came, once what stood in their way is mended."""
    if bool(ids) == every:
        raise click.UsageError("Say which: ids, or --all.")
    read = senders.load(config_of(settings.read(), config))
    wanted = [_id(each) for each in ids] or _parked()
    failed = [each for each in wanted if not _replayed(each, partial(_as_it_came, each), read)]
    if failed:
        sys.exit(1)


def _parked() -> list[Id]:
    async def act(session: Session) -> list[Id]:
        found = await inbox.list_messages(session, operator(), ["parked"], None, 10_000)
        return [each.id for each in reversed(found)]

    return operated.run(Call("R", "hl7-list"), act)


def _replayed(
    id: Id, act: Callable[[Session, Mapping[str, Known]], Awaitable[Message]], read: senders.Configuration
) -> bool:
    async def applied(session: Session) -> Message:
        return await act(session, await handling.known_in(session, read.sender))

    try:
        done = operated.run(Call("U", "hl7-replay", resource_id=id), applied)
    except Refusal as refused:
        fault = replaying.fault_of(refused)
        if refused.key != "not-parked":
            operated.run(Call("U", "hl7-park", resource_id=id), lambda session: replaying.still_parked(session, operator(), id, fault))  # fmt: skip
        where = f"{fault.place} " if fault.place else ""
        click.echo(f"{id} is not applied: {where}{fault.key}: {fault.text}", err=True)
        return False
    click.echo(f"{done.id} is applied.")
    return True


@command.command()
@click.argument("id")
@REASON
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The mended text (UTF-8, a segment a line); else an editor opens.")  # fmt: skip
@CONFIG
def mend(id: str, reason: str, file: Path | None, config: Path | None) -> None:
    """Mend the text of the parked message ID and apply that; the message as it came is kept."""
    read = senders.load(config_of(settings.read(), config))

    async def shown(session: Session) -> Message:
        return await inbox.show(session, operator(), _id(id), reason)

    text = file.read_text() if file else replaying.legible(operated.run(Call("R", "hl7-show", resource_id=_id(id)), shown).body or b"")  # fmt: skip
    while True:
        edited = text if file else click.edit(text, extension=".hl7")
        if edited is None:
            click.echo("Nothing was changed; it stays parked.")
            return
        text = edited
        if _replayed(_id(id), partial(_mended, _id(id), text, reason), read):
            return
        if file is not None or not click.confirm("Edit it again?", err=True):
            sys.exit(1)


async def _mended(id: Id, text: str, reason: str, session: Session, known: Mapping[str, Known]) -> Message:
    return await replaying.mend(session, operator(), id, text, reason, known)


async def _as_it_came(id: Id, session: Session, known: Mapping[str, Known]) -> Message:
    return await replaying.replay(session, operator(), id, known)


@command.command()
@click.argument("id")
@REASON
def drop(id: str, reason: str) -> None:
    """Decide that the parked message ID goes unapplied."""

    async def act(session: Session) -> Message:
        return await inbox.drop(session, operator(), _id(id), reason, session.began)

    operated.run(Call("U", "hl7-drop", resource_id=_id(id)), act)
    click.echo(f"{id} is dropped.")


def _id(text: str) -> Id:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise SetupError(f"ID is the id of a message, as `yuanshe hl7 list` shows it, not {text!r}.") from None
