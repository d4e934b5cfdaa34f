"""What an agency answers: every status from every status, and what each move needs (contract.md, “Answer”)."""

from datetime import timedelta
from typing import Any

import pytest

from service.values import utc_now
from tests.http.loop import (
    EVERY_STATUS,
    done,
    ending,
    nothing_changes,
    procedure,
    refused,
    says,
    share_in,
    started,
    stored,
)
from tests.http.world import World, closed, output, reason

# moves.md's first table as an agency walks it, written down by hand: from → to.
MOVES = {
    "requested": {"accepted", "rejected"},
    "accepted": {"in-progress", "on-hold", "cancelled", "completed", "failed"},
    "in-progress": {"on-hold", "completed", "failed"},
    "on-hold": {"in-progress", "completed", "failed"},
    "rejected": set[str](),
    "cancelled": set[str](),
    "completed": set[str](),
    "failed": set[str](),
    "entered-in-error": set[str](),
}


def moved(share: dict[str, Any], to: str) -> dict[str, Any]:
    """The Task with a new status and whatever the move could need."""
    if to in ("rejected", "cancelled"):
        return share | {"status": to, "statusReason": reason("no-capacity")}
    if to in ("completed", "failed"):
        return share | {"status": to, "statusReason": closed()} | ({"output": [output()]} if to == "completed" else {})
    if to == "on-hold":
        return share | {"status": to, "statusReason": {"text": "病人转院检查"}}
    return share | {"status": to}


@pytest.mark.parametrize("status", MOVES)
async def test_behaviour_11_every_other_move_is_refused_and_changes_nothing(world: World, status: str) -> None:
    agency = world.party("agency-a")
    share = await share_in(world, status)
    async with nothing_changes(world):
        for to in EVERY_STATUS:
            if to == status or to in MOVES[status]:
                continue
            answer = await agency.put(moved(share, to))
            refused(answer, 403 if to == "entered-in-error" else 422)
            if "No move leads" in str(answer):
                assert all(way in str(answer) for way in MOVES[status]), "it says which moves there are"


@pytest.mark.parametrize("status", [status for status in MOVES if MOVES[status]])
async def test_behaviour_11_every_move_of_the_table_is_made(world: World, status: str) -> None:
    agency = world.party("agency-a")
    for to in sorted(MOVES[status]):
        share = await share_in(world, status)
        answer = done(await agency.put(moved(share, to)))
        assert answer["status"] == to
        assert int(answer["meta"]["versionId"]) == int(share["meta"]["versionId"]) + 1


@pytest.mark.parametrize("status", MOVES)
async def test_the_same_status_with_the_same_content_is_no_new_version(world: World, status: str) -> None:
    share = await share_in(world, status)
    async with nothing_changes(world):
        again = await world.party("agency-a").put(share)
        assert again.status == 200 and again["meta"]["versionId"] == share["meta"]["versionId"]
        assert again.headers["etag"] == share.headers["etag"]


@pytest.mark.parametrize("to", ["accepted", "rejected", "in-progress", "on-hold", "completed", "failed", "cancelled"])
async def test_a_move_sent_again_is_answered_as_before(world: World, to: str) -> None:
    agency = world.party("agency-a")
    source = {"accepted": "requested", "rejected": "requested"}.get(to, "accepted")
    sent = moved(await share_in(world, source), to)
    first = done(await agency.put(sent))
    async with nothing_changes(world):
        again = await agency.put(sent)
        assert again.status == 200 and again["meta"]["versionId"] == first["meta"]["versionId"]


async def test_what_has_ended_is_not_rewritten(world: World) -> None:
    agency = world.party("agency-a")
    ended = await share_in(world, "completed")
    async with nothing_changes(world):
        refused(await agency.put(ended, output=[output(), output()]), 422)
        refused(await agency.put(ended, statusReason=closed("capable")), 422)
        refused(await agency.put(ended, note=[{"text": "补记"}]), 422)
    declined = await share_in(world, "rejected")
    async with nothing_changes(world):
        refused(await agency.put(declined, statusReason=reason("out-of-area")), 422)


@pytest.mark.parametrize("party", ["agency-b", "agency-c", "his-b"])
async def test_behaviour_12_nobody_else_may_know_of_it(world: World, party: str) -> None:
    share = await share_in(world, "requested")
    async with nothing_changes(world):
        assert (await world.party(party).get(f"Task/{share['id']}")).status == 404
        for to in EVERY_STATUS:
            refused(await world.party(party).put(moved(share, to)), 404)


