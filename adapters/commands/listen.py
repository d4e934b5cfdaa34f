"""`yuanshe listen`: take HL7 v2 over MLLP until told to stop."""

import asyncio
import signal
from pathlib import Path

import click
from uvicorn.loops.auto import auto_loop_factory

from adapters import app, relay, settings
from adapters.hl7v2 import handling, senders
from adapters.hl7v2.listener import Listener
from adapters.lifeline import hold
from service import db
from service.errors import SetupError


@click.command("listen")
@click.option(
    "--config", type=click.Path(path_type=Path), help="Who may send, and what their words mean; else YUANSHE_HL7."
)
@click.option("--lifeline", type=int, help="A pipe inherited from the supervisor: the listener ends when it closes.")
def command(config: Path | None, lifeline: int | None) -> None:
    """Take HL7 v2 ADT over MLLP from the senders of the configuration (docs/hl7v2.md)."""
    read = settings.read()
    configuration = senders.load(config_of(read, config))
    with settings.databases(read) as found:
        asyncio.run(app.check(found.app))
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(_listen(read, configuration, found.app, lifeline))


def config_of(read: settings.Settings, given: Path | None) -> Path:
    """The configuration file. Raises SetupError where none is named."""
    if (file := given or read.hl7) is None:
        raise SetupError("YUANSHE_HL7 names the configuration of the HL7 v2 interface; docs/hl7v2.md has one.")
    return file


async def _listen(
    read: settings.Settings, configuration: senders.Configuration, dsn: str, lifeline: int | None
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        hold(loop, lifeline, stop.set)
    async with relay.Relay(dsn).running() as ringing:
        database = await db.connect(dsn, practice=read.practice, on_commit=ringing.ring, attachments=read.attachments)
        try:
            known = await handling.known_of(database, configuration.sender)
            interface = handling.Interface(database, known)
            try:
                async with Listener(configuration.listen, interface.answer).running() as port:
                    click.echo(f"yuanshe: HL7 v2 over MLLP at {configuration.listen.host}:{port}", err=True)
                    await stop.wait()
            except OSError as error:
                raise SetupError(f"Cannot listen on {configuration.listen.host}:{configuration.listen.port}: {error.strerror}.") from error  # fmt: skip
        finally:
            await database.close()
