"""The audit as FHIR R4 AuditEvents, near to the Basic Audit Log Patterns: who did what to whose data, ids alone, never a name."""

import uuid
from collections.abc import Sequence
from typing import Any

from adapters.fhir import references
from adapters.fhir.render import instant, ref
from adapters.fhir.rows import Param
from service.access.model import AuditLine, Link
from service.db.finding import NEVER, Condition, either
from service.values import Id

Json = dict[str, Any]

DEVICE: Id = uuid.uuid5(uuid.NAMESPACE_URL, "urn:yuanshe:device")
"""The service itself, as the Device that observes every event and that acts when its clock does."""

EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
REST = "http://hl7.org/fhir/restful-interaction"
INTERACTION = "urn:yuanshe:interaction"
"""The service's own words for what was asked, where FHIR has no narrower one than `operation`."""
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ENTITY_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
BALP_ENTITY = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"

TYPES: dict[str, Json] = {
    "request": {"system": EVENT_TYPE, "code": "rest", "display": "RESTful Operation"},
    "login": {"system": DICOM, "code": "110114", "display": "User Authentication"},
    "activity": {"system": DICOM, "code": "110100", "display": "Application Activity"},
}
WORDS = {
    "read": "read", "vread": "vread", "history": "history-instance", "history-type": "history-type",
    "history-system": "history-system", "search": "search-type", "search-compartment": "search-type", "create": "create",
    "put": "update", "patch": "patch", "transaction": "transaction", "batch": "batch",
}  # fmt: skip
"""FHIR's word for each interaction of its REST; whatever else is asked is an operation."""
OUTCOMES = {"success": "0", "refused": "4", "error": "8"}


def event(link: Link) -> Json:
    """One line. `recorded` is when it was done, `meta.lastUpdated` when it took its place in the chain: later lines have
    later ones, so a poller misses none."""
    line = link.line
    said: Json = {
        "resourceType": "AuditEvent",
        "id": str(line.id),
        "meta": {"versionId": "1", "lastUpdated": instant(link.chained_at)},
        "type": TYPES[kind(line)],
        "subtype": _subtype(line),
        "action": line.action,
        "recorded": instant(line.at),
        "outcome": OUTCOMES[line.outcome],
        "agent": _agents(line),
        "source": {"observer": ref("Device", DEVICE), "type": [
            {"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4", "display": "Application Server"}
        ]},
        "entity": _entities(line),
    }  # fmt: skip
    if line.why:
        said["outcomeDesc"] = line.why
    if line.platform_reasons:
        said["purposeOfEvent"] = [{"text": reason} for reason in line.platform_reasons]
    return {key: value for key, value in said.items() if value != []}


def kind(line: AuditLine) -> str:
    """`request`, `login` or `activity`; the search by type says the same in SQL."""
    if line.interaction == "token":
        return "login"
    return "request" if line.resource_type or line.interaction in ("transaction", "batch") else "activity"


def _subtype(line: AuditLine) -> list[Json]:
    if kind(line) == "login":
        return [{"system": DICOM, "code": "110122", "display": "Login"}]
    own = {"system": INTERACTION, "code": line.interaction}
    if kind(line) == "activity":
        return [own]
    word = WORDS.get(line.interaction)
    return [{"system": REST, "code": word}] if word else [{"system": REST, "code": "operation"}, own]


def _agents(line: AuditLine) -> list[Json]:
    """Who did it, by the service's number of the program or account, and for which organisation."""
    who: Json = {
        "requestor": True,
        "role": [{"text": line.actor_role}],
        "altId": str(line.actor_id),
        "type": {"coding": [{"system": DICOM, "code": "110153", "display": "Source Role ID"}]},
    }
    if line.actor_kind == "system":
        who["who"] = ref("Device", DEVICE)
    elif line.actor_kind == "link":
        # Who held the link is nobody's to know: the agency answers for it.
        who["who"] = ref("Organization", line.organization_id) | {
            "identifier": {"system": "urn:yuanshe:answer-link", "value": str(line.actor_id)},
        }  # fmt: skip
    else:
        system, type = ("client", "Device") if line.actor_kind == "client" else ("account", "Practitioner")
        who["who"] = {
            "type": type, "identifier": {"system": f"urn:yuanshe:{system}", "value": str(line.actor_id)},
        }  # fmt: skip
    agents = [who]
    if line.organization_id.int:
        agents.append({"requestor": False, "who": ref("Organization", line.organization_id)})
    return agents