@pytest.mark.parametrize("party", ["his-a", "platform"])
async def test_behaviour_12_the_agencys_moves_are_the_agencys(world: World, party: str) -> None:
    for status in ("requested", "accepted", "in-progress", "on-hold"):
        share = await share_in(world, status)
        async with nothing_changes(world):
            for to in sorted(MOVES[status] - {"cancelled"}):
                refused(await world.party(party).put(moved(share, to)), 403)


@pytest.mark.parametrize("body", [
    {"statusReason": None},
    {"statusReason": {"text": "没有名额"}},
    {"statusReason": {"coding": [{"system": "urn:yuanshe:decline-reason", "code": "no-capacity"}]}},
    {"statusReason": {"coding": [{"system": "urn:yuanshe:decline-reason", "code": "tired"}], "text": "累"}},
    {"statusReason": {"coding": [{"system": "urn:yuanshe:closure-reason", "code": "goals-met"}], "text": "完成"}},
])  # fmt: skip
async def test_declining_takes_a_coded_reason_with_words(world: World, body: dict[str, Any]) -> None:
    offer = await share_in(world, "requested")
    sent = {key: value for key, value in (offer | body | {"status": "rejected"}).items() if value is not None}
    async with nothing_changes(world):
        answer = refused(await world.party("agency-a").put(sent), 422)
        assert answer["issue"][0]["expression"][0].startswith("Task.statusReason")


async def test_holding_takes_a_reason_and_by_default_fourteen_days(world: World) -> None:
    agency = world.party("agency-a")
    share = await share_in(world, "in-progress")
    async with nothing_changes(world):
        refused(await agency.put({k: v for k, v in share.items() if k != "statusReason"}, status="on-hold"), 422)
    held = done(await agency.put(share, status="on-hold", statusReason={"text": "家属外出"}))
    assert says(held) == "paused"
    assert abs(ending(held) - utc_now() - timedelta(days=14)) < timedelta(minutes=5)


async def test_holding_until_a_date(world: World) -> None:
    agency = world.party("agency-a")
    share = await share_in(world, "in-progress")
    until = (utc_now() + timedelta(days=3)).replace(microsecond=0)
    sent = dict(share) | {
        "status": "on-hold",
        "statusReason": {"text": "家属外出"},
        "restriction": {"period": {"end": until.isoformat()}},
    }
    held = done(await agency.put(sent))
    assert ending(held) == until
    async with nothing_changes(world):
        again = done(await agency.put(sent))
        assert again["meta"]["versionId"] == held["meta"]["versionId"]
        other = {"restriction": {"period": {"end": (until + timedelta(days=9)).isoformat()}}}
        refused(await agency.put(held, **other), 422)
    past = await share_in(world, "accepted")
    async with nothing_changes(world):
        gone = {"period": {"end": (utc_now() - timedelta(days=1)).isoformat()}}
        refused(await agency.put(past, status="on-hold", statusReason={"text": "等"}, restriction=gone), 422)
    resumed = done(await agency.put(held, status="in-progress"))
    assert says(resumed) == "in-service" and "statusReason" not in resumed


async def test_an_acceptance_is_returned_within_the_grace_time_and_goes_to_the_next(world: World) -> None:
    referred = await world.refer("N05")
    share = await world.accepted(referred)
    back = done(await world.party("agency-a").put(share, status="cancelled", statusReason=reason("waitlist")))
    assert says(back) == "returned"
    assert (await world.offer(referred, "agency-b"))["status"] == "requested"
    parent = await world.parent(referred)
    assert parent["status"] == "accepted" and says(parent) == "offered"


async def test_a_return_takes_a_reason_to_decline(world: World) -> None:
    share = await share_in(world, "accepted")
    async with nothing_changes(world):
        for why in ({}, {"statusReason": closed()}, {"statusReason": {"text": "算了"}}):
            refused(await world.party("agency-a").put(share, status="cancelled", **why), 422)


async def test_what_was_begun_is_failed_not_returned(world: World) -> None:
    agency = world.party("agency-a")
    share = await share_in(world, "accepted")
    done(await agency.post("Procedure", procedure(share)))
    share = await agency.read(f"Task/{share['id']}")
    async with nothing_changes(world):
        refused(await agency.put(share, status="cancelled", statusReason=reason("waitlist")), 422, "use failed")


