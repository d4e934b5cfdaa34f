"""Random histories of a small agency's people: whatever they do in whatever order, nothing open names anybody who is away."""

import random
from datetime import timedelta
from typing import Any

import pytest

from service.access.model import Actor
from service.casework import flow as casework
from service.casework import handing_over_flow, transfer_flow
from service.casework.handing_over import NewHandOver
from service.errors import Forbidden, Refusal
from service.values import Id, Reason, new_id
from tests.casework.town import DONE, MET, Town

LONG = 45
"""Steps of one history."""


async def colleagues(town: Town) -> list[Id]:
    """Four licensed people of agency-a."""
    agency = town.a.organization
    for key in ("worker-a3", "worker-a4"):
        town.workers[key] = new_id()
        await town.change(
            "INSERT INTO worker (id, key, agency_id, name, grade, licensed_from, duty, supervisor, updated_at)"
            " VALUES ($1, $2, $3, $2, 'certified', '2024-01-01', false, true, $4)",
            town.workers[key], key, agency, town.now,
        )  # fmt: skip
    return [town.workers[key] for key in ("worker-a", "worker-a2", "worker-a3", "worker-a4")]


AWAY_AND_NAMED = """
SELECT 'task' AS what FROM task t JOIN worker w ON w.id = t.worker_id WHERE t.open AND w.away_since IS NOT NULL
UNION ALL SELECT 'step' FROM next_step n JOIN worker w ON w.id = n.worker_id WHERE w.away_since IS NOT NULL
UNION ALL SELECT 'case' FROM case_file c JOIN worker w ON w.id = c.worker_id
    WHERE c.closed_at IS NULL AND w.away_since IS NOT NULL
UNION ALL SELECT 'co-work' FROM co_work c JOIN worker w ON w.id = c.worker_id JOIN task t ON t.id = c.task_id
    WHERE t.open AND (c.ends_at IS NULL OR c.ends_at > $1) AND w.away_since IS NOT NULL
UNION ALL SELECT 'without owner' FROM task t WHERE t.kind = 'share' AND t.status = 'in-progress' AND t.worker_id IS NULL
UNION ALL SELECT 'case of another' FROM case_file c JOIN task t ON t.id = c.task_id
    WHERE c.closed_at IS NULL AND c.worker_id IS DISTINCT FROM t.worker_id
UNION ALL SELECT 'step of another' FROM next_step n JOIN task t ON t.id = n.task_id
    WHERE n.worker_id IS NOT NULL AND n.worker_id IS DISTINCT FROM t.worker_id
UNION ALL SELECT 'second on their own' FROM co_work c JOIN task t ON t.id = c.task_id
    WHERE t.open AND (c.ends_at IS NULL OR c.ends_at > $1) AND c.worker_id = t.worker_id
"""