def _entities(line: AuditLine) -> list[Json]:
    found: dict[str, Json] = {}
    for patient in line.patients:
        found[f"Patient/{patient}"] = _entity("Patient", patient, "1", "Person", "1", "Patient")
    for referral in line.referrals:
        found[f"ServiceRequest/{referral}"] = _entity("ServiceRequest", referral, "2", "System Object", "4", "Domain Resource")  # fmt: skip
    if line.resource_type and line.resource_id:
        name = f"{line.resource_type}/{line.resource_id}"
        found.setdefault(name, _entity(line.resource_type, line.resource_id, "2", "System Object", "4", "Domain Resource"))  # fmt: skip
    entities = list(found.values())
    if line.resource_type and not line.resource_id:
        # A search or an operation on a whole type: what for is not kept, it could be a person's number.
        entities.append({"type": {"system": ENTITY_TYPE, "code": "2", "display": "System Object"}, "name": line.resource_type})  # fmt: skip
    if line.request_id:
        entities.append(
            {"what": {"identifier": {"value": line.request_id}}, "type": {"system": BALP_ENTITY, "code": "XrequestId"}}
        )
    return entities


def _entity(type: str, id: Id, code: str, display: str, role: str, role_display: str) -> Json:
    return {
        "what": ref(type, id),
        "type": {"system": ENTITY_TYPE, "code": code, "display": display},
        "role": {"system": ENTITY_ROLE, "code": role, "display": role_display},
    }


# ---- searching ---------------------------------------------------------------------------------------------------------

Pairs = Sequence[tuple[str | None, str | None]]


def token(param: Param, pairs: Pairs) -> Condition:
    """A token of an AuditEvent as a condition on the lines. `pairs`: system and code, None for any."""
    match param.field:
        case "outcome":
            return _among("outcome", [name for name, code in OUTCOMES.items() for _, wanted in pairs if wanted == code])
        case "kind":
            named = [(kind, coding["system"], coding["code"]) for kind, coding in TYPES.items()]
            return _among("kind", [k for k, s, c in named for system, code in pairs if system in (None, s) and code in (None, c)])  # fmt: skip
        case "actor":
            ids = tuple(id for _, code in pairs if code and (id := references.as_id(code)))
            return Condition("actor", ids) if ids else NEVER
        case "subtype":
            return either(*(_subtyped(system, code) for system, code in pairs))
        case _:
            return _among(param.field, [code for _, code in pairs if code])


def _among(field: str, values: list[str]) -> Condition:
    return Condition(field, tuple(values)) if values else NEVER


def _subtyped(system: str | None, code: str | None) -> Condition:
    words: list[Condition] = []
    if system in (None, REST):
        named = tuple(ours for ours, word in WORDS.items() if code in (None, word))
        if named:
            words.append(Condition("interaction", named))
        if code in (None, "operation"):
            words.append(Condition("operation", ("operation",)))
    if system in (None, INTERACTION) and code not in WORDS:
        words.append(Condition("interaction", (code,)) if code else Condition("kind", ("activity",)))
    if system in (None, DICOM) and code in (None, "110122"):
        words.append(Condition("kind", ("login",)))
    return either(*words) if words else NEVER


def refers(param: Param, values: Sequence[str]) -> Condition:
    """`agent` and `entity`: an organisation or the service as a Device; whatever was touched."""
    found: list[Condition] = []
    entities: list[tuple[str | None, Id]] = []
    for value in values:
        parsed = references.parse(value) if "/" in value else None
        id = references.as_id(parsed[1] if parsed else value)
        if id is None:
            continue
        if param.field == "entity":
            entities.append((parsed[0] if parsed else None, id))
        elif id == DEVICE and (parsed is None or parsed[0] == "Device"):
            found.append(Condition("actor-kind", ("system",)))
        elif parsed is None or parsed[0] == "Organization":
            found.append(Condition("organization", (id,)))
    if entities:
        found.append(Condition("entity", tuple(entities)))
    return either(*found) if found else NEVER