async def test_after_the_grace_time_it_is_failed_not_returned(world: World) -> None:
    share = await share_in(world, "accepted")
    async with world.as_owner() as connection:
        await connection.execute(
            "UPDATE task_version SET snapshot = (snapshot::jsonb || jsonb_build_object('accepted_at', $2::text))::json"
            " WHERE task_id = $1",
            share["id"], (utc_now() - timedelta(hours=3)).isoformat(),
        )  # fmt: skip
    async with nothing_changes(world):
        answer = await world.party("agency-a").put(share, status="cancelled", statusReason=reason("waitlist"))
        refused(answer, 422, "use failed")
    begun = done(await world.party("agency-a").put(share, status="in-progress"))
    async with nothing_changes(world):
        answer = await world.party("agency-a").put(begun, status="cancelled", statusReason=reason("waitlist"))
        refused(answer, 422, "fail")


@pytest.mark.parametrize("missing", ["output", "statusReason", "text", "code", "value", "list"])
async def test_behaviour_15_completing_takes_an_output_and_a_coded_reason_with_words(
    world: World, missing: str
) -> None:
    share = await share_in(world, "in-progress")
    changes: dict[str, Any] = {"status": "completed", "output": [output()], "statusReason": closed()}
    match missing:
        case "output" | "statusReason":
            del changes[missing]
        case "text":
            changes["statusReason"] = {"coding": closed()["coding"]}
        case "code":
            changes["statusReason"] = {"text": "目标达成"}
        case "value":
            changes["output"] = [{"type": output()["type"]}]
        case _:
            changes["statusReason"] = reason("no-capacity")
    async with nothing_changes(world):
        refused(await world.party("agency-a").put(share, **changes), 422)


async def test_without_disclosure_only_a_lost_or_withdrawn_person_is_completed(world: World) -> None:
    agency = world.party("agency-a")
    for code in ("goals-met", "consent-withdrawn", "lost"):
        share = await world.accepted(await world.refer("N05"), consent=False)
        assert says(share) == "awaiting-consent"
        async with nothing_changes(world):
            refused(await agency.put(share, status="in-progress"), 422)
            if code == "goals-met":
                refused(await agency.put(share, status="completed", output=[output()], statusReason=closed(code)), 422)
        if code != "goals-met":
            end = done(await agency.put(share, status="completed", output=[output()], statusReason=closed(code)))
            assert says(end) == "closed"


async def test_a_failed_share_takes_a_closure_reason_and_goes_to_the_next_agency(world: World) -> None:
    referred = await world.refer("N05")
    share = await started(world, referred)
    async with nothing_changes(world):
        refused(await world.party("agency-a").put(share, status="failed", statusReason=reason("no-capacity")), 422)
        refused(await world.party("agency-a").put(share, status="failed"), 422)
    gone = done(await world.party("agency-a").put(share, status="failed", statusReason=closed("worker-agency-change")))
    assert says(gone) == "failed"
    assert (await world.offer(referred, "agency-b"))["status"] == "requested"
    parent = await world.parent(referred)
    assert parent["status"] == "in-progress" and says(parent) == "offered"
    second = await world.accepted(referred, "agency-b")
    assert (await world.parent(referred))["status"] == "in-progress"
    done(await world.party("agency-b").put(second, status="completed", output=[output()], statusReason=closed()))
    assert (await world.parent(referred))["status"] == "completed"


async def test_a_stale_version_is_refused_first_even_on_a_retry(world: World) -> None:
    agency = world.party("agency-a")
    offer = await share_in(world, "requested")
    taken = done(await agency.put(offer, if_match=offer.headers["etag"], status="accepted"))
    async with nothing_changes(world):
        refused(await agency.put(offer, if_match=offer.headers["etag"], status="accepted"), 412)
        refused(await agency.put(taken, if_match=offer.headers["etag"], status="completed"), 412)
        patch = [{"op": "replace", "path": "/status", "value": "accepted"}]
        refused(await agency.ask("PATCH", f"Task/{offer['id']}", patch, kind="application/json-patch+json",
                                 if_match=offer.headers["etag"]), 412)  # fmt: skip
        again = await agency.put(offer, if_match=taken.headers["etag"], status="accepted")
        assert again.status == 200 and again.headers["etag"] == taken.headers["etag"]
    refused(await agency.put(taken, if_match='W/"99"', status="in-progress"), 412)


async def test_only_the_agencys_own_elements_are_read_the_rest_must_be_what_it_could_read(world: World) -> None:
    agency = world.party("agency-a")
    offer = await share_in(world, "requested")
    for element, value in {
        "priority": "stat", "for": {"reference": "Patient/1"}, "authoredOn": "2020-01-01T00:00:00Z", "intent": "plan",
        "description": "改过的", "focus": {"reference": "ServiceRequest/1"}, "requester": {"reference": "Organization/1"},
        "restriction": {"period": {"end": "2030-01-01T00:00:00Z"}}, "identifier": [{"value": "1"}], "code": {"text": "别的"},
        "extension": [{"url": "urn:x", "valueString": "y"}], "input": [{"type": {"text": "x"}, "valueString": "y"}],
    }.items():  # fmt: skip
        async with nothing_changes(world):
            refused(await agency.put(offer, status="accepted", **{element: value}), 422, f"Task.{element}")


