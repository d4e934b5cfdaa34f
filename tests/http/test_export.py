"""Exports in bulk as a client sees them (Bulk Data Access 2.0.0): asked for, waited for, fetched, and never more than may be seen."""

import asyncio
import gzip
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.fhir import bulk
from service.exports import flow as exports
from tests.http.exporting import NDJSON, download, everything, exported, fetched, ids, kick_off, place, raw, work
from tests.http.world import BASE, World
from tests.notices.test_worker import yuanshe

# ---- the flow ----------------------------------------------------------------------------------------------------------


async def test_behaviour_44_an_export_is_asked_for_waited_for_and_fetched(world: World) -> None:
    """Kick-off, 202 with progress, manifest, files with the token, as the guide's sequence has it (44)."""
    referred = await world.refer()
    his = world.party("his-a")
    asked = await his.get("$export", prefer="respond-async")
    assert asked.status == 202 and not asked
    at = asked.headers["content-location"]
    waiting = await his.get(place(at))
    assert waiting.status == 202
    assert waiting.headers["x-progress"] and int(waiting.headers["retry-after"]) > 0

    await work(world)
    manifest = await his.get(place(at))
    assert manifest.status == 200
    assert manifest.headers["content-type"].startswith("application/json")
    assert manifest.headers["expires"].endswith("GMT")
    assert manifest["request"] == f"{BASE}/fhir/$export"
    assert manifest["requiresAccessToken"] is True and manifest["error"] == []
    assert datetime.fromisoformat(manifest["transactionTime"]) <= datetime.now(UTC)

    lines = await fetched(world, his, manifest)
    assert referred.patient.split("/")[1] in ids(lines, "Patient")
    assert referred.request.split("/")[1] in ids(lines, "ServiceRequest")
    assert referred.stay.split("/")[1] in ids(lines, "Encounter")
    assert (await world.parent(referred))["id"] in ids(lines, "Task")
    assert {"Organization", "HealthcareService", "PractitionerRole"} <= lines.keys()
    for type, found in lines.items():
        assert len(ids(lines, type)) == len(found), f"a {type} comes twice"


async def test_what_is_exported_reads_as_what_is_read(world: World) -> None:
    referred = await world.refer()
    his = world.party("his-a")
    lines = await exported(world, his)
    for reference in (referred.patient, referred.request, referred.stay):
        type, id = reference.split("/")
        assert next(each for each in lines[type] if each["id"] == id) == dict(await his.read(reference))


async def test_a_line_is_a_line_whatever_stands_in_it(world: World) -> None:
    words = "一\n二\r\n三\u2028四"
    referred = await world.refer(patient={"address": [{"use": "home", "text": words, "district": "520502001"}]})
    lines = await exported(world, world.party("his-a"), "$export?_type=Patient")
    [person] = [each for each in lines["Patient"] if each["id"] == referred.patient.split("/")[1]]
    assert person["address"][0]["text"] == words


async def test_a_line_names_files_by_their_whole_address(world: World) -> None:
    """A line is read far from here; the same token opens the file (export.html#attachments)."""
    his = world.party("his-a")
    content = "知情同意书\n".encode()
    kept = await world.http.post(
        f"{BASE}/fhir/Binary",
        content=content,
        headers={"authorization": f"Bearer {his._token}", "content-type": "text/plain"},
    )
    assert kept.status_code == 201, kept.text
    name = "/".join(kept.headers["location"].split("/fhir/")[1].split("/")[:2])
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": "PATIENT"},
        "description": "Binary/1 is no address here",
        "content": [{"attachment": {"contentType": "text/plain", "url": name}}],
    }
    await world.refer(extra=[document])
    [line] = (await exported(world, his, "$export?_type=DocumentReference"))["DocumentReference"]
    url = line["content"][0]["attachment"]["url"]
    assert url == f"{BASE}/fhir/{name}" and line["description"] == document["description"]
    assert (await raw(world, his, url, accept="*/*")).content == content


