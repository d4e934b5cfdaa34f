"""Organisations, services, workers and code lists as FHIR R4."""

import uuid
from collections.abc import Iterable
from typing import Any

from adapters.fhir.persons import district
from adapters.fhir.published import LOADED
from adapters.fhir.render import concept, instant, meta, ref
from service import codes
from service.codes import CodeList
from service.directory.model import USCC, Member, Organization, Region, Service, Team, Worker
from service.values import Id

Json = dict[str, Any]

CAPACITY = (
    "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-ExtensionHealthcareServiceCapacityStatus"
)
PLACES = "urn:yuanshe:places"
CONFIRMED = "urn:yuanshe:capacity-confirmed"
PROTECTION = "urn:yuanshe:protection-qualified"
CAPACITY_WORDS = {
    "capacity": "Capacity",
    "no-capacity": "No Capacity",
    "waitlist": "Waitlist",
    "additional-assessment-required": "Additional Assessment Required",
}
LANGUAGES = "urn:ietf:bcp:47"


def _meta(it: Organization | Service | Worker | Team) -> Json:
    return meta(it.version, it.updated_at) if it.updated_at else {"versionId": str(it.version)}


def organization(it: Organization) -> Json:
    said: Json = {
        "resourceType": "Organization",
        "id": str(it.id),
        "meta": _meta(it),
        "active": it.active,
        "type": [concept(codes.ORGANIZATION_KIND, it.kind)],
        "name": it.name_zh,
        "alias": [it.name_en],
    }
    if it.uscc:
        said["identifier"] = [
            {"system": USCC, "value": it.uscc, "type": {"coding": [{"code": "USCC"}], "text": "统一社会信用代码"}}
        ]
    telecom = [
        {"system": system, "value": value} for system, value in (("phone", it.phone), ("email", it.email)) if value
    ]
    if telecom:
        said["telecom"] = telecom
    if it.region:
        said["address"] = [district(it.region)]
    if it.part_of:
        said["partOf"] = ref("Organization", it.part_of)
    if it.protection_qualified:
        said["extension"] = [{"url": PROTECTION, "valueBoolean": True}]
    return said


def healthcare_service(it: Service, regions: dict[str, str]) -> Json:
    """What an agency offers, always with its capacity. `regions`: names of the region codes that it covers."""
    said: Json = {
        "resourceType": "HealthcareService",
        "id": str(it.id),
        "meta": _meta(it),
        "extension": [
            {"url": CAPACITY, "extension": [{"url": "capacityStatus", "valueCodeableConcept": {
                "coding": [{"system": codes.SDOHCC, "code": it.capacity_status, "display": CAPACITY_WORDS[it.capacity_status]}]}}]},
            {"url": PLACES, "valueInteger": it.places},
            {"url": CONFIRMED, "valueDateTime": meta(1, it.confirmed_at)["lastUpdated"]},
        ],
        "active": it.active,
        "providedBy": ref("Organization", it.agency),
        "type": [concept(codes.SERVICE_TYPE, code) for code in it.service_types],
        "specialty": [concept(codes.NEED, code) for code in it.needs],
        "name": it.name_zh,
        "coverageArea": [
            {"identifier": {"system": codes.REGION, "value": code}, "display": regions.get(code, code)} for code in it.regions
        ],
        "eligibility": [{"code": concept(codes.POPULATION, code)} for code in it.populations],
        "communication": [{"coding": [{"system": LANGUAGES, "code": code}]} for code in it.languages],
    }  # fmt: skip
    return {key: value for key, value in said.items() if value not in ([], None)}


def practitioner_role(it: Worker) -> Json:
    said: Json = {
        "resourceType": "PractitionerRole",
        "id": str(it.id),
        "meta": _meta(it),
        "active": it.active,
        "practitioner": ref("Practitioner", it.id) | {"display": it.name},
        "organization": ref("Organization", it.agency),
    }
    if it.licensed_from:
        said["period"] = {"start": it.licensed_from.isoformat()}
        if it.licensed_to:
            said["period"]["end"] = it.licensed_to.isoformat()
    if it.grade:
        said["code"] = [concept(codes.GRADE, it.grade)]
    if it.away_since:
        said["notAvailable"] = [{"description": "由同事代班", "during": {"start": instant(it.away_since)}}]
    return said


def practitioner(it: Worker) -> Json:
    """The person behind a role, in their profession: name and licence, never its number."""
    said: Json = {
        "resourceType": "Practitioner",
        "id": str(it.id),
        "meta": _meta(it),
        "active": it.active,
        "name": [{"text": it.name}],
    }
    if it.grade and it.licensed_from:
        period = {"start": it.licensed_from.isoformat()} | (
            {"end": it.licensed_to.isoformat()} if it.licensed_to else {}
        )
        said["qualification"] = [{"code": concept(codes.GRADE, it.grade), "period": period}]
    return said


def care_team(it: Team) -> Json:
    """An agency's working staff; it bears the agency's own id."""
    return {
        "resourceType": "CareTeam",
        "id": str(it.id),
        "meta": _meta(it),
        "status": "active" if it.active else "inactive",
        "name": it.name_zh,
        "participant": [_participant(each) for each in it.members],
        "managingOrganization": [ref("Organization", it.id)],
    }


def _participant(it: Member) -> Json:
    roles = [{"text": text} for text, has in (("值班 on duty", it.duty), ("督导 supervisor", it.supervisor)) if has]
    return {"member": ref("PractitionerRole", it.worker)} | ({"role": roles} if roles else {})


SYSTEMS: dict[Id, str] = {uuid.uuid5(uuid.NAMESPACE_URL, url): url for url in (*codes.LISTS, codes.REGION)}
"""Our code systems by the id under which each is read."""


def code_system(it: CodeList) -> Json:
    concepts: list[Json] = [_concept(c.code, c.zh, c.en) for c in it.concepts]
    if it.system == codes.NEED:
        # An offer may say no more than this of a need of safety; nobody can ask for it.
        labels = [codes.label(codes.NEED, codes.SAFETY, lang) for lang in ("zh", "en")]
        concepts.append(
            _concept(codes.SAFETY, *labels) | {"property": [{"code": "notSelectable", "valueBoolean": True}]}
        )
    said = _code_system(it.system, it.name_zh, it.name_en, concepts)
    if it.system == codes.NEED:
        said["property"] = [{"code": "notSelectable", "type": "boolean", "uri": "http://hl7.org/fhir/concept-properties#notSelectable"}]  # fmt: skip
    return said


def region_system(regions: Iterable[Region]) -> Json:
    """GB/T 2260 with its streets, as far as the directory was loaded with them."""
    return _code_system(codes.REGION, "行政区划", "Regions", [_concept(r.code, r.name_zh, r.name_en) for r in regions])


def _concept(code: str, zh: str, en: str) -> Json:
    return {"code": code, "display": zh, "designation": [{"language": "en", "value": en}]}


def name_of(title: str) -> str:
    """A title as a name that programs can use."""
    return "".join(word.capitalize() for word in title.replace(",", "").replace("-", " ").split())


def _code_system(url: str, zh: str, en: str, concepts: list[Json]) -> Json:
    return {
        "resourceType": "CodeSystem",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, url)),
        "meta": meta(1, LOADED),
        "language": "zh",
        "url": url,
        "name": name_of(en),
        "title": f"{zh} {en}",
        "status": "active",
        "caseSensitive": True,
        "content": "complete",
        "count": len(concepts),
        "concept": concepts,
    }
