"""Files: kept as they came, told by their content, and read by whoever may read the resource that they belong to (contract.md)."""

import base64
import stat
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.loop import discharge, done, refused, started
from tests.http.world import BASE, FHIR_JSON, Party, Referred, World, output, reason, submission

PDF = b"%PDF-1.7\n1 0 obj << >> endobj\ntrailer << >>\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(64))
TEXT = "社会工作者须知：请先联系病区。\n".encode()


async def send(party: Party, content: bytes, kind: str, context: str | None = None, **headers: str) -> httpx.Response:
    """The file as it is."""
    sent = {"authorization": f"Bearer {party._token}", "content-type": kind, "accept": FHIR_JSON}
    sent |= {"x-security-context": context} if context else {}
    return await party._http.post(f"{BASE}/fhir/Binary", content=content, headers=sent | headers)


async def fetch(party: Party, name: str, accept: str = "*/*", method: str = "GET", **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {party._token}", "accept": accept} | headers
    return await party._http.request(method, f"{BASE}/fhir/{name}", headers=sent)


def name_of(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    return "/".join(answer.headers["location"].split("/fhir/")[1].split("/")[:2])


def document(patient: str, url: str | None = None, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": patient},
        "content": [{"attachment": {"contentType": "application/pdf"} | ({"url": url} if url else {"title": "知情同意书"})}],
    } | elements  # fmt: skip


def folder(world: World) -> Path:
    return world.database.attachments


@pytest.mark.parametrize(
    ("content", "kind"), [(PDF, "application/pdf"), (PNG, "image/png"), (JPEG, "image/jpeg"), (TEXT, "text/plain; charset=utf-8")]
)  # fmt: skip
async def test_a_file_comes_back_as_it_went_in_and_as_json(world: World, content: bytes, kind: str) -> None:
    hospital = world.party("his-a")
    name = name_of(await send(hospital, content, kind))
    raw = await fetch(hospital, name)
    assert raw.content == content and raw.headers["content-type"].startswith(kind.partition(";")[0])
    assert raw.headers["content-disposition"].startswith('attachment; filename="')
    assert raw.headers["x-content-type-options"] == "nosniff" and raw.headers["etag"] == 'W/"1"'
    for accept in (FHIR_JSON, "application/json"):
        told = (await fetch(hospital, name, accept)).json()
        assert told["resourceType"] == "Binary" and base64.b64decode(told["data"]) == content
        assert told["contentType"] == kind.partition(";")[0]
    assert (await fetch(hospital, f"{name}?_format=json")).json()["resourceType"] == "Binary"
    assert (await fetch(hospital, name, kind.partition(";")[0])).content == content
    refused_one = await fetch(hospital, name, "audio/ogg")
    assert refused_one.status_code == 406 and refused_one.json()["resourceType"] == "OperationOutcome"
    head = await fetch(hospital, name, method="HEAD")
    assert head.content == b"" and head.headers["content-length"] == str(len(content))
    unchanged = await fetch(hospital, name, **{"if-none-match": 'W/"1"'})
    assert unchanged.status_code == 304 and unchanged.content == b""


async def test_json_goes_in_too(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    sent = {
        "resourceType": "Binary", "contentType": "application/pdf", "securityContext": {"reference": referred.request},
        "data": base64.b64encode(PDF).decode(),
    }  # fmt: skip
    made = done(await hospital.post("Binary", sent))
    assert made == {}, "what was just sent is not sent back unasked"
    kept = done(await hospital.post("Binary", sent, prefer="return=representation"))
    assert kept["data"] == sent["data"] and kept["securityContext"] == sent["securityContext"]
    assert (await fetch(hospital, f"Binary/{kept['id']}")).content == PDF


async def test_the_content_lies_outside_the_tables_once_whole_and_closed_to_others(world: World) -> None:
    hospital = world.party("his-a")
    one, other = (
        name_of(await send(hospital, PDF, "application/pdf")),
        name_of(await send(hospital, PDF, "application/pdf")),
    )
    assert one != other
    (kept,) = [path for path in folder(world).rglob("*") if path.is_file()]
    import hashlib

    assert kept.name == hashlib.sha256(PDF).hexdigest() and kept.read_bytes() == PDF
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    async with world.as_owner() as connection:
        assert await connection.fetchval("SELECT count(*) FROM attachment") == 2


async def test_a_file_that_is_no_longer_what_it_was_is_not_handed_out(world: World) -> None:
    hospital = world.party("his-a")
    name = name_of(await send(hospital, PDF, "application/pdf"))
    (kept,) = [path for path in folder(world).rglob("*") if path.is_file()]
    kept.write_bytes(PDF + b"more")
    assert (await fetch(hospital, name)).status_code == 503
    kept.unlink()
    assert (await fetch(hospital, name)).status_code == 503


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (PNG, "application/pdf", 422), (b"<html><script>alert(1)</script>" + b"\x00", "text/plain", 422), (PDF, "image/png", 422),
        (b"MZ\x90\x00", "application/octet-stream", 415), (b"<svg/>", "image/svg+xml", 415), (b"<p>", "text/html", 415), (b"", "text/plain", 422),
        (b"PK\x03\x04", "application/zip", 415), ("须知".encode("gb18030"), "text/plain", 422), (b"%PDF-" + b"x" * 10_000_000, "application/pdf", 413),
        (b"x" * 14_000_000, "application/pdf", 413),
    ],
)  # fmt: skip
async def test_what_is_no_file_of_the_kinds_taken_or_too_large_is_refused_and_not_kept(
    world: World, content: bytes, kind: str, status: int
) -> None:
    answer = await send(world.party("his-a"), content, kind)
    assert answer.status_code == status, answer.text
    issue = answer.json()["issue"][0]
    assert issue["expression"] and issue["details"]["text"]
    assert not [path for path in folder(world).rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("changes", "status", "where"),
    [
        ({"data": "%%%"}, 422, "Binary.data"), ({"contentType": "text/html"}, 415, "Binary.contentType"),
        ({"securityContext": {"reference": "Observation/0190a000-0000-7000-8000-00000000dead"}}, 422, "Binary.securityContext"),
        ({"securityContext": {"reference": "Task/0190a000-0000-7000-8000-00000000dead"}}, 422, "Binary.securityContext"),
        ({"bogus": 1, "contentType": 7}, 422, "Binary.contentType"),
        ({"securityContext": {"reference": "nowhere"}}, 422, "Binary.securityContext.reference"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_binary_is_told_with_its_place(
    world: World, changes: dict[str, Any], status: int, where: str
) -> None:
    sent = {
        "resourceType": "Binary",
        "contentType": "application/pdf",
        "data": base64.b64encode(PDF).decode(),
    } | changes
    answer = refused(await world.party("his-a").post("Binary", sent), status)
    assert [issue["expression"] for issue in answer["issue"]] == [[where]]


async def readers(world: World, name: str) -> set[str]:
    """Who reads a file, raw and as JSON alike."""
    found: set[str] = set()
    for party in ("his-a", "his-b", "agency-a", "agency-b", "agency-c", "platform", "auditor"):
        raw, told = await fetch(world.party(party), name), await fetch(world.party(party), name, FHIR_JSON)
        assert raw.status_code == told.status_code and raw.status_code in (200, 403, 404), party
        found |= {party} if raw.status_code == 200 else set()
    return found


HOSPITAL = {"his-a", "platform"}


async def test_without_a_context_its_author_alone_reads_it(world: World) -> None:
    referred = await world.refer("N05")
    await world.accepted(referred)
    assert await readers(world, name_of(await send(world.party("his-a"), PDF, "application/pdf"))) == HOSPITAL
    assert await readers(world, name_of(await send(world.party("agency-a"), PDF, "application/pdf"))) == {
        "agency-a",
        "platform",
    }


async def test_a_hospitals_file_opens_with_identity_and_closes_with_it(world: World) -> None:
    """A file follows the disclosure of what it belongs to: from consent to withdrawal, for the agency that it names."""
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    letter = done(await hospital.post("DocumentReference", document(referred.patient)))
    files = [
        name_of(await send(hospital, PDF, "application/pdf", context))
        for context in (f"DocumentReference/{letter['id']}", referred.request, referred.patient)
    ]
    offer = await world.offer(referred)
    files.append(name_of(await send(hospital, PDF, "application/pdf", f"Task/{offer['id']}")))
    for name in files:
        assert await readers(world, name) == HOSPITAL, "an offer shows nothing"
    done(await agency.put(offer, status="accepted"))
    for name in files:
        assert await readers(world, name) == HOSPITAL, "accepted, but nobody consented"
    consent = await world.consent(referred, "agency-a")
    for name in files:
        assert await readers(world, name) == HOSPITAL | {"agency-a"}
    raw = await fetch(agency, files[1])
    assert raw.content == PDF and raw.headers["x-security-context"] == referred.request
    done(await hospital.put(consent, status="inactive"))
    for name in files:
        assert await readers(world, name) == HOSPITAL, "withdrawn"


async def test_a_file_of_the_parent_task_is_the_hospitals_alone(world: World) -> None:
    referred = await world.refer("N05")
    parent = await world.parent(referred)
    name = name_of(await send(world.party("his-a"), PDF, "application/pdf", f"Task/{parent['id']}"))
    await started(world, referred)
    assert await readers(world, name) == HOSPITAL


async def test_an_agencys_file_is_its_cases_until_it_is_given_back(world: World) -> None:
    hospital, agency = world.party("his-a"), world.party("agency-a")
    referred = await world.refer("N05")
    offer = await world.offer(referred)
    early = await send(agency, PDF, "application/pdf", f"Task/{offer['id']}")
    assert early.status_code == 422 and "identity is not disclosed" in early.text
    named = await send(agency, PDF, "application/pdf", referred.request)
    unknown = await send(agency, PDF, "application/pdf", "ServiceRequest/0190a000-0000-7000-8000-00000000dead")
    assert named.status_code == unknown.status_code == 422 and named.json() == unknown.json(), (
        "whose request it is stays unknown"
    )
    share = await started(world, referred)
    note = done(await agency.post("DocumentReference", document(share["for"]["reference"])))
    own = name_of(await send(agency, PDF, "application/pdf", f"DocumentReference/{note['id']}"))
    shared = name_of(await send(agency, TEXT, "text/plain", share["focus"]["reference"]))
    assert await readers(world, own) == {"agency-a", "platform"}
    assert await readers(world, shared) == {"agency-a"} | HOSPITAL
    done(await agency.put(share, status="completed", output=[output(f"DocumentReference/{note['id']}")],
                          statusReason=reason("goals-met", "目标达成", "urn:yuanshe:closure-reason")))  # fmt: skip
    assert await readers(world, own) == {"agency-a"} | HOSPITAL
    assert (await send(agency, PDF, "application/pdf", referred.request)).status_code == 422
    assert (await send(world.party("his-b"), PDF, "application/pdf", referred.request)).status_code == 422
    assert (await send(hospital, PDF, "application/pdf", f"DocumentReference/{note['id']}")).status_code == 422


async def test_behaviour_39_no_consent_no_supporting_data_and_nothing_more_once_it_is_over(world: World) -> None:
    """Documents and files of a referral stay closed without consent, after its withdrawal, after a rejection, after the end."""
    hospital = world.party("his-a")
    for agency in ("agency-a", "agency-b"):
        referred = await world.refer("N05")
        letter = done(await hospital.post("DocumentReference", document(referred.patient)))
        file = name_of(await send(hospital, PDF, "application/pdf", f"DocumentReference/{letter['id']}"))
        closed = (f"DocumentReference/{letter['id']}", file, referred.patient, referred.request, referred.stay)

        async def reads(closed: tuple[str, ...] = closed, agency: str = agency) -> set[int]:
            return {(await fetch(world.party(agency), name, FHIR_JSON)).status_code for name in closed}

        if agency == "agency-b":
            offer = await world.offer(referred)
            done(await world.party("agency-a").put(offer, status="rejected", statusReason=reason("no-capacity")))
            assert {(await fetch(world.party("agency-a"), name, FHIR_JSON)).status_code for name in closed} == {404}
            told = await world.party("agency-a").read(f"Task/{offer['id']}")
            assert "陈素芬" not in str(told) and "basedOn" not in told, (
                "after a rejection its own Task, and no more than it knew"
            )
        await world.accepted(referred, agency, consent=False)
        assert await reads() == {404}
        consent = await world.consent(referred, agency)
        assert await reads() == {200}
        done(await hospital.put(consent, status="inactive"))
        assert await reads() == {404}
        await world.consent(referred, agency)
        share = (await world.party(agency).search(f"Task?owner={world.organizations[agency]}&status=accepted"))[0]
        begun = done(await world.party(agency).put(share, status="in-progress"))
        done(await world.party(agency).put(begun, status="completed", output=[output()],
                                           statusReason=reason("goals-met", "目标达成", "urn:yuanshe:closure-reason")))  # fmt: skip
        assert await reads() == {404}, "after the end of its share"


def with_file(mrn: str | None = None) -> dict[str, Any]:
    """A submission with a letter whose file comes along."""
    bundle = submission("N05", number="ORDER-1", **({"mrn": mrn} if mrn else {}))
    letter, file = (f"urn:uuid:{uuid.uuid4()}" for _ in range(2))
    patient = bundle["entry"][0]["fullUrl"]
    sent = {
        "resourceType": "Binary", "contentType": "application/pdf", "securityContext": {"reference": letter},
        "data": base64.b64encode(PDF).decode(),
    }  # fmt: skip
    for url, resource in ((file, sent), (letter, document(patient, file))):
        bundle["entry"].append(
            {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
        )
    return bundle


async def test_a_file_comes_along_with_the_submission_and_its_document_names_it(world: World) -> None:
    hospital = world.party("his-a")
    bundle = with_file()
    answer = done(await hospital.post("", bundle))
    referred = Referred(bundle, answer)
    places = [entry["response"]["location"] for entry in answer["entry"]]
    file, letter = ("/".join(place.split("/")[:2]) for place in places[-2:])
    told = await hospital.read(letter)
    assert told["content"][0]["attachment"]["url"] == file
    assert (await fetch(hospital, file)).content == PDF
    await world.accepted(referred)
    assert (await fetch(world.party("agency-a"), file)).content == PDF
    again = done(await hospital.post("", bundle))
    assert [entry["response"]["location"] for entry in again["entry"]] == places
    bundle["entry"][3]["resource"]["data"] = base64.b64encode(PDF + b"\n").decode()
    refused(await hospital.post("", bundle), 409)


async def test_a_file_and_its_document_come_in_a_transaction_of_their_own_whole_or_not_at_all(world: World) -> None:
    hospital = world.party("his-a")
    referred = await world.refer("N05")
    whole = with_file()
    entries = whole["entry"][3:]
    entries[1]["resource"]["subject"]["reference"] = referred.patient
    made = done(await hospital.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    file = "/".join(made["entry"][0]["response"]["location"].split("/")[:2])
    assert (await fetch(hospital, file)).content == PDF
    entries[1]["resource"]["status"] = "bogus"
    refused(await hospital.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries}), 422)
    async with world.as_owner() as connection:
        assert await connection.fetchval("SELECT count(*) FROM attachment") == 1


async def test_a_file_neither_changes_nor_is_searched_for(world: World) -> None:
    hospital = world.party("his-a")
    name = name_of(await send(hospital, PDF, "application/pdf"))
    for method, path in (("PUT", name), ("PATCH", name), ("DELETE", name), ("GET", "Binary")):
        assert (
            await hospital.ask(method, path, {"resourceType": "Binary"} if method != "GET" else None)
        ).status == 405, (method, path)
    for path in (f"{name}/_history", f"{name}/_history/1"):
        refused(await hospital.get(path), 404)


async def test_an_auditor_reads_and_writes_no_file(world: World) -> None:
    name = name_of(await send(world.party("his-a"), PDF, "application/pdf"))
    assert (await fetch(world.party("auditor"), name)).status_code == 403
    assert (await send(world.party("auditor"), PDF, "application/pdf")).status_code == 403
    assert (await fetch(world.nobody, name)).status_code == 401


async def test_reading_a_file_is_written_down_with_whom_it_is_about(world: World) -> None:
    referred = await world.refer("N05")
    name = name_of(await send(world.party("his-a"), PDF, "application/pdf", referred.request))
    done(await discharge(world, referred))
    await fetch(world.party("his-a"), name)
    async with world.as_owner() as connection:
        line = await connection.fetchrow("SELECT * FROM audit ORDER BY id DESC LIMIT 1")
    assert (line["interaction"], line["resource_type"], str(line["resource_id"])) == (
        "read",
        "Binary",
        name.split("/")[1],
    )
    assert [str(id) for id in line["patients"]] == [referred.patient.split("/")[1]]