async def test_files_need_the_token_and_come_as_gzip_where_that_is_accepted(world: World) -> None:
    await world.refer()
    his = world.party("his-a")
    at = await kick_off(his, "$export?_type=Patient")
    await work(world)
    [file] = (await his.get(place(at)))["output"]
    assert (await world.http.get(file["url"])).status_code == 401
    plain = await raw(world, his, file["url"], **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and int(plain.headers["content-length"]) == len(plain.content)
    async with world.http.stream(
        "GET", file["url"], headers={"authorization": f"Bearer {his._token}", "accept-encoding": "gzip"}
    ) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        octets = b"".join([part async for part in packed.aiter_raw()])
    assert gzip.decompress(octets) == plain.content
    headed = await world.http.head(file["url"], headers={"authorization": f"Bearer {his._token}"})
    assert headed.status_code == 200 and not headed.content


async def test_an_export_that_is_deleted_is_accepted_and_then_unknown(world: World) -> None:
    his = world.party("his-a")
    await world.refer()
    running, done = await kick_off(his, "$export?_type=Task"), await kick_off(his, "$export?_type=Patient")
    assert (await his.ask("DELETE", place(running))).status == 202
    await work(world)
    [file] = (await his.get(place(done)))["output"]
    assert (await his.ask("DELETE", place(done))).status == 202
    for at in (running, done):
        gone = await his.get(place(at))
        assert gone.status == 404 and gone["issue"][0]["code"] == "not-found"
        assert (await his.ask("DELETE", place(at))).status == 404
    assert (await raw(world, his, file["url"])).status_code == 404


async def test_expired_files_are_gone_and_dropped(world: World) -> None:
    await world.refer()
    his = world.party("his-a")
    at = await kick_off(his)
    await work(world)
    later = datetime.now(UTC) + timedelta(hours=25)
    async with world.as_owner() as owner:
        await owner.execute("UPDATE export SET expires_at = now() - interval '1 second'")
    assert (await his.get(place(at))).status == 404
    async with world.database.transaction(bulk.clock_actor(bulk.PLATFORM).scope) as session:
        while await exports.forget(session, bulk.clock_actor(bulk.PLATFORM), later):
            pass
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT (SELECT count(*) FROM export) + (SELECT count(*) FROM export_part)") == 0


async def test_who_asks_too_often_is_told_when_to_come_back(world: World) -> None:
    his = world.party("his-a")
    at = await kick_off(his)
    assert (await his.get(place(at))).status == 202
    async with world.as_owner() as owner:
        await owner.execute("UPDATE export SET polled_at = now() + interval '1 hour'")
    hasty = await his.get(place(at))
    assert hasty.status == 429 and hasty["issue"][0]["code"] == "throttled" and int(hasty.headers["retry-after"]) > 0
    for _ in range(exports.AT_ONCE - 1):
        await kick_off(his)
    one_more = await his.get("$export", prefer="respond-async")
    assert one_more.status == 429 and one_more["issue"][0]["code"] == "throttled"
    assert (await world.party("his-b").get("$export", prefer="respond-async")).status == 202, (
        "another's are not counted"
    )
    await work(world)
    assert (await his.get("$export", prefer="respond-async")).status == 202


# ---- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "headers", "at"),
    [
        ("", {"prefer": "return=minimal"}, None),
        ("?_outputFormat=text/csv", {}, "_outputFormat"),
        ("?_since=yesterday", {}, "_since"),
        ("?_since=2026-01-01", {}, "_since"),
        ("?_type=Unicorn", {}, "_type"),
        ("?_type=Patient,Subscription", {}, "_type"),
        ("?_elements=id", {}, "_elements"),
        ("?_typeFilter=Task%3Fstatus%3Drequested", {}, "_typeFilter"),
        ("?includeAssociatedData=LatestProvenanceResources", {}, "includeAssociatedData"),
        ("?_type=", {}, "_type"),
        ("?patient=Patient/1", {}, "patient"),
        ("?fancy=1", {}, None),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(
    world: World, query: str, headers: dict[str, str], at: str | None
) -> None:
    his = world.party("his-a")
    refused = await his.get(f"$export{query}", **{"prefer": "respond-async", **headers})
    assert refused.status == 400 and refused["resourceType"] == "OperationOutcome"
    if at:
        assert refused["issue"][0]["expression"] == [f"Parameters.parameter.where(name = '{at}')"]
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM export") == 0


async def test_whoever_is_not_the_clients_to_see_is_refused_alike_whatever_the_form_of_the_id(world: World) -> None:
    for name in ("Patient/nope", "Patient/00000000-0000-4000-8000-000000000000"):
        wanted = {"name": "patient", "valueReference": {"reference": name}}
        refused = await world.party("his-a").post(
            "Patient/$export", {"resourceType": "Parameters", "parameter": [wanted]}, prefer="respond-async"
        )
        assert refused.status == 422 and refused["issue"][0]["code"] == "not-found", refused


async def test_a_lenient_client_is_given_what_can_be_done(world: World) -> None:
    await world.refer()
    his = world.party("his-a")
    lenient = "respond-async, handling=lenient"
    lines = await exported(world, his, "$export?_elements=id&_type=Patient,Unicorn", prefer=lenient)
    assert lines.keys() == {"Patient"}
    assert (await his.get("$export?_type=Unicorn", prefer=lenient)).status == 400, "nothing of it can be done"


@pytest.mark.parametrize("format", [NDJSON, "application/ndjson", "ndjson", "application/fhir%2Bndjson"])
async def test_every_name_of_ndjson_is_understood(world: World, format: str) -> None:
    await kick_off(world.party("his-a"), f"$export?_outputFormat={format}&_type=Patient")


async def test_a_kick_off_by_post_says_the_same_in_parameters(world: World) -> None:
    one, other = await world.refer(), await world.refer()
    his = world.party("his-a")
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_outputFormat", "valueString": NDJSON},
            {"name": "_type", "valueString": "Patient,Task"},
            {"name": "_since", "valueInstant": "2026-01-01T00:00:00+08:00"},
            {"name": "patient", "valueReference": {"reference": one.patient}},
        ],
    }
    asked = await his.ask("POST", "Patient/$export", body, prefer="respond-async")
    assert asked.status == 202, asked
    await work(world)
    manifest = await his.get(place(asked.headers["content-location"]))
    assert one.patient not in manifest["request"], "whom it is about stands in no address"
    lines = await fetched(world, his, manifest)
    assert one.patient.split("/")[1] in ids(lines, "Patient")
    assert other.patient.split("/")[1] not in everything(lines)
    assert (await world.parent(one))["id"] in ids(lines, "Task")
    unread = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueInteger": 3}]}
    assert (await his.ask("POST", "$export", unread, prefer="respond-async")).status == 400
    body["parameter"][3]["valueReference"]["reference"] = "Patient/01890000-0000-7000-8000-000000000000"
    unknown = await his.ask("POST", "Patient/$export", body, prefer="respond-async")
    assert unknown.status == 422 and unknown["issue"][0]["expression"] == [
        "Parameters.parameter.where(name = 'patient')"
    ]


