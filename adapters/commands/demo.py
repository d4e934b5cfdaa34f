"""`yuanshe demo`: the whole network on this machine, one referral from submission to closed follow-up, then serving."""

import asyncio
import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec

from adapters import network, settings
from adapters.commands import serve
from adapters.demo import people, story, supervisor
from service import db
from service.access.model import clock_actor
from service.db import Scope, Session, embedded
from service.db.migrate import migrate
from service.directory import flow as directory
from service.directory import store as directory_rows
from service.errors import Conflict, SetupError
from service.practice import PLATFORM

READY_WITHIN = 120
"""Seconds for the service to answer after it was started."""


@click.command("demo")
@click.option("--serve-only", is_flag=True, help="Do not run the scripted referral.")
@click.option("--fresh", is_flag=True, help="Start from an empty database; the old demo's data is thrown away.")
def command(serve_only: bool, fresh: bool) -> None:
    """Set up the demo network, run one referral round, and keep serving until Ctrl-C."""
    # A script's shell lets what it runs in the background ignore Ctrl-C, and that is inherited: here it stops everything.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    read = settings.read()
    if fresh and (read.database_url or read.owner_database_url):
        raise SetupError("--fresh empties the embedded database only: unset DATABASE_URL.")
    # Taken and given back: whoever has the port is found out before anything is started, and 0 becomes a free one.
    with serve.listen(read.host, read.port) as listening:
        read = msgspec.structs.replace(read, port=listening.getsockname()[1])
    home = read.home
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    with _alone(home):
        _run(read, home, serve_only, fresh)


def _run(read: settings.Settings, home: Path, serve_only: bool, fresh: bool) -> None:
    if fresh:
        embedded.discard(home)
        (home / "demo.json").unlink(missing_ok=True)
    with settings.databases(read) as found:
        demo = asyncio.run(_prepare(found, home, settings.base_url(read, read.port)))
        _supervise(read, found, demo, serve_only)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One demo a home: two would write one `demo.json`, and those who read it would meet the wrong one."""
    with (home / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(
                f"A demo runs in {home} already; stop it, or set YUANSHE_HOME to another folder."
            ) from None
        yield


async def _prepare(found: settings.Databases, home: Path, base_url: str) -> dict[str, Any]:
    """Bring the database to this version, load the network, and write `demo.json` before anything answers."""
    if found.owner:
        await migrate(found.owner)
    database = await db.connect(found.app, size=2)
    try:
        async with database.transaction(Scope(PLATFORM, "platform", platform=True)) as session:
            now = session.began
            fresh = await directory_rows.organization(session, PLATFORM) is None
            if fresh:
                await directory.load(session, clock_actor(PLATFORM), network.read([network.DEMO]), now)
            known = None if fresh else people.read(home / "demo.json")
            demo = known or await _register(session, home, now)
    finally:
        await database.close()
    urls = {"base_url": base_url, "fhir_url": f"{base_url}/fhir", "token_url": f"{base_url}/auth/token"}
    demo = urls | {key: demo[key] for key in ("organizations", "clients", "people")}
    people.write(home / "demo.json", demo)
    return demo


async def _register(session: Session, home: Path, now: datetime) -> dict[str, Any]:
    found = await directory_rows.organizations_by_key(session, people.ORGANIZATIONS)
    if missing := [key for key in people.ORGANIZATIONS if key not in found]:
        raise SetupError(
            f"This database has a directory of its own, without the demo's {missing[0]}: give the demo an empty one."
        )
    try:
        return await people.register(session, now)
    except Conflict as taken:
        raise SetupError(
            f"The database has the demo's accounts, but {home / 'demo.json'}, which holds their passwords, is gone: "
            "run `yuanshe demo --fresh`, or give the demo an empty database."
        ) from taken


def _supervise(read: settings.Settings, found: settings.Databases, demo: dict[str, Any], serve_only: bool) -> None:
    environ = os.environ | {
        "PORT": str(read.port),
        "WEBHOOK_ALLOW": os.environ.get("WEBHOOK_ALLOW") or "127.0.0.0/8,::1/128",
        "DOCS": os.environ.get("DOCS") or "1",
        "YUANSHE_DEMO": str(read.home / "demo.json"),
    }
    watching = supervisor.Supervisor(environ, found.attached)
    watching.start()
    try:
        _wait_until_ready(demo["base_url"], watching)
        click.echo(f"Yuanshe 院社 serves at {demo['base_url']}")
        click.echo(f"  pages    {demo['base_url']}/sign-in (as one of the demo's people)")
        click.echo(f"  FHIR     {demo['fhir_url']}/metadata")
        click.echo(f"  API      {demo['base_url']}/docs")
        click.echo(f"  keys     {(read.home / 'demo.json').resolve()} (tokens and passwords of this demo alone)")
        if not serve_only:
            story.run(demo, click.echo)
        click.echo("")
        click.echo("Serving; Ctrl-C stops everything.")
        threading.Event().wait()
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        watching.stop()
    if watching.broken.is_set():
        raise SetupError("The demo ended: one of its programs died again and again; the lines above say why.")


def _wait_until_ready(base_url: str, watching: supervisor.Supervisor) -> None:
    until = time.monotonic() + READY_WITHIN
    # A proxy of the environment has no part in what this machine says to itself.
    with httpx.Client(timeout=5, trust_env=False) as http:
        while time.monotonic() < until and not watching.broken.is_set():
            try:
                if http.get(f"{base_url}/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            threading.Event().wait(0.1)
    raise SetupError(f"The service did not become ready within {READY_WITHIN} s.")
