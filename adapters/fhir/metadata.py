"""The CapabilityStatement: what the table of the surface says, and nothing else."""

from typing import Any

from adapters.fhir.surface import SURFACE, Param, Type
from adapters.settings import VERSION

Json = dict[str, Any]

BASE = "http://hl7.org/fhir/SearchParameter"
KINDS = {"code": "token", "boolean": "token"}
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition"
OPERATIONS: dict[str, tuple[Json, ...]] = {
    "ServiceRequest": (
        {"name": "route", "definition": "urn:yuanshe:operation:route",
         "documentation": "Who would be offered this submission, and why; nothing is stored."},
        {"name": "timeline", "definition": "urn:yuanshe:operation:timeline",
         "documentation": "Every event of a referral, and who must act next."},
    ),
    "Subscription": (
        {"name": "status", "definition": f"{BACKPORT}/backport-subscription-status",
         "documentation": "How subscriptions fare."},
        {"name": "events", "definition": f"{BACKPORT}/backport-subscription-events",
         "documentation": "What a subscription was to hear, delivered or not."},
    ),
}  # fmt: skip
PAST = frozenset({"task", "request", "patient", "record"})
"""Rooms that keep past versions; of the others a version or a history is what there is now."""
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


def capability(base_url: str) -> Json:
    """The CapabilityStatement of the surface at `base_url` (`…/fhir`)."""
    token = base_url.removesuffix("/fhir") + "/auth/token"
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{base_url}/metadata",
        "version": VERSION,
        "name": "Yuanshe",
        "title": "院社 Yuanshe",
        "status": "active",
        "date": "2026-11-22",
        "publisher": "Yuanshe",
        "description": "Referrals between hospitals and social work agencies, as a coordination platform of the SDOH Clinical Care "
        "guide (JSON only; what is not listed here is not offered).",
        "kind": "instance",
        "software": {"name": "Yuanshe", "version": VERSION},
        "implementation": {"description": "Yuanshe", "url": base_url},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "service": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                             "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}]}],
                    "description": "SMART Backend Services: private_key_jwt; see .well-known/smart-configuration.",
                    "extension": [{"url": OAUTH_URIS, "extension": [{"url": "token", "valueUri": token}]}],
                },
                "resource": [_resource(name, type) for name, type in sorted(SURFACE.items())],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }  # fmt: skip


def _resource(name: str, type: Type) -> Json:
    said: Json = {
        "type": name,
        "interaction": [{"code": code} for code in type.interactions],
        "versioning": "versioned-update" if "update" in type.interactions else "versioned",
        "readHistory": type.room in PAST,
        "updateCreate": False,
        "conditionalCreate": "create" in type.interactions,
        "conditionalRead": "not-match",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal"],
        "searchParam": [_param(name, param) for param in type.params],
    }
    if type.doc:
        said["documentation"] = type.doc
    if type.includes:
        said["searchInclude"] = [f"{name}:{include}" for include in type.includes]
    if name in OPERATIONS:
        said["operation"] = list(OPERATIONS[name])
    return said


def _param(type: str, param: Param) -> Json:
    said: Json = {"name": param.name, "type": KINDS.get(param.kind, param.kind)}
    if param.definition:
        said["documentation"] = param.definition
    elif param.name.startswith("_"):
        said["definition"] = f"{BASE}/Resource-{param.name[1:]}"
    return said


def page() -> str:
    """The table of the surface as a page of the docs: `docs/surface.md` holds it, and a test compares."""
    lines = [
        "# The FHIR surface, type by type",
        "",
        "What `GET /fhir/metadata` says, for reading. The page is written by `adapters.fhir.metadata.page()` from the one table",
        "`adapters/fhir/surface.py`. How to ask: every parameter takes several values with commas (any of them) and may be",
        "repeated (all of them); `:missing` works on all, `:not` on tokens; a date takes `eq ne gt ge lt le sa eb`; a person may be",
        "reached through a chain (`patient.identifier`), by a token that may search Patient. A search has at most 200 values in",
        "all. `_count` (at most 200), `_sort` (`_id`, `_lastUpdated`, with a minus for",
        "newest first), `_total`, `_summary=count` and `_include` shape the answer; `Prefer: handling=strict` refuses what is not",
        "listed here. A parameter marked * may identify a person: its search has one page, since no link repeats its value.",
        "",
    ]
    for name, type in sorted(SURFACE.items()):
        lines += [f"## {name}", ""]
        lines += [type.doc, ""] if type.doc else []
        lines += [f"{', '.join(type.interactions)}.", "", "| parameter | kind | |", "|---|---|---|"]
        lines += [_row(param) for param in type.params]
        if type.includes:
            lines += ["", f"`_include`: {', '.join(f'`{name}:{include}`' for include in type.includes)}."]
        if name in OPERATIONS:
            lines += ["", "Operations: " + ", ".join(f"`${each['name']}`" for each in OPERATIONS[name]) + "."]
        lines.append("")
    return "\n".join(lines)


def _row(param: Param) -> str:
    says = param.definition or (", ".join(param.targets) if param.kind == "reference" else "")
    return f"| `{param.name}`{' *' if param.personal else ''} | {KINDS.get(param.kind, param.kind)} | {says} |"