@pytest.mark.parametrize("type", ["batch", "transaction"])
@pytest.mark.parametrize("url", ["$export", "Patient/$export"])
async def test_an_export_is_asked_for_by_itself(world: World, type: str, url: str) -> None:
    """The answer of a Bundle has no place for the address at which to ask how it fares."""
    bundle = {"resourceType": "Bundle", "type": type, "entry": [{"request": {"method": "GET", "url": url}}]}
    answer = await world.party("his-a").post("", bundle, prefer="respond-async")
    assert answer.status == 422 or answer["entry"][0]["response"]["status"].startswith("422")
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM export") == 0


async def test_other_methods_are_refused_with_those_that_are_not(world: World) -> None:
    refused = await world.party("his-a").ask("PUT", "$export", {"resourceType": "Parameters"})
    assert refused.status == 405 and set(refused.headers["allow"].split(", ")) == {"GET", "POST"}


async def test_a_token_exports_what_it_may_read_and_search(world: World) -> None:
    await world.refer()
    async with world.as_owner() as owner:
        await owner.execute(
            "UPDATE access_token SET scope = 'system/Task.rs system/Patient.r' "
            "WHERE client_id IN (SELECT id FROM client WHERE role = 'platform')"
        )
    platform = world.party("platform")
    assert (await exported(world, platform)).keys() == {"Task"}
    refused = await platform.get("$export?_type=Patient", prefer="respond-async")
    assert refused.status == 403 and "Patient" in refused["issue"][0]["details"]["text"]


