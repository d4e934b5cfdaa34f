"""The demo network as a test speaks to it: parties with tokens, and the resources that a ward would send."""

import contextlib
import copy
import random
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
from stdnum.cn import ric

BASE = "http://yuanshe.test"
FHIR_JSON = "application/fhir+json"
NEED = "urn:yuanshe:need"
CITIZEN = "urn:oid:2.16.156.10011.1.3"
SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"


class Answered(dict[str, Any]):
    """A JSON answer, with its status and headers beside it."""

    status: int
    headers: httpx.Headers


class Party:
    """One program with its token."""

    def __init__(self, http: httpx.AsyncClient, token: str | None, organization: str) -> None:
        self._http = http
        self._token = token
        self.organization = organization

    async def ask(self, method: str, path: str, body: Any = None, *, kind: str = FHIR_JSON, **headers: str) -> Answered:
        sent = {"accept": FHIR_JSON} | ({"authorization": f"Bearer {self._token}"} if self._token else {})
        sent |= {"content-type": kind} if body is not None else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = (
            body if isinstance(body, bytes | str) or body is None else httpx.Request("POST", BASE, json=body).content
        )
        answer = await self._http.request(method, f"{BASE}/fhir/{path}".rstrip("/"), content=content, headers=sent)
        found = Answered(answer.json() if answer.content else {})
        found.status, found.headers = answer.status_code, answer.headers
        return found

    async def get(self, path: str, **headers: str) -> Answered:
        return await self.ask("GET", path, **headers)

    async def post(self, path: str, body: Any, **headers: str) -> Answered:
        return await self.ask("POST", path, body, **headers)

    async def put(self, resource: dict[str, Any], /, if_match: str | None = None, **changes: Any) -> Answered:
        headers = {"if_match": if_match} if if_match else {}
        return await self.ask(
            "PUT", f"{resource['resourceType']}/{resource['id']}", dict(resource) | changes, **headers
        )

    async def read(self, reference: str) -> Answered:
        found = await self.get(reference)
        assert found.status == 200, found
        return found

    async def search(self, query: str) -> list[dict[str, Any]]:
        found = await self.get(query)
        assert found.status == 200, found
        return [entry["resource"] for entry in found.get("entry", []) if entry.get("search", {}).get("mode") == "match"]


class Referred:
    """A submission and what came of it."""

    def __init__(self, bundle: dict[str, Any], answer: Answered) -> None:
        self.bundle = bundle
        self.answer = answer
        located = {
            entry["response"]["location"].split("/")[0]: entry["response"]["location"].split("/")[1]
            for entry in answer.get("entry", [])
        }
        self.patient = f"Patient/{located.get('Patient')}"
        self.request = f"ServiceRequest/{located.get('ServiceRequest')}"
        self.stay = f"Encounter/{located.get('Encounter')}"
        self.id = located.get("ServiceRequest")


class World:
    def __init__(self, app: Any, said: dict[str, Any], clone: Any) -> None:
        self.app = app
        self.said = said
        self.clone = clone
        self.organizations: dict[str, str] = said["organizations"]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["World"]:
        async with contextlib.AsyncExitStack() as stack:
            for context in self.app._lifespan_managers:
                await stack.enter_async_context(context(self.app) if callable(context) else context)
            self.http = await stack.enter_async_context(
                httpx.AsyncClient(transport=httpx.ASGITransport(self.app), timeout=60)
            )
            yield self

    @property
    def database(self) -> Any:
        return self.app.state.database

    @contextlib.asynccontextmanager
    async def as_owner(self) -> AsyncIterator[Any]:
        """A connection as the schema's owner, to let something come about that no request brings (time passing, a licence ending)."""
        connection = await asyncpg.connect(self.clone.owner_dsn)
        try:
            await connection.execute("SELECT set_config('yuanshe.platform', 'on', false)")
            yield connection
        finally:
            await connection.close()

    def party(self, name: str) -> Party:
        client = self.said["clients"][name]
        return Party(self.http, client["access_token"], self.organizations[client["organization"]])

    @property
    def nobody(self) -> Party:
        return Party(self.http, None, "")

    async def refer(self, *needs: str, by: str = "his-a", **values: Any) -> Referred:
        bundle = submission(*needs, **values)
        answer = await self.party(by).post("", bundle)
        assert answer.status == 200, answer
        return Referred(bundle, answer)

    async def offer(self, referred: Referred, agency: str = "agency-a") -> Answered:
        """The agency's open offer of a referral, as the agency reads it."""
        parent = await self.parent(referred)
        found = await self.party(agency).search(f"Task?part-of=Task/{parent['id']}&status=requested")
        assert len(found) == 1, found
        return await self.party(agency).read(f"Task/{found[0]['id']}")

    async def parent(self, referred: Referred, by: str = "his-a") -> dict[str, Any]:
        found = await self.party(by).search(f"Task?focus={referred.request}")
        assert len(found) == 1, found
        return found[0]

    async def shares(self, referred: Referred) -> list[dict[str, Any]]:
        """Every share of a referral, oldest first, as the platform sees them."""
        parent = await self.parent(referred, "platform")
        found = await self.party("platform").search(f"Task?part-of=Task/{parent['id']}")
        return sorted(found, key=lambda task: task["id"])

    async def accepted(self, referred: Referred, agency: str = "agency-a", consent: bool = True) -> Answered:
        """The share after the agency accepted and, unless told otherwise, the patient consented."""
        offer = await self.offer(referred, agency)
        taken = await self.party(agency).put(offer, status="accepted")
        assert taken.status == 200, taken
        if consent:
            await self.consent(referred, agency)
        return await self.party(agency).read(f"Task/{offer['id']}")

    async def consent(self, referred: Referred, *agencies: str, **changes: Any) -> Answered:
        made = await self.party("his-a").post(
            "Consent", self.consent_form(referred.patient, referred.request, *agencies) | changes
        )
        assert made.status == 201, made
        return made

    def consent_form(self, patient: str, request: str | None, *agencies: str) -> dict[str, Any]:
        actors = [
            {
                "role": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]
                },
                "reference": {"reference": self.organizations[agency]},
            }
            for agency in agencies
        ]
        return {
            "resourceType": "Consent",
            "status": "active",
            "scope": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
            },
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IDSCL"}]}],
            "patient": {"reference": patient},
            "dateTime": datetime.now(UTC).isoformat(),
            "performer": [{"reference": patient}],
            "organization": [{"reference": self.organizations["hospital-a"]}],
            "sourceAttachment": {"title": "知情同意书"},
            "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
            "provision": {"type": "permit", "actor": actors}
            | ({"data": [{"meaning": "related", "reference": {"reference": request}}]} if request else {}),
        }

    async def timeline(self, referred: Referred, by: str = "his-a") -> tuple[list[str], dict[str, Any] | None]:
        """The actions of the timeline, and the next step if somebody must act."""
        found = await self.party(by).read(f"{referred.request}/$timeline")
        actions: list[str] = []
        step = None
        for parameter in found.get("parameter", []):
            part = {
                p["name"]: next((v for k, v in p.items() if k.startswith("value")), None) for p in parameter["part"]
            }
            if parameter["name"] == "event":
                actions.append(part["action"])
            else:
                step = part
        return actions, step


