"""`yuanshe work`: a worker, until it is told to stop or the process that started it is gone."""

import asyncio
import signal

import click
from uvicorn.loops.auto import auto_loop_factory

from adapters import relay, settings, worker
from adapters.delivery import body
from adapters.delivery.mail import mailing
from adapters.delivery.page import Caller
from adapters.fhir import bulk, telling
from adapters.lifeline import hold
from adapters.web.downtime.copies import Copies
from service import db
from service.casework import bulk_flow
from service.db import address, migrate
from service.referrals import attachment_flow


@click.command("work")
@click.option("--lifeline", type=int, help="A pipe inherited from the supervisor: the worker ends when it closes.")
def command(lifeline: int | None) -> None:
    """Order events, make and post notices, run sweeps. As many workers as one likes may run at once."""
    read = settings.read()
    with settings.databases(read) as found:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:  # uvloop where there is one, as for `serve`
            runner.run(_work(read, found.app, lifeline))


async def _work(read: settings.Settings, dsn: str, lifeline: int | None) -> None:
    connection = await address.connect(dsn)
    try:
        await migrate.refuse_other_schema(connection)
        await migrate.refuse_unsafe_role(connection)
    finally:
        await connection.close()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        hold(loop, lifeline, stop.set)
    async with relay.Relay(dsn).running() as ringing:
        database = await db.connect(
            dsn, practice=read.practice, on_commit=ringing.ring, attachments=read.attachments, scanner=read.scanner
        )
        try:
            await worker.work(
                worker.Work(
                    database=database,
                    dsn=dsn,
                    renders={
                        "json": body.render,
                        "fhir": telling.telling(f"{settings.base_url(read, read.port)}/fhir"),
                    },
                    sweeps=worker.SWEEPS,
                    jobs={
                        "export": bulk.step,
                        "scan": attachment_flow.rescan,
                        "page": _caller(read).step,
                        "bulk": bulk_flow.step,
                        **({"downtime": Copies(read.downtime).step} if read.downtime else {}),
                    },
                    networks=read.webhook_allow,
                    mail=mailing(read.smtp, read.reach, read.webhook_timeout),
                    schedule=read.webhook_retry,
                    timeout=read.webhook_timeout,
                    # Often enough that whoever watches hears of it several times within the limit.
                    beat=min(worker.BEAT, read.alarm_after / 4),
                ),
                stop,
            )
        finally:
            await database.close()


def _caller(read: settings.Settings) -> Caller:
    """What calls those on duty in a crisis."""
    return Caller(
        base_url=settings.base_url(read, read.port),
        mail=mailing(read.smtp, read.reach, read.webhook_timeout),
        networks=read.webhook_allow,
        timeout=read.webhook_timeout,
        secret=read.webhook_secret,
    )