# ---- whose it is -------------------------------------------------------------------------------------------------------


async def test_behaviour_38_hospitals_export_their_own_people_alone(world: World) -> None:
    own, foreign = await world.refer(), await world.refer(by="his-b", patient={"name": [{"text": "别家病人"}]})
    mine, theirs = await exported(world, world.party("his-a")), await exported(world, world.party("his-b"))
    assert own.patient.split("/")[1] in ids(mine, "Patient")
    assert foreign.patient.split("/")[1] in ids(theirs, "Patient")
    for lines, stranger in ((mine, foreign), (theirs, own)):
        for reference in (stranger.patient, stranger.request, stranger.stay):
            assert reference.split("/")[1] not in everything(lines)
    every = await exported(world, world.party("platform"))
    assert {own.patient.split("/")[1], foreign.patient.split("/")[1]} <= ids(every, "Patient")


async def test_behaviour_38_an_agency_exports_what_is_disclosed_and_stand_ins_besides(world: World) -> None:
    withheld, disclosed = await world.refer(), await world.refer()
    offer = await world.offer(withheld)
    share = await world.accepted(disclosed)
    lines = await exported(world, world.party("agency-a"))
    assert ids(lines, "Task") == {offer["id"], share["id"]}
    assert ids(lines, "Patient") == {offer["for"]["reference"].split("/")[1], disclosed.patient.split("/")[1]}
    for reference in (withheld.patient, withheld.request, withheld.stay):
        assert reference.split("/")[1] not in everything(lines)
    stand_in = next(each for each in lines["Patient"] if each["id"] != disclosed.patient.split("/")[1])
    assert stand_in == dict(await world.party("agency-a").read(f"Patient/{stand_in['id']}"))
    other = await exported(world, world.party("agency-b"))
    for id in (offer["id"], share["id"], disclosed.patient.split("/")[1], stand_in["id"]):
        assert id not in everything(other)


async def test_behaviour_38_nobody_else_sees_an_export_or_its_files(world: World) -> None:
    await world.refer()
    his = world.party("his-a")
    at = await kick_off(his)
    for other in ("his-b", "agency-a", "platform"):
        assert (await world.party(other).get(place(at))).status == 404
        assert (await world.party(other).ask("DELETE", place(at))).status == 404
    await work(world)
    for file in (await his.get(place(at)))["output"]:
        for other in ("his-b", "agency-a", "platform"):
            assert (await raw(world, world.party(other), file["url"])).status_code == 404


async def test_an_auditor_exports_nothing_of_persons(world: World) -> None:
    referred = await world.refer()
    auditor = world.party("auditor")
    refused = await auditor.get("$export?_type=Patient", prefer="respond-async")
    assert refused.status == 403
    assert (await auditor.get("Patient/$export", prefer="respond-async")).status == 403
    lines = await exported(world, auditor)
    assert not {"Patient", "Task", "ServiceRequest", "Encounter", "Consent"} & lines.keys()
    assert referred.patient.split("/")[1] not in everything(lines)


async def test_what_was_withdrawn_since_is_given_out_no_more(world: World) -> None:
    referred = await world.refer()
    share = await world.offer(referred)
    agency = world.party("agency-a")
    assert (await agency.put(share, status="accepted")).status == 200
    consent = await world.consent(referred, "agency-a")
    at = await kick_off(agency)
    await work(world)
    manifest = await agency.get(place(at))
    files = {file["type"]: file["url"] for file in manifest["output"]}
    assert referred.patient.split("/")[1] in await download(world, agency, files["Patient"])
    ended = await world.party("his-a").put(consent, status="inactive")
    assert ended.status == 200, ended
    refused = await raw(world, agency, files["Patient"])
    assert refused.status_code == 410 and refused.json()["issue"][0]["code"] == "deleted"
    assert (await raw(world, agency, files["Organization"])).status_code == 200, "nobody is in this one"
    again = await exported(world, agency)
    assert referred.patient.split("/")[1] not in everything(again)


