"""A small town to work in: one hospital, two agencies, their people, and each verb in a transaction of its own."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from service import db
from service.access.model import Actor
from service.casework import flow as casework
from service.casework import work_flow
from service.casework.model import NewIntervention
from service.consent.model import Consent
from service.followup import flow as followup
from service.followup.model import NewAttempt
from service.patients import flow as patients
from service.patients.model import Identifier, Patient, Stay
from service.practice import PLATFORM
from service.referrals import consent_flow, steps, store
from service.referrals import flow as referrals
from service.referrals.model import Loop, NewReferral, Output, Task
from service.values import SHANGHAI, Id, Reason, new_id

NOW = datetime(2025, 3, 10, 9, 0, tzinfo=SHANGHAI)
"""A Monday morning."""


def actor(organization: Id, role: str) -> Actor:
    return Actor(new_id(), "client", organization, role, f"{role} client")


class Town:
    """The pool, who acts in it, and short ways to the moves that a test is not about."""

    def __init__(self, pool: db.Database, organizations: dict[str, Id], workers: dict[str, Id]) -> None:
        self.pool = pool
        self.organizations = organizations
        self.workers = workers
        self.hospital = actor(organizations["hospital-a"], "hospital")
        self.a = actor(organizations["agency-a"], "agency")
        self.b = actor(organizations["agency-b"], "agency")
        self.stranger = actor(organizations["hospital-b"], "hospital")
        self.coordinator = actor(PLATFORM, "platform")
        self.now = NOW

    def later(self, **span: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(**span)
        return self.now

    async def do(self, verb: Callable[..., Awaitable[Any]], who: Actor, *args: Any, **named: Any) -> Any:
        """One request: the verb in a transaction of its own, with the actor's own row scope."""
        async with self.pool.transaction(who.scope) as session:
            return await verb(session, who, *args, **named)

    async def see(self, who: Actor, query: str, *args: Any) -> list[Any]:
        """What a query shows in the row scope of one side."""
        async with self.pool.transaction(who.scope) as session:
            return [tuple(row) for row in await session.fetch(query, *args)]

    async def patient(self) -> Patient:
        number = Identifier("urn:his-a:number", str(new_id()))
        new = Patient(
            new_id(),
            self.hospital.organization,
            1,
            (number,),
            self.now,
            name="安宁",
            gender="female",
            region="520502001",
        )
        return await self.do(patients.register, self.hospital, new, b"{}", self.now)

    async def stay(self, patient: Id) -> Stay:
        new = Stay(new_id(), self.hospital.organization, patient, 1, "in-progress", self.now, started_at=self.now)
        return await self.do(followup.discharge, self.hospital, new, b"{}", self.now)

    async def refer(self, *needs: str, with_stay: bool = True, **values: Any) -> Loop:
        """A patient in a bed is referred."""
        patient = (await self.patient()).id
        stay = (await self.stay(patient)).id if with_stay else None
        new = NewReferral(
            new_id(), new_id(), "urn:his-a:order", str(new_id()), patient, needs or ("N05",), "routine", b"{}", self.now, stay=stay, **values
        )  # fmt: skip
        return (await self.do(referrals.submit, self.hospital, new, self.now)).loop

    async def consent(self, loop: Loop, *agencies: Actor, active: bool = True, id: Id | None = None) -> Consent:
        new = Consent(
            id or new_id(), loop.referral.hospital, loop.referral.patient, 1, "consent", active, True,
            tuple(agency.organization for agency in agencies), (loop.referral.id,), "patient", self.hospital.id, self.now,
        )  # fmt: skip
        return await self.do(consent_flow.record_consent, self.hospital, new, b"{}", self.now)

    async def accepted(self, *needs: str, who: Actor | None = None, **values: Any) -> Task:
        """A share that the first agency has accepted, its identity disclosed."""
        who = who or self.a
        loop = await self.refer(*needs, **values)
        await self.consent(loop, who)
        loop = await self.do(casework.accept, who, self.share(loop, who).id, None, self.now)
        return self.share(loop, who)

    async def started(self, *needs: str, **values: Any) -> Task:
        share = await self.accepted(*needs, **values)
        return self.share(await self.do(casework.start, self.a, share.id, None, self.now), self.a)

    async def discharged(self, loop: Loop, disposition: str | None = "1", **values: Any) -> Stay:
        """The stay of a referral ends now."""
        stay = Stay(
            values.get("id", loop.referral.stay), loop.referral.hospital, loop.referral.patient, 1, values.get("status", "finished"), self.now,
            started_at=NOW - timedelta(days=3), ended_at=values.get("ended_at", self.now), disposition=disposition,
        )  # fmt: skip
        return await self.do(followup.discharge, self.hospital, stay, b"{}", self.now)

    async def loop(self, referral: Id) -> Loop:
        async with self.pool.transaction(self.coordinator.scope) as session:
            return await steps.load(session, referral, self.now)

    async def told(self, referral: Id, who: Actor | None = None) -> list[str]:
        """What the timeline says, as a side may see it."""
        found = await self.do(referrals.timeline, who or self.coordinator, referral)
        return [event["kind"] for event in found.events]

    async def nobody_forgotten(self) -> bool:
        """Every open referral has exactly one answer to who acts next, and no closed one has any."""
        async with self.pool.transaction(self.coordinator.scope) as session:
            return await store.without_step(session) == 0

    async def serve(self, need: str, *agencies: Actor) -> None:
        """These agencies take up another need."""
        async with self.pool.transaction(self.coordinator.scope) as session:
            for table in ("agency_service", "partnership"):
                await session.execute(
                    f"UPDATE {table} SET needs = needs || $1::text WHERE agency_id = ANY($2)",
                    need,
                    [agency.organization for agency in agencies],
                )

    async def change(self, statement: str, *args: Any) -> None:
        """Something in the directory becomes different."""
        async with self.pool.transaction(self.coordinator.scope) as session:
            await session.execute(statement, *args)

    async def places(self, task: Id) -> int:
        """How many places a share holds."""
        return (await self.see(self.coordinator, "SELECT count(*) FROM place WHERE task_id = $1", task))[0][0]

    def share(self, loop: Loop, who: Actor) -> Task:
        return next(share for share in loop.shares if share.agency == who.organization)

    def window(self, loop: Loop, code: str) -> Task:
        return next(task for task in reversed(loop.follow_ups) if task.follow_up and task.follow_up.window == code)

    def visit(self, task: Task, **values: Any) -> NewIntervention:
        given = {"service_type": "companionship", "status": "completed", "started_at": self.now, "minutes": 45} | values
        return NewIntervention(
            values.pop("id", None) or new_id(), task.id, values.pop("about", None) or task.patient or task.stand_in,
            **{k: v for k, v in given.items() if k not in ("id", "about")},
        )  # fmt: skip

    def call(self, task: Task, reached: bool = False, channel: str = "phone", **values: Any) -> NewAttempt:
        reason = None if reached else Reason(None, "Nobody answered.")
        return NewAttempt(new_id(), task.id, channel, self.now, reached, **({"reason": reason} | values))

    async def intervene(self, task: Task, who: Actor | None = None, **values: Any) -> Any:
        return await self.do(work_flow.record_intervention, who or self.a, self.visit(task, **values), b"{}", self.now)


DONE = Output("outcome", {"valueString": "settled at home"})
MET = Reason("goals-met", "Placed at home with a carer.")