async def test_what_an_older_version_showed_is_taken_as_read(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    done(await agency.put(offer, status="accepted"))
    await world.consent(referred, "agency-a")
    now = await agency.read(f"Task/{offer['id']}")
    assert now["for"] != offer["for"]
    begun = done(await agency.put(offer, status="in-progress"))
    assert begun["status"] == "in-progress" and begun["for"] == now["for"]


async def test_a_json_patch_moves_it_and_a_test_in_it_holds_or_nothing_happens(world: World) -> None:
    agency = world.party("agency-a")
    offer = await share_in(world, "requested")
    patch = "application/json-patch+json"
    path = f"Task/{offer['id']}"
    async with nothing_changes(world):
        wrong = [
            {"op": "test", "path": "/status", "value": "accepted"},
            {"op": "replace", "path": "/status", "value": "accepted"},
        ]
        refused(await agency.ask("PATCH", path, wrong, kind=patch), 409)
        refused(
            await agency.ask("PATCH", path, [{"op": "replace", "path": "/nowhere/at/all", "value": 1}], kind=patch), 400
        )
        refused(
            await agency.ask("PATCH", path, [{"op": "replace", "path": "/priority", "value": "stat"}], kind=patch), 422
        )
        refused(await agency.ask("PATCH", path, [{"op": "replace", "path": "/id", "value": "1"}], kind=patch), 400)
        refused(await agency.ask("PATCH", path, {"status": "accepted"}, kind="application/merge-patch+json"), 415)
        refused(await world.party("agency-b").ask("PATCH", path, wrong, kind=patch), 404)
    right = [
        {"op": "test", "path": "/status", "value": "requested"},
        {"op": "replace", "path": "/status", "value": "accepted"},
    ]
    taken = done(await agency.ask("PATCH", path, right, kind=patch))
    assert taken["status"] == "accepted"
    declined = await share_in(world, "requested")
    said = [
        {"op": "replace", "path": "/status", "value": "rejected"},
        {"op": "add", "path": "/statusReason", "value": reason("waitlist")},
    ]
    assert done(await agency.ask("PATCH", f"Task/{declined['id']}", said, kind=patch))["status"] == "rejected"


async def test_the_worker_named_is_licensed_and_of_the_agency(world: World) -> None:
    agency = world.party("agency-a")
    workers = {await name_of(world, w): w for w in await agency.search("PractitionerRole?_count=50")}
    own, foreign = workers["林知行"], workers["何暖"]
    offer = await share_in(world, "requested")
    async with nothing_changes(world):
        refused(
            await agency.put(offer, status="accepted", owner={"reference": f"PractitionerRole/{foreign['id']}"}), 422
        )
        refused(await agency.put(offer, status="accepted", owner={"reference": world.organizations["agency-b"]}), 422)
        refused(await agency.put(offer, status="accepted", owner={"reference": "Practitioner/1"}), 422)
    async with world.as_owner() as connection:
        await connection.execute("UPDATE worker SET licensed_to = '2025-01-01' WHERE id = $1", own["id"])
    async with nothing_changes(world):
        refused(await agency.put(offer, status="accepted", owner={"reference": f"PractitionerRole/{own['id']}"}), 422)
    async with world.as_owner() as connection:
        await connection.execute("UPDATE worker SET licensed_to = '2099-01-01' WHERE id = $1", own["id"])
    taken = done(await agency.put(offer, status="accepted", owner={"reference": f"PractitionerRole/{own['id']}"}))
    assert taken["owner"] == {"reference": f"PractitionerRole/{own['id']}"}
    async with nothing_changes(world):
        done(await agency.put(offer, status="accepted", owner={"reference": f"PractitionerRole/{own['id']}"}))
    found = await agency.search(f"Task?owner={world.organizations['agency-a']}")
    assert [task["id"] for task in found] == [taken["id"]]
    assert [t["id"] for t in await agency.search(f"Task?owner=PractitionerRole/{own['id']}")] == [taken["id"]]
    assert await agency.search(f"Task?owner={world.organizations['agency-b']}") == []


async def test_a_start_that_names_nobody_takes_the_duty_worker(world: World) -> None:
    agency = world.party("agency-a")
    share = await share_in(world, "accepted")
    assert share["owner"] == {"reference": world.organizations["agency-a"]}
    begun = done(await agency.put(share, status="in-progress"))
    named = await agency.read(begun["owner"]["reference"])
    assert await name_of(world, named) == "周明远"


async def test_another_worker_is_named_without_moving_the_task(world: World) -> None:
    agency = world.party("agency-a")
    begun = await share_in(world, "in-progress")
    workers = {await name_of(world, w): w for w in await agency.search("PractitionerRole?_count=50")}
    other = {"reference": f"PractitionerRole/{workers['林知行']['id']}"}
    changed = done(await agency.put(begun, owner=other))
    assert changed["owner"] == other and changed["status"] == "in-progress"
    assert int(changed["meta"]["versionId"]) == int(begun["meta"]["versionId"]) + 1


async def name_of(world: World, role: dict[str, Any]) -> str:
    person = await world.party("agency-a").read(role["practitioner"]["reference"])
    return person["name"][0]["text"]


async def test_a_note_goes_along_with_a_move(world: World) -> None:
    agency = world.party("agency-a")
    offer = await share_in(world, "requested")
    taken = done(await agency.put(offer, status="accepted", note=[{"text": "明天联系病房"}]))
    assert taken["status"] == "accepted" and taken["note"] == [{"text": "明天联系病房"}]


async def test_the_receipt_is_written_with_the_completion_and_read_by_both_parties_alone(world: World) -> None:
    referred = await world.refer("N05")
    share = await started(world, referred)
    done(await world.party("agency-a").put(share, status="completed", output=[output()], statusReason=closed()))
    found = await world.party("his-a").search(f"Communication?based-on={referred.request}")
    receipts = [c for c in found if c["category"][0]["coding"][0]["code"] == "receipt"]
    assert len(receipts) == 1
    receipt = receipts[0]
    assert receipt["category"][0]["coding"][0]["system"] == "urn:yuanshe:message"
    assert receipt["recipient"] == [{"reference": world.organizations["hospital-a"]}]
    assert await world.party("his-a").search(
        f"Communication?about={referred.request}&category=urn:yuanshe:message|receipt"
    )
    for other in ("his-b", "agency-b"):
        assert (await world.party(other).get(f"Communication/{receipt['id']}")).status == 404
    parent = await world.parent(referred)
    assert parent["status"] == "completed" and parent["output"]
    assert (await world.party("his-a").read(referred.request))["status"] == "completed"


async def test_an_expired_or_withdrawn_offer_of_ones_own_is_not_accepted(world: World) -> None:
    from tests.http.loop import later, sweep

    agency = world.party("agency-a")
    expired = await share_in(world, "requested")
    await sweep(world, "expire", later(days=30))
    withdrawn_of = await world.refer("N05")
    withdrawn = await world.offer(withdrawn_of)
    hospital = world.party("his-a")
    done(await hospital.put(await hospital.read(withdrawn_of.request), status="revoked"))
    before = await stored(world)
    for offer, word in ((expired, "expired"), (withdrawn, "withdrawn")):
        assert says(await agency.read(f"Task/{offer['id']}")) == word
        refused(await agency.put(offer, status="accepted"), 422)
    assert await stored(world) == before


async def test_a_transaction_of_answers_is_made_whole_or_not_at_all(world: World) -> None:
    agency = world.party("agency-a")
    one, other = await share_in(world, "requested"), await share_in(world, "requested")

    def bundle(*tasks: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
        entries = [{"resource": t, "request": {"method": "PUT", "url": f"Task/{t['id']}"}} for t in tasks]
        return {"resourceType": "Bundle", "type": kind, "entry": entries}

    async with nothing_changes(world):
        refused(await agency.post("", bundle(moved(one, "accepted"), moved(other, "completed"))), 422, "entry[1]")
        stale = bundle(moved(one, "accepted"), moved(other, "accepted"))
        stale["entry"][1]["request"]["ifMatch"] = 'W/"9"'
        refused(await agency.post("", stale), 412)
    answers = done(await agency.post("", bundle(moved(one, "accepted"), moved(other, "completed"), kind="batch")))
    assert [entry["response"]["status"][:3] for entry in answers["entry"]] == ["200", "422"]
    assert (await agency.read(f"Task/{one['id']}"))["status"] == "accepted"
    whole = done(
        await agency.post(
            "", bundle(moved(await agency.read(f"Task/{one['id']}"), "on-hold"), moved(other, "accepted"))
        )
    )
    assert [entry["response"]["status"][:3] for entry in whole["entry"]] == ["200", "200"]