class People:
    """One history: what may be done next, drawn by lot; what is refused is no fault."""

    def __init__(self, town: Town, staff: list[Id], lot: random.Random) -> None:
        self.town = town
        self.staff = staff
        self.lot = lot
        self.shares: list[Id] = []
        self.done: list[str] = []

    async def step(self) -> None:
        what = self.lot.choice((
            "refer", "start", "start", "assign", "transfer", "co-work", "hold", "complete", "discharge", "hand-over", "hand-over", "plan", "come-back", "wait",
        ))  # fmt: skip
        try:
            await getattr(self, what.replace("-", "_"))()
        except Refusal:
            return
        self.done.append(what)

    def person(self) -> Id:
        return self.lot.choice(self.staff)

    def share(self) -> Id:
        if not self.shares:
            raise Forbidden("There is none yet.")
        return self.lot.choice(self.shares)

    async def refer(self) -> None:
        self.shares.append((await self.town.accepted()).id)

    async def start(self) -> None:
        worker = self.lot.choice([None, self.person()])
        await self.town.do(casework.start, self.town.a, self.share(), worker, self.town.now)

    async def assign(self) -> None:
        await self.town.do(casework.assign, self.town.a, self.share(), self.person(), self.town.now)

    async def transfer(self) -> None:
        town = self.town
        await town.do(transfer_flow.transfer, town.a, self.share(), self.person(), "why", "note", town.now)

    async def co_work(self) -> None:
        ends = self.lot.choice([None, self.town.now + timedelta(days=self.lot.randrange(1, 9))])
        await self.town.do(
            transfer_flow.co_work,
            self.town.a,
            self.share(),
            self.person(),
            "co-worker",
            self.town.now,
            ends,
            self.town.now,
        )

    async def hold(self) -> None:
        verb = self.lot.choice(["hold", "resume"])
        if verb == "hold":
            await self.town.do(casework.hold, self.town.a, self.share(), Reason(None, "away"), None, self.town.now)
        else:
            await self.town.do(casework.resume, self.town.a, self.share(), None, self.town.now)

    async def complete(self) -> None:
        await self.town.do(casework.complete, self.town.a, self.share(), MET, (DONE,), self.town.now)

    async def discharge(self) -> None:
        rows = await self.town.see(self.town.coordinator, "SELECT referral_id FROM task WHERE id = $1", self.share())
        await self.town.discharged(await self.town.loop(rows[0][0]))

    async def hand_over(self, **period: Any) -> None:
        new = NewHandOver(self.person(), self.person(), "leave", **period)
        await self.town.do(handing_over_flow.hand_over, self.town.a, new, self.town.now)

    async def plan(self) -> None:
        starts = self.town.now + timedelta(days=self.lot.randrange(0, 5))
        await self.hand_over(starts_at=starts, ends_at=starts + timedelta(days=self.lot.randrange(1, 9)))

    async def come_back(self) -> None:
        await self.town.do(handing_over_flow.come_back, self.town.a, self.person(), self.town.now)

    async def wait(self) -> None:
        self.town.later(days=self.lot.randrange(1, 4))
        while await self.town.do(handing_over_flow.due, self.town.coordinator, self.town.now):
            pass


@pytest.mark.parametrize("seed", range(6))
async def test_after_any_hand_over_no_open_step_names_who_is_away(town: Town, seed: int) -> None:
    history = People(town, await colleagues(town), random.Random(seed))
    for _ in range(LONG):
        await history.step()
        assert await town.see(town.coordinator, AWAY_AND_NAMED, town.now) == [], (seed, history.done)
    assert await town.nobody_forgotten()
    assert "hand-over" in history.done and history.shares
    for worker in history.staff:
        try:
            await town.do(handing_over_flow.come_back, town.a, worker, town.now)
        except Refusal:
            continue
    back = await town.see(town.coordinator, "SELECT count(*) FROM worker WHERE away_since IS NOT NULL")
    assert back == [(0,)]
    assert await town.see(town.coordinator, AWAY_AND_NAMED, town.now) == []


@pytest.mark.parametrize(("role", "may"), [("social_worker", False), ("supervisor", True), ("agency", True)])
async def test_a_persons_work_is_handed_over_by_the_supervisor_and_not_by_a_colleague(
    town: Town, role: str, may: bool
) -> None:
    share = await town.started()
    kind = "client" if role == "agency" else "person"
    actor = Actor(new_id(), kind, town.a.organization, role, "x", worker=town.workers["worker-a2"])  # type: ignore[arg-type]
    assert share.worker is not None
    new = NewHandOver(share.worker, town.workers["worker-a2"], "sickness")
    if may:
        made = await town.do(handing_over_flow.hand_over, actor, new, town.now)
        assert made.hand_over.moved == 1
    else:
        with pytest.raises(Forbidden):
            await town.do(handing_over_flow.hand_over, actor, new, town.now)
        assert await town.do(handing_over_flow.caseload, actor, share.worker, town.now)
