"""Lists as files on a disk of one's own (`YUANSHE_DOWNTIME`), for when not even the pages answer: written by the worker."""

import asyncio
import os
from pathlib import Path

from adapters.web.downtime.lists import paper
from adapters.web.speech import SPEECH
from service import db
from service.access import flow as access
from service.access.model import Call, clock_actor
from service.casework import downtime_flow
from service.casework.downtime import KEPT
from service.practice import PLATFORM
from service.values import SHANGHAI

CLOCK = clock_actor(PLATFORM)
NEWEST = "newest.html"


class Copies:
    """Writes each organisation's newest lists into a folder of its own, once an hour, and keeps as many as the database does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def step(self, database: db.Database) -> bool:
        """Write what is not there yet. False: there is no more to do until the next hour."""
        async with database.transaction(CLOCK.scope, writes=False) as session:
            for organization, slot in await downtime_flow.newest(session):
                place = self._folder / str(organization) / f"{slot.astimezone(SHANGHAI):%Y%m%d-%H}.html"
                if await asyncio.to_thread(place.exists):
                    continue
                found = await downtime_flow.written(session, organization, slot)
                await asyncio.to_thread(_write, place, paper(found, SPEECH["zh"], organization))
            if session.referrals:
                await access.log_sweep(session, CLOCK, Call("E", "downtime-copies"), session.began)
        return False


def _write(place: Path, text: str) -> None:
    """Whole or not at all, and readable by nobody but whom the worker runs as; the oldest give way."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (place.name, NEWEST):
        fresh = place.with_name(f".{name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(fresh, place.with_name(name))
    for old in sorted(place.parent.glob("[0-9]*.html"))[:-KEPT]:
        old.unlink(missing_ok=True)