def citizen_number(seed: int | None = None, region: str = "520502", birth: str = "19520315") -> str:
    """A valid citizen number of nobody."""
    serial = f"{random.Random(seed).randrange(1000):03d}" if seed is not None else f"{uuid.uuid4().int % 1000:03d}"
    # The library takes the whole number and looks past its last place.
    return f"{region}{birth}{serial}" + ric.calc_check_digit(f"{region}{birth}{serial}0")


def submission(*needs: str, **values: Any) -> dict[str, Any]:
    """A transaction Bundle of Patient, Encounter and ServiceRequest; `number`, `patient`, `request` and `extra` change it; None
    takes an element away."""
    person, stay, request = (f"urn:uuid:{uuid.uuid4()}" for _ in range(3))
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:his-a:patient", "value": values.get("mrn") or f"ZY-{uuid.uuid4()}"}],
        "name": [{"text": "陈素芬"}],
        "telecom": [{"system": "phone", "value": "13800000001"}],
        "gender": "female",
        "birthDate": "1952-03-15",
        "address": [{"use": "home", "text": "示例街道 1 号", "district": "520502001"}],
    } | values.get("patient", {})
    encounter: dict[str, Any] = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": person},
        "period": {"start": (datetime.now(UTC) - timedelta(days=3)).isoformat()},
    } | values.get("encounter", {})
    asked: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "identifier": [{"system": "urn:his-a:order", "value": values.get("number") or str(uuid.uuid4())}],
        "category": [{"coding": [{"system": NEED, "code": need}], "text": "需要帮助"} for need in needs or ("N05",)],
        "subject": {"reference": person},
        "encounter": {"reference": stay},
    } | values.get("request", {})
    entries = [(person, patient), (stay, encounter), (request, asked)]
    for _, resource in entries:
        for absent in [name for name, value in resource.items() if value is None]:
            del resource[absent]
    for resource in values.get("extra", ()):
        entries.append(
            (f"urn:uuid:{uuid.uuid4()}", named(resource, {"PATIENT": person, "REQUEST": request, "STAY": stay}))
        )
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
            for url, resource in entries
        ],
    }


def named(resource: Any, names: dict[str, str]) -> Any:
    """The resource with the words PATIENT, REQUEST and STAY in references replaced."""
    if isinstance(resource, dict):
        return {
            key: names.get(value, value) if key == "reference" and isinstance(value, str) else named(value, names)
            for key, value in resource.items()
        }
    return [named(inner, names) for inner in resource] if isinstance(resource, list) else copy.copy(resource)


def phq9(score: int) -> dict[str, Any]:
    """An Observation of item 9 of the PHQ-9."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}]}
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "44260-8"}]},
        "subject": {"reference": "PATIENT"},
        "effectiveDateTime": "2026-03-04T10:00:00+08:00",
        "valueInteger": score,
    }


def output(reference: str | None = None) -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": SDOHCC, "code": "resulting-activity"}]},
        **(
            {"valueReference": {"reference": reference}}
            if reference
            else {"valueCodeableConcept": {"text": "已落实安置"}}
        ),
    }


def reason(code: str, text: str = "原因说明", system: str = "urn:yuanshe:decline-reason") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}], "text": text}


def closed(code: str = "goals-met") -> dict[str, Any]:
    return reason(code, "目标达成", "urn:yuanshe:closure-reason")
