"""Leave and sickness: all that names a person goes to a colleague in one act, and comes back (docs/handing-over.md)."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters import worker
from service.casework import handing_over_flow
from service.errors import Conflict
from tests.http.loop import discharge, done, follow_ups, later, nothing_changes, refused, sweep
from tests.http.staff import do, parts, share_of, workers
from tests.http.test_races import whole
from tests.http.world import Answered, World

AGENCY = "agency-a"


async def naming(world: World, person: str) -> dict[str, int]:
    """How many open things name this person: Tasks, next steps, cases, co-work."""
    id = person.partition("/")[2]
    found: dict[str, int] = {}
    async with world.database.transaction(worker.CLOCK.scope) as session:
        for what, table in (
            ("tasks", "task WHERE open AND worker_id = $1"),
            ("steps", "next_step WHERE worker_id = $1"),
            ("cases", "case_file WHERE closed_at IS NULL AND worker_id = $1"),
            ("co-work", "co_work c JOIN task t ON t.id = c.task_id WHERE t.open AND c.worker_id = $1 AND (c.ends_at IS NULL OR c.ends_at > now())"),
        ):  # fmt: skip
            found[what] = await session.fetchval(f"SELECT count(*) FROM {table}", id)
        # The snapshots say what the columns say.
        assert await session.fetchval(
            "SELECT count(*) FROM task t JOIN task_version v ON v.task_id = t.id AND v.version = t.version"
            " WHERE t.worker_id IS DISTINCT FROM (v.snapshot ->> 'worker')::uuid"
        ) == 0  # fmt: skip
    return found


NOTHING = {"tasks": 0, "steps": 0, "cases": 0, "co-work": 0}


async def away(world: World, person: str, to: str, by: str = AGENCY, **given: Any) -> Answered:
    return await do(world.party(by), f"{person}/$hand-over", **({"to": to, "reason": "sickness"} | given))


async def test_one_act_moves_every_share_follow_up_case_and_next_step_to_the_colleague(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    shares = [await share_of(world, staff["worker-a"]) for _ in range(3)]
    other = await share_of(world, staff["worker-a2"])
    referred = await world.refer("N05")
    mine = await world.accepted(referred)
    done(await agency.put(mine, status="in-progress", owner={"reference": staff["worker-a"]}))
    done(await discharge(world, referred))
    plan = await follow_ups(agency, referred)
    assert {task["owner"]["reference"] for task in plan} == {staff["worker-a"]}
    answer = done(await away(world, staff["worker-a"], staff["supervisor-a"]))
    (it,) = parts(answer, "handOver")
    assert it["state"] == "in-force" and it["moved"] == 4 + len(plan) == len(parts(answer, "item"))
    assert await naming(world, staff["worker-a"]) == NOTHING
    for task in (*shares, mine, *plan):
        now = await agency.read(f"Task/{task['id']}")
        assert now["owner"]["reference"] == staff["supervisor-a"]
        assert now["status"] == ("in-progress" if task is mine else task["status"])
    assert (await agency.read(f"Task/{other['id']}"))["owner"]["reference"] == staff["worker-a2"]
    actions, step = await world.timeline(referred, AGENCY)
    assert actions.count("hand-over") == 1 + len(plan)
    assert step is not None and step["who"]["reference"] == staff["supervisor-a"]
    assert "sickness" not in str(await world.party("his-a").read(f"{referred.request}/$timeline"))
    await whole(world)


async def test_a_dry_run_tells_what_would_be_moved_and_changes_nothing(world: World) -> None:
    staff = await workers(world)
    share = await share_of(world, staff["worker-a"])
    async with nothing_changes(world):
        told = done(await away(world, staff["worker-a"], staff["worker-a2"], dryRun=True))
    assert [item["task"] for item in parts(told, "item")] == [f"Task/{share['id']}"]
    assert parts(told, "handOver")[0]["state"] == "planned"
    load = done(await world.party(AGENCY).get(f"{staff['worker-a']}/$caseload"))
    assert parts(load, "item") == parts(told, "item")
    would_not = done(await away(world, staff["worker-a"], staff["worker-b"], dryRun=True))
    assert "same agency" in parts(would_not, "refused")[0]["why"]


@pytest.mark.parametrize(
    ("to", "why"),
    [("worker-b", "same agency"), ("worker-a", "themself"), ("unlicensed", "not licensed"), ("gone", "away")],
)
async def test_who_cannot_take_the_work_is_refused_and_nothing_is_left_without_an_owner(
    world: World, to: str, why: str
) -> None:
    staff = await workers(world)
    await share_of(world, staff["worker-a"])
    if to == "unlicensed":
        async with world.as_owner() as connection:
            await connection.execute("UPDATE worker SET licensed_to = '2025-01-01' WHERE key = 'worker-a2'")
    if to == "gone":
        done(await away(world, staff["worker-a2"], staff["supervisor-a"]))
    colleague = staff.get(to, staff["worker-a2"])
    async with nothing_changes(world):
        answer = refused(await away(world, staff["worker-a"], colleague), 422, why)
    assert answer["issue"][0]["expression"]


async def test_only_the_agency_or_the_coordinator_hands_its_peoples_work_over(world: World) -> None:
    staff = await workers(world)
    await share_of(world, staff["worker-a"])
    async with nothing_changes(world):
        for by in ("agency-b", "his-a", "auditor"):
            refused(await away(world, staff["worker-a"], staff["worker-a2"], by=by), 403)
        refused(await away(world, staff["worker-a"], staff["worker-a2"], reason="bored"), 422, "absence-reason")
        refused(await away(world, staff["worker-a"], staff["worker-a2"], period={"end": "2020-01-01"}), 422, "ends")
        refused(await do(world.party(AGENCY), f"{staff['worker-a']}/$hand-over", too="x"), 422, "not known")
    done(await away(world, staff["worker-a"], staff["worker-a2"], by="platform"))
    refused(await away(world, staff["worker-a"], staff["supervisor-a"]), 409, "already")


async def test_who_is_away_is_named_for_nothing_and_shows_as_not_available(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    done(await away(world, staff["worker-a2"], staff["worker-a"]))
    assert "notAvailable" in await agency.read(staff["worker-a2"])
    share = await world.accepted(await world.refer("N05"))
    answer = await agency.put(share, status="in-progress", owner={"reference": staff["worker-a2"]})
    refused(answer, 422, "away")
    # worker-a2 is the duty worker: while they are away somebody else is taken.
    begun = done(await agency.put(share, status="in-progress"))
    assert begun["owner"]["reference"] != staff["worker-a2"]
    done(await do(agency, f"{staff['worker-a2']}/$come-back"))
    assert "notAvailable" not in await agency.read(staff["worker-a2"])
    again = await world.accepted(await world.refer("N05"))
    assert done(await agency.put(again, status="in-progress"))["owner"]["reference"] == staff["worker-a2"]


async def test_what_is_still_open_goes_back_and_what_changed_hands_since_stays(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    kept, given, _ = [await share_of(world, staff["worker-a"]) for _ in range(3)]
    done(await away(world, staff["worker-a"], staff["worker-a2"]))
    given = await agency.read(f"Task/{given['id']}")
    done(await agency.put(given, owner={"reference": staff["supervisor-a"]}))
    ended = done(await do(agency, f"{staff['worker-a']}/$come-back"))
    assert parts(ended, "handOver")[0]["state"] == "ended" and parts(ended, "handOver")[0]["givenBack"] == 2
    assert (await agency.read(f"Task/{kept['id']}"))["owner"]["reference"] == staff["worker-a"]
    assert (await agency.read(f"Task/{given['id']}"))["owner"]["reference"] == staff["supervisor-a"]
    assert await naming(world, staff["worker-a2"]) == NOTHING
    refused(await do(agency, f"{staff['worker-a']}/$come-back"), 409, "handed over")


async def test_a_hand_over_with_dates_begins_and_ends_by_itself(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    period = {"start": later(days=2).isoformat(), "end": later(days=9).isoformat()}
    planned = done(await away(world, staff["worker-a"], staff["worker-a2"], reason="leave", period=period))
    assert parts(planned, "handOver")[0]["state"] == "planned"
    late = await share_of(world, staff["worker-a"])
    assert await sweep(world, "hand-overs", later(days=1)) == 0
    assert await sweep(world, "hand-overs", later(days=2, minutes=1)) == 1
    for task in (share, late):
        assert (await agency.read(f"Task/{task['id']}"))["owner"]["reference"] == staff["worker-a2"]
    assert await sweep(world, "hand-overs", later(days=9, minutes=1)) == 1
    for task in (share, late):
        assert (await agency.read(f"Task/{task['id']}"))["owner"]["reference"] == staff["worker-a"]
    told = done(await agency.get(f"{staff['worker-a']}/$hand-over"))
    assert [it["state"] for it in parts(told, "handOver")] == ["ended"]
    await whole(world)


async def test_a_planned_one_that_cannot_begin_is_stuck_with_the_reason_and_one_not_begun_is_called_off(
    world: World,
) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    start = {"start": later(days=2).isoformat()}
    done(await away(world, staff["worker-a"], staff["worker-a2"], period=start))
    done(await do(agency, f"{staff['worker-a']}/$come-back"))
    done(await away(world, staff["worker-a"], staff["worker-a2"], period=start))
    async with world.as_owner() as connection:
        await connection.execute("UPDATE worker SET active = false WHERE key = 'worker-a2'")
    assert await sweep(world, "hand-overs", later(days=3)) == 1
    told = parts(done(await agency.get(f"{staff['worker-a']}/$hand-over")), "handOver")
    assert [(it["state"], it.get("why")) for it in told] == [("stuck", "cannot-take"), ("called-off", None)]
    assert (await agency.read(f"Task/{share['id']}"))["owner"]["reference"] == staff["worker-a"]


async def test_one_that_is_refused_half_way_leaves_everything_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    done(await away(world, staff["worker-a"], staff["worker-a2"], period={"start": later(days=2).isoformat()}))

    async def refuses(*_: Any) -> None:
        raise Conflict("Something else stands in the way.", key="in-the-way")

    monkeypatch.setattr(handing_over_flow, "_opened", refuses)
    assert await sweep(world, "hand-overs", later(days=3)) == 1
    (it,) = parts(done(await agency.get(f"{staff['worker-a']}/$hand-over")), "handOver")
    assert (it["state"], it["why"], it["moved"]) == ("stuck", "in-the-way", 0)
    assert (await agency.read(f"Task/{share['id']}"))["owner"]["reference"] == staff["worker-a"]
    await whole(world)


async def test_who_lost_their_licence_meanwhile_gets_nothing_back_and_nothing_is_without_an_owner(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    done(await away(world, staff["worker-a"], staff["worker-a2"]))
    async with world.as_owner() as connection:
        await connection.execute("UPDATE worker SET licensed_to = '2025-01-01' WHERE key = 'worker-a'")
    ended = done(await do(agency, f"{staff['worker-a']}/$come-back"))
    assert parts(ended, "handOver")[0]["state"] == "kept"
    assert (await agency.read(f"Task/{share['id']}"))["owner"]["reference"] == staff["worker-a2"]


async def test_what_is_handed_on_twice_goes_back_all_the_way(world: World) -> None:
    staff = await workers(world)
    agency = world.party(AGENCY)
    share = await share_of(world, staff["worker-a"])
    done(await away(world, staff["worker-a"], staff["worker-a2"]))
    done(await away(world, staff["worker-a2"], staff["supervisor-a"]))
    assert (await agency.read(f"Task/{share['id']}"))["owner"]["reference"] == staff["supervisor-a"]
    done(await do(agency, f"{staff['worker-a']}/$come-back"))
    assert (await agency.read(f"Task/{share['id']}"))["owner"]["reference"] == staff["worker-a"]
    done(await do(agency, f"{staff['worker-a2']}/$come-back"))
    assert (await agency.read(f"Task/{share['id']}"))["owner"]["reference"] == staff["worker-a"]
    await whole(world)


async def test_whoever_names_the_absent_person_at_that_moment_names_them_in_vain_or_in_time(world: World) -> None:
    """Starts and assignments that name the person, the colleague's own acceptances, and the hand-over, all at once: afterwards
    nothing open names the absent person, and everything has an owner."""
    staff = await workers(world)
    agency = world.party(AGENCY)
    for _ in range(3):
        mine = [await share_of(world, staff["worker-a"]) for _ in range(2)]
        fresh = [await world.accepted(await world.refer("N05")) for _ in range(4)]
        offers = [await world.offer(await world.refer("N05")) for _ in range(2)]
        answers = await asyncio.gather(
            *(agency.put(share, status="in-progress", owner={"reference": staff["worker-a"]}) for share in fresh),
            *(agency.put(offer, status="accepted", owner={"reference": staff["worker-a2"]}) for offer in offers),
            *(agency.put(share, status="on-hold", statusReason={"text": "外出"}) for share in mine),
            away(world, staff["worker-a"], staff["worker-a2"]),
            agency.put(fresh[0], owner={"reference": staff["worker-a"]}),
        )
        assert answers[-2].status == 200, answers[-2]
        assert all(answer.status in (200, 422) for answer in answers), answers
        assert await naming(world, staff["worker-a"]) == NOTHING
        await whole(world)
        done(await do(agency, f"{staff['worker-a']}/$come-back"))


async def test_two_hand_overs_of_one_person_at_once_one_holds(world: World) -> None:
    staff = await workers(world)
    share = await share_of(world, staff["worker-a"])
    answers = await asyncio.gather(*(away(world, staff["worker-a"], staff[to]) for to in ("worker-a2", "supervisor-a")))
    assert sorted(answer.status for answer in answers) == [200, 409]
    owner = (await world.party(AGENCY).read(f"Task/{share['id']}"))["owner"]["reference"]
    assert owner in (staff["worker-a2"], staff["supervisor-a"])
    assert await naming(world, staff["worker-a"]) == NOTHING


async def test_two_people_cannot_hand_over_to_each_other(world: World) -> None:
    staff = await workers(world)
    for key in ("worker-a", "worker-a2"):
        await share_of(world, staff[key])
    answers = await asyncio.gather(
        away(world, staff["worker-a"], staff["worker-a2"]), away(world, staff["worker-a2"], staff["worker-a"])
    )
    assert sorted(answer.status for answer in answers) == [200, 422]
    await whole(world)


async def copies(world: World, share: str, times: int) -> None:
    """As many referrals more as one in whose place each of its ids is another one."""
    ids: set[str] = set()
    rows: dict[str, list[str]] = {}
    async with world.as_owner() as connection:
        referral = await connection.fetchval("SELECT referral_id FROM task WHERE id = $1", share)
        for table, key in (("referral_counter", "referral_id"), ("referral", "id"), ("referral_version", "referral_id"),
                           ("task", "referral_id"), ("next_step", "referral_id"), ("case_file", "referral_id")):  # fmt: skip
            found = await connection.fetch(f"SELECT to_jsonb(t)::text AS row FROM {table} t WHERE {key} = $1", referral)
            rows[table] = [row["row"] for row in found]
        found = await connection.fetch("SELECT to_jsonb(v)::text AS row FROM task_version v JOIN task t ON t.id = v.task_id WHERE t.referral_id = $1", referral)  # fmt: skip
        rows["task_version"] = [row["row"] for row in found]
        for row in await connection.fetch(
            "SELECT id, filler_id, stand_in_id FROM task WHERE referral_id = $1", referral
        ):
            ids |= {str(id) for id in row if id}
        ids |= {
            str(referral),
            *(
                str(r["id"])
                for r in await connection.fetch("SELECT id FROM case_file WHERE referral_id = $1", referral)
            ),
        }
        for table, texts in rows.items():
            made: list[str] = []
            for number in range(times):
                for text in texts:
                    for id in ids:
                        text = text.replace(id, f"{number:08x}{id[8:]}")
                    made.append(text)
            await connection.execute(f"INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, x::jsonb)).* FROM unnest($1::text[]) AS x", made)  # fmt: skip


async def test_a_thousand_open_cases_are_handed_over_in_one_request(world: World) -> None:
    staff = await workers(world)
    share = await share_of(world, staff["worker-a"])
    await copies(world, share["id"], 999)
    assert (await naming(world, staff["worker-a"]))["tasks"] == 1000
    answer = done(await away(world, staff["worker-a"], staff["worker-a2"]))
    assert parts(answer, "handOver")[0]["moved"] == 1000
    assert await naming(world, staff["worker-a"]) == NOTHING
    assert await naming(world, staff["worker-a2"]) == {"tasks": 1000, "steps": 1000, "cases": 1000, "co-work": 0}
    ended = done(await do(world.party(AGENCY), f"{staff['worker-a']}/$come-back"))
    assert parts(ended, "handOver")[0]["givenBack"] == 1000


@pytest.mark.slow
async def test_an_operator_hands_over_by_command_and_back(world: World, tmp_path: Path) -> None:
    staff = await workers(world)
    share = await share_of(world, staff["worker-a"])

    async def yuanshe(*words: str) -> tuple[int, str]:
        environ = {**os.environ, "DATABASE_URL": world.clone.app_dsn, "YUANSHE_HOME": str(tmp_path)}
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters.main", "hand-over", *words, env=environ,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await program.communicate()
        return program.returncode or 0, said.decode()

    assert await yuanshe("worker-a", "worker-a2", "--dry-run") == (0, "would move: 1 Tasks.\n")
    assert (await yuanshe("worker-a", "worker-b"))[0] == 2
    assert await yuanshe("worker-a", "worker-a2", "--reason", "sickness") == (0, "in-force: 1 Tasks.\n")
    assert (await world.party(AGENCY).read(f"Task/{share['id']}"))["owner"]["reference"] == staff["worker-a2"]
    assert await yuanshe("worker-a", "--back") == (0, "ended: 1 went back.\n")
    code, said = await yuanshe("nobody", "worker-a2")
    assert code == 2 and "nobody" in said