async def test_a_revoked_client_is_exported_nothing_more(world: World) -> None:
    await world.refer()
    await kick_off(world.party("his-a"))
    async with world.as_owner() as owner:
        await owner.execute("UPDATE client SET revoked_at = now() WHERE role = 'hospital'")
    await work(world)
    async with world.as_owner() as owner:
        assert await owner.fetchval("SELECT count(*) FROM export_part") == 0
        assert await owner.fetchval("SELECT state FROM export") == "cancelled"


# ---- since -------------------------------------------------------------------------------------------------------------


async def test_since_gives_what_changed_and_nothing_is_missed_between_two(world: World) -> None:
    his = world.party("his-a")
    first = await world.refer()
    at = await kick_off(his)
    await work(world)
    since = (await his.get(place(at)))["transactionTime"]
    second = await world.refer()
    lines = await exported(world, his, f"$export?_since={since.replace('+', '%2B')}")
    assert second.patient.split("/")[1] in ids(lines, "Patient")
    assert first.patient.split("/")[1] not in ids(lines, "Patient")
    assert "Organization" not in lines


async def test_whoever_is_disclosed_since_is_new_to_the_agency_whenever_they_were_written(world: World) -> None:
    agency = world.party("agency-a")
    referred = await world.refer()
    at = await kick_off(agency)
    await work(world)
    since = (await agency.get(place(at)))["transactionTime"]
    await world.accepted(referred)
    lines = await exported(world, agency, f"$export?_since={since.replace('+', '%2B')}")
    assert referred.patient.split("/")[1] in ids(lines, "Patient")
    assert referred.request.split("/")[1] in ids(lines, "ServiceRequest")


async def test_what_comes_into_being_while_it_is_written_waits_for_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "ROWS", 1)
    his = world.party("his-a")
    first = await world.refer()
    at = await kick_off(his, "$export?_type=Patient,Task")
    assert await bulk.step(world.database)
    second = await world.refer()
    await work(world)
    manifest = await his.get(place(at))
    lines = await fetched(world, his, manifest)
    assert ids(lines, "Patient") >= {first.patient.split("/")[1]}
    assert second.patient.split("/")[1] not in everything(lines)
    later = await exported(world, his, f"$export?_type=Patient&_since={manifest['transactionTime']}")
    assert second.patient.split("/")[1] in ids(later, "Patient")


# ---- written by workers ------------------------------------------------------------------------------------------------


