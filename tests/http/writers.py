"""Writers whose transactions a test holds open, in a process of their own, and pages as they are walked."""

import asyncio
import uuid
from typing import Any

from adapters.fhir import writing
from service import db
from service.access import flow as access
from service.access.model import Actor, Call
from service.values import new_id, write_json
from tests.http.world import Answered, World


def condition(patient: str, text: str = "居住不稳定") -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": patient}, "code": {"text": text}}


class Writer:
    """A request in the act of writing: it has done all but commit, until it is let go."""

    def __init__(self, database: db.Database, actor: Actor, body: dict[str, Any]) -> None:
        self.id = new_id()
        self._go = asyncio.Event()
        self._wrote = asyncio.Event()
        self._task = asyncio.create_task(self._write(database, actor, body))

    async def _write(self, database: db.Database, actor: Actor, body: dict[str, Any]) -> None:
        type = body["resourceType"]
        async with access.open(database, actor, Call("C", "create", type)) as session:
            await writing.create(session, actor, type, write_json(body), self.id, session.began)
            self._wrote.set()
            await self._go.wait()

    async def wrote(self) -> "Writer":
        await asyncio.wait([self._task, asyncio.create_task(self._wrote.wait())], return_when=asyncio.FIRST_COMPLETED)
        assert self._wrote.is_set(), self._task.exception()
        return self

    async def commit(self) -> str:
        self._go.set()
        await self._task
        return str(self.id)


class Ground:
    def __init__(self, world: World, elsewhere: db.Database, actor: Actor, patient: str) -> None:
        self.world = world
        self.elsewhere = elsewhere
        self.actor = actor
        self.patient = patient
        self.his = world.party("his-a")
        self.type = "Condition"

    def body(self) -> dict[str, Any]:
        if self.type == "Condition":
            return condition(self.patient)
        number = {"system": "urn:his-a:patient", "value": f"ZY-{uuid.uuid4()}"}
        return {"resourceType": "Patient", "identifier": [number], "name": [{"text": "陈素芬"}]}

    async def begin(self) -> Writer:
        return await Writer(self.elsewhere, self.actor, self.body()).wrote()

    async def create(self) -> str:
        made = await self.his.post(self.type, self.body())
        assert made.status == 201, made
        return made["id"]

    async def waits(self, reader: asyncio.Task[Any]) -> None:
        """Until the reader waits for a writer's end."""
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND NOT granted"
        async with self.elsewhere.transaction(self.actor.scope, writes=False) as session:
            while not await session.fetchval(waiting):
                assert not reader.done(), reader.result()


def next_page(bundle: Answered) -> str | None:
    url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
    return url.split("/fhir/", 1)[1] if url else None
