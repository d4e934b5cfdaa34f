"""One real referral over HTTP, from submission to closed follow-up, as its three parties would drive it."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from service.values import SHANGHAI

NEED, SERVICE, CLOSURE = "urn:yuanshe:need", "urn:yuanshe:service-type", "urn:yuanshe:closure-reason"
OUTCOME, TASK_CODE, MESSAGE = "urn:yuanshe:follow-up-outcome", "urn:yuanshe:task-code", "urn:yuanshe:message"
FHIR_JSON = "application/fhir+json"


class Party:
    """One side with its own token."""

    def __init__(self, http: httpx.Client, fhir_url: str, client: dict[str, Any]) -> None:
        self._http = http
        self._fhir = fhir_url
        self._headers = {"Authorization": f"Bearer {client['access_token']}", "Accept": FHIR_JSON}

    def send(self, method: str, path: str, resource: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = self._headers | ({"Content-Type": FHIR_JSON} if resource else {})
        body = msgspec.json.encode(resource) if resource else None
        answer = self._http.request(method, f"{self._fhir}/{path}".rstrip("/"), headers=headers, content=body)
        if answer.status_code >= 400:
            raise RuntimeError(f"{method} {path.split('?')[0]} answered {answer.status_code}: {answer.text}")
        return answer.json()

    def get(self, path: str) -> dict[str, Any]:
        return self.send("GET", path)

    def post(self, path: str, resource: dict[str, Any]) -> dict[str, Any]:
        return self.send("POST", path, resource)

    def put(self, resource: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return self.send("PUT", f"{resource['resourceType']}/{resource['id']}", resource | changes)

    def tasks(self, query: str) -> list[dict[str, Any]]:
        return [
            entry["resource"]
            for entry in self.get(f"Task?{query}").get("entry", [])
            if entry["resource"]["resourceType"] == "Task"
        ]


def coded(system: str, code: str, text: str | None = None) -> dict[str, Any]:
    concept: dict[str, Any] = {"coding": [{"system": system, "code": code}]}
    return concept | ({"text": text} if text else {})


def submission(organization: str, number: str, now: datetime) -> dict[str, Any]:
    """The least that a ward would send: who, which stay, what is needed."""
    patient, stay = f"urn:uuid:{uuid.uuid4()}", f"urn:uuid:{uuid.uuid4()}"

    def entry(resource: dict[str, Any], url: str) -> dict[str, Any]:
        return {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}

    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry(
                {
                    "resourceType": "Patient",
                    "identifier": [
                        {"system": "urn:oid:2.16.156.10011.1.3", "value": "520502195203150020"},
                        {"system": f"urn:yuanshe:demo:{organization}", "value": "ZY-0001"},
                    ],
                    "name": [{"text": "陈素芬"}],
                    "telecom": [{"system": "phone", "value": "13800000001"}],
                    "gender": "female",
                    "birthDate": "1952-03-15",
                    "address": [{"use": "home", "text": "示例街道 1 号", "district": "520502001"}],
                },
                patient,
            ),
            entry(
                {
                    "resourceType": "Encounter",
                    "status": "in-progress",
                    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                    "subject": {"reference": patient},
                    "period": {"start": (now - timedelta(days=6)).isoformat()},
                },
                stay,
            ),
            entry(
                {
                    "resourceType": "ServiceRequest",
                    "status": "active",
                    "intent": "order",
                    "identifier": [{"system": "urn:yuanshe:demo:order", "value": number}],
                    "category": [coded(NEED, "N05")],
                    "priority": "urgent",
                    "subject": {"reference": patient},
                    "encounter": {"reference": stay},
                },
                f"urn:uuid:{uuid.uuid4()}",
            ),
        ],
    }


def run(demo: dict[str, Any], say: Callable[[str], None]) -> None:
    """Drive the referral and print its timeline; raises when any step is refused."""
    # It speaks to this machine alone: a proxy of the environment has no part in it.
    with httpx.Client(timeout=30, trust_env=False) as http:
        hospital = Party(http, demo["fhir_url"], demo["clients"]["his-a"])
        agency = Party(http, demo["fhir_url"], demo["clients"]["agency-a"])
        referral = _referral(hospital, agency, demo)
        say("")
        say(f"A referral went round: ServiceRequest/{referral}")
        for line in told(hospital.get(f"ServiceRequest/{referral}/$timeline")):
            say(line)


def _referral(hospital: Party, agency: Party, demo: dict[str, Any]) -> str:
    now = datetime.now(UTC)
    answer = hospital.post("", submission(demo["organizations"]["hospital-a"], f"DEMO-{uuid.uuid4()}", now))
    patient, stay, referral = (entry["response"]["location"].split("/")[1] for entry in answer["entry"])
    parent = hospital.tasks(f"focus=ServiceRequest/{referral}")[0]
    offer = agency.tasks(f"part-of=Task/{parent['id']}&status=requested")[0]
    taken = agency.put(offer, status="accepted")
    hospital.post("Consent", consent(demo, patient, referral, now))
    taken = agency.put(agency.get(f"Task/{taken['id']}"), status="in-progress")
    filler = taken["focus"]["reference"]
    work = agency.post(
        "Procedure",
        {
            "resourceType": "Procedure",
            "status": "completed",
            "code": coded(SERVICE, "discharge-planning"),
            "subject": taken["for"],
            "basedOn": [{"reference": filler}],
            "performedDateTime": now.isoformat(),
        },
    )
    bed = hospital.get(f"Encounter/{stay}")
    hospital.put(
        bed,
        status="finished",
        period=bed["period"] | {"end": now.isoformat()},
        hospitalization={"dischargeDisposition": coded("urn:oid:2.16.156.10011.2.3.1.265", "1")},
    )
    output = {
        "type": coded(
            "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes", "resulting-activity"
        ),
        "valueReference": {"reference": f"Procedure/{work['id']}"},
    }
    agency.put(
        agency.get(f"Task/{taken['id']}"),
        status="completed",
        output=[output],
        statusReason=coded(CLOSURE, "goals-met", "已回到社区，照护落实。"),
    )
    for follow_up in agency.tasks(f"based-on=ServiceRequest/{referral}&status=accepted"):
        _reach(agency, follow_up)
    return referral


def _reach(agency: Party, follow_up: dict[str, Any]) -> None:
    """An attempt that reached the person, and what came of it."""
    agency.post(
        "Communication",
        {
            "resourceType": "Communication",
            "status": "completed",
            "basedOn": [{"reference": f"Task/{follow_up['id']}"}],
            "medium": [
                {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode", "code": "PHONE"}]}
            ],
        },
    )
    outcome = {"type": coded(TASK_CODE, "outcome"), "valueCodeableConcept": coded(OUTCOME, "stable")}
    agency.put(agency.get(f"Task/{follow_up['id']}"), status="completed", output=[outcome])


def consent(demo: dict[str, Any], patient: str, referral: str, now: datetime) -> dict[str, Any]:
    """The patient's consent that names the agency which accepted."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IDSCL")],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": now.isoformat(),
        "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [{"reference": demo["organizations"]["hospital-a"]}],
        "sourceAttachment": {"title": "知情同意书"},
        "policyRule": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
        "provision": {
            "type": "permit",
            "actor": [
                {
                    "role": coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
                    "reference": {"reference": demo["organizations"]["agency-a"]},
                }
            ],
            "data": [{"meaning": "related", "reference": {"reference": f"ServiceRequest/{referral}"}}],
        },
    }


def told(timeline: dict[str, Any]) -> list[str]:
    """A `$timeline` as lines for people: when, what, who, why; and who acts next."""
    lines: list[str] = []
    for parameter in timeline.get("parameter", []):
        part = {
            p["name"]: next(value for key, value in p.items() if key.startswith("value"))
            for p in parameter["part"]
            if len(p) > 1
        }
        if parameter["name"] == "event":
            at = datetime.fromisoformat(part["when"]).astimezone(SHANGHAI)
            why = f"  ({part['reason']})" if "reason" in part else ""
            lines.append(f"  {at:%Y-%m-%d %H:%M:%S}  {part['action']:<18} {part['who'].get('display', '')}{why}")
        else:
            lines.append(f"  next: {part['what']} by {part['by']}")
    if not any(parameter["name"] == "next" for parameter in timeline.get("parameter", [])):
        lines.append("  next: nobody has to act; the loop is closed")
    return lines