async def test_it_is_written_in_pages_and_files_of_a_bounded_size(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await world.refer()
    his = world.party("his-a")
    whole = await exported(world, his)
    monkeypatch.setattr(bulk, "ROWS", 2)
    monkeypatch.setattr(exports, "FILE_ROWS", 4)
    at = await kick_off(his)
    await work(world)
    manifest = await his.get(place(at))
    assert max(file["count"] for file in manifest["output"]) == 4
    lines = await fetched(world, his, manifest)
    assert {type: ids(lines, type) for type in lines} == {type: ids(whole, type) for type in whole}
    assert sum(map(len, lines.values())) == sum(map(len, whole.values())), "nothing twice"


@pytest.mark.slow
async def test_a_worker_killed_in_the_middle_is_followed_by_one_that_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real command, killed after some page; the next worker ends it, and no line is lost or comes twice."""
    for _ in range(4):
        await world.refer()
    his = world.party("his-a")
    whole = await exported(world, his)
    monkeypatch.setattr(bulk, "ROWS", 1)
    at = await kick_off(his)
    for _ in range(3):
        assert await bulk.step(world.database)
    async with world.as_owner() as owner:
        async with owner.transaction():
            await owner.execute("LOCK TABLE export_part IN SHARE MODE")
            async with yuanshe(world.clone, "work") as process:
                while not await owner.fetchval(WAITING):
                    pass  # the question itself waits for the database
                process.send_signal(signal.SIGKILL)
                await process.wait()
    async with yuanshe(world.clone, "work"):
        while (found := await his.get(place(at))).status in (202, 429):
            pass  # as above
    assert found.status == 200
    lines = await fetched(world, his, found)
    assert {type: ids(lines, type) for type in lines} == {type: ids(whole, type) for type in whole}
    assert sum(map(len, lines.values())) == sum(map(len, whole.values())), "nothing twice"


WAITING = "SELECT count(*) FROM pg_locks WHERE relation = 'export_part'::regclass AND mode = 'RowExclusiveLock' AND NOT granted"
"""Workers that have read a page and are about to store it."""


async def test_two_workers_never_write_the_same_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        await world.refer()
    his = world.party("his-a")
    whole = await exported(world, his)
    monkeypatch.setattr(bulk, "ROWS", 1)
    at = await kick_off(his)

    async def one() -> None:
        idle = 0
        while idle < 3:
            idle = 0 if await bulk.step(world.database) else idle + 1

    await asyncio.gather(*(one() for _ in range(4)))
    await work(world)
    lines = await fetched(world, his, await his.get(place(at)))
    assert {type: sorted(each["id"] for each in lines[type]) for type in lines} == {
        type: sorted(each["id"] for each in whole[type]) for type in whole
    }


async def test_an_export_that_cannot_be_written_is_given_up_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    his = world.party("his-a")
    at = await kick_off(his)

    async def broken(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(bulk, "_read", broken)
    for _ in range(exports.STUMBLES):
        with pytest.raises(RuntimeError):
            await bulk.step(world.database)
    assert not await bulk.step(world.database)
    failed = await his.get(place(at))
    assert failed.status == 500 and failed["resourceType"] == "OperationOutcome"


async def test_who_was_exported_stands_in_the_audit(world: World) -> None:
    referred = await world.refer()
    his = world.party("his-a")
    at = await kick_off(his, "$export?_type=Patient")
    await work(world)
    manifest = await his.get(place(at))
    await fetched(world, his, manifest)
    id = at.rpartition("/")[2]
    async with world.as_owner() as owner:
        rows = await owner.fetch(
            "SELECT interaction, resource_type, actor_role, patients FROM audit WHERE resource_id = $1 ORDER BY at, id",
            id,
        )
        asked = await owner.fetchval("SELECT count(*) FROM audit WHERE interaction = 'export' AND resource_id IS NULL")
    written = [row for row in rows if row["interaction"] == "export"]
    assert referred.patient.split("/")[1] in {str(each) for row in written for each in row["patients"]}
    assert {row["actor_role"] for row in rows} == {"hospital"}
    assert [row["interaction"] for row in rows].count("export-file") == 1
    assert {row["resource_type"] for row in rows} == {None}, "the id is an export's, of no resource"
    assert asked == 1


async def test_a_patient_export_holds_what_is_about_persons(world: World) -> None:
    referred = await world.refer()
    lines = await exported(world, world.party("his-a"), "Patient/$export")
    assert referred.patient.split("/")[1] in ids(lines, "Patient")
    assert not {"Organization", "PractitionerRole", "HealthcareService"} & lines.keys()
    refused = await world.party("his-a").get("Patient/$export?_type=Organization", prefer="respond-async")
    assert refused.status == 400


# ---- what it takes -----------------------------------------------------------------------------------------------------


async def test_what_the_statement_says_of_exports_can_be_done(world: World) -> None:
    statement = await world.nobody.get("metadata")
    assert statement["instantiates"] == ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"]
    rest = statement["rest"][0]
    base = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
    assert {"name": "export", "definition": f"{base}export"}.items() <= next(
        each for each in rest["operation"] if each["name"] == "export"
    ).items()
    for type, name in (("Patient", "patient-export"), ("Group", "group-export")):
        [told] = [each for each in rest["resource"] if each["type"] == type]
        assert f"{base}{name}" in {each["definition"] for each in told["operation"]}
