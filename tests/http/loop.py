"""What the tests of a running loop share: the words of a Task, the resources that a party writes, and what is stored."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters import worker
from service.referrals import store
from service.values import utc_now
from tests.http.world import Answered, Party, Referred, World, closed, output, reason

DISPOSITION = "urn:oid:2.16.156.10011.2.3.1.265"
OUTCOME = "urn:yuanshe:follow-up-outcome"
EVERY_STATUS = (
    "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold", "failed",
    "completed", "entered-in-error",
)  # fmt: skip


def says(task: dict[str, Any]) -> str | None:
    """The code of a Task's businessStatus."""
    return task["businessStatus"]["coding"][0]["code"] if "businessStatus" in task else None


def ending(task: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(task["restriction"]["period"]["end"])


def later(**by: float) -> datetime:
    return utc_now() + timedelta(**by)


def message(kind: str | None, about: str | None = None, **changes: Any) -> dict[str, Any]:
    """A Communication of a category of ours about a Task or a ServiceRequest."""
    said: dict[str, Any] = {"resourceType": "Communication", "status": "completed"}
    if kind:
        said["category"] = [{"coding": [{"system": "urn:yuanshe:message", "code": kind}]}]
    if about:
        said["about"] = [{"reference": about}]
    return said | changes


def crisis(step: str, about: str, text: str | None = "已处理", **changes: Any) -> dict[str, Any]:
    """A step of a crisis."""
    concept: dict[str, Any] = {"coding": [{"system": "urn:yuanshe:crisis", "code": step}]}
    return message("crisis", about, reasonCode=[concept | ({"text": text} if text else {})], **changes)


def procedure(share: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An intervention on an agency's share."""
    return {
        "resourceType": "Procedure",
        "status": "completed",
        "code": {"coding": [{"system": "urn:yuanshe:service-type", "code": "discharge-planning"}]},
        "subject": share["for"],
        "basedOn": [share["focus"]],
        "performedDateTime": datetime.now(UTC).isoformat(),
    } | changes


def outcome(code: str) -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": "urn:yuanshe:task-code", "code": "outcome"}]},
        "valueCodeableConcept": {"coding": [{"system": OUTCOME, "code": code}]},
    }


def attempt(follow_up: dict[str, Any], *, reached: bool = True, **changes: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "resourceType": "Communication",
        "status": "completed" if reached else "not-done",
        "basedOn": [{"reference": f"Task/{follow_up['id']}"}],
        "medium": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode", "code": "PHONE"}]}],
    }  # fmt: skip
    if not reached:
        said["statusReason"] = {"text": "无人接听"}
    return said | changes


LADDER = ("phone", "phone", "visit", "community", "letter")


async def tried(party: Party, follow_up: dict[str, Any], *channels: str, **changes: Any) -> Answered:
    """Attempts that reached nobody, one a channel; the follow-up afterwards."""
    for channel in channels or LADDER:
        medium = [{"coding": [{"system": "urn:yuanshe:channel", "code": channel}]}]
        done(await party.post("Communication", attempt(follow_up, reached=False, medium=medium, **changes)))
    return await party.read(f"Task/{follow_up['id']}")


async def discharge(
    world: World, referred: Referred, disposition: str | None = "1", at: datetime | None = None
) -> Answered:
    hospital = world.party("his-a")
    bed = await hospital.read(referred.stay)
    left: dict[str, Any] = {
        "status": "finished", "period": bed["period"] | {"end": (at or datetime.now(UTC)).isoformat()},
    }  # fmt: skip
    if disposition:
        left["hospitalization"] = {"dischargeDisposition": {"coding": [{"system": DISPOSITION, "code": disposition}]}}
    return await hospital.put(bed, **left)


async def follow_ups(party: Party, referred: Referred) -> list[dict[str, Any]]:
    """The follow-ups of a referral that the party sees, first window first."""
    found = await party.search(f"Task?based-on={referred.request}&code=urn:yuanshe:task-code|follow-up")
    return sorted(found, key=lambda task: task["restriction"]["period"]["start"])


async def started(world: World, referred: Referred, agency: str = "agency-a") -> Answered:
    share = await world.accepted(referred, agency)
    begun = await world.party(agency).put(share, status="in-progress")
    assert begun.status == 200, begun
    return begun


async def share_in(world: World, status: str) -> Answered:
    """A share of agency-a in this status, reached by the moves that lead there."""
    agency, hospital = world.party("agency-a"), world.party("his-a")
    referred = await world.refer("N05")
    if status == "requested":
        return await world.offer(referred)
    if status == "rejected":
        return done(
            await agency.put(await world.offer(referred), status="rejected", statusReason=reason("no-capacity"))
        )
    share = await world.accepted(referred)
    match status:
        case "accepted":
            return share
        case "in-progress":
            return done(await agency.put(share, status="in-progress"))
        case "on-hold":
            return done(await agency.put(share, status="on-hold", statusReason={"text": "病人转院检查"}))
        case "completed":
            return done(await agency.put(share, status="completed", output=[output()], statusReason=closed()))
        case "failed":
            return done(await agency.put(share, status="failed", statusReason=closed("moved")))
        case "cancelled":
            return done(await agency.put(share, status="cancelled", statusReason=reason("no-capacity")))
        case "entered-in-error":
            done(
                await hospital.put(
                    await hospital.read(f"Task/{share['id']}"), status=status, statusReason={"text": "误录"}
                )
            )
            return await agency.read(f"Task/{share['id']}")
        case _:
            raise AssertionError(status)


def done(answer: Answered) -> Answered:
    assert answer.status in (200, 201), answer
    return answer


def refused(answer: Answered, status: int, says: str | None = None) -> Answered:
    """The answer is this refusal, and an OperationOutcome says why."""
    assert answer.status == status, answer
    assert answer["resourceType"] == "OperationOutcome" and answer["issue"]
    if says:
        assert says in str(answer["issue"]), answer
    return answer


async def sweep(world: World, name: str, now: datetime) -> int:
    """Run one of the worker's sweeps as of `now`, until it finds nothing more; how many it handled."""
    handled = 0
    while True:
        async with world.database.transaction(worker.CLOCK.scope) as session:
            found = await worker.SWEEPS[name].run(session, worker.CLOCK, now)
        if not found:
            return handled
        handled += found


STORED = (
    "referral", "referral_version", "task", "task_version", "event", "record", "consent", "disclosure", "patient", "patient_identifier",
    "stay", "case_file", "case_step", "case_goal", "case_plan", "case_approval", "case_orphan", "intervention", "contact_attempt", "next_step", "place", "agency_service", "open_offer", "routing_decision",
    "submission", "screening", "suggestion", "mandatory_report",
    "hand_over", "hand_over_item", "co_work", "case_transfer", "time_entry", "worker", "attachment",
)  # fmt: skip


async def stored(world: World) -> dict[str, str]:
    """A fingerprint of every table that a verb writes; the audit is not among them."""
    found: dict[str, str] = {}
    async with world.database.transaction(worker.CLOCK.scope) as session:
        for table in STORED:
            # Positions are given by a job, after the fact.
            row = "(to_jsonb(t) - 'position')::text" if table == "event" else "t::text"
            found[table] = await session.fetchval(
                f"SELECT md5(coalesce(string_agg({row}, ' ' ORDER BY {row}), '')) FROM {table} t"
            )
    return found


@contextlib.asynccontextmanager
async def nothing_changes(world: World) -> AsyncIterator[None]:
    """Whatever is tried within leaves every row as it was."""
    before = await stored(world)
    yield
    after = await stored(world)
    assert after == before, [table for table in STORED if after[table] != before[table]]


async def forgotten(world: World) -> int:
    """How many referrals are open without exactly one answer to “who acts next”, or closed with one."""
    async with world.database.transaction(worker.CLOCK.scope) as session:
        return await store.without_step(session)
