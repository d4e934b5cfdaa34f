"""The CapabilityStatement: what the table of the surface says, and nothing else."""

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from adapters.fhir import directory, published, standard, subscriptions
from adapters.fhir.exchange import Answer, Asked
from adapters.fhir.rows import Param, Type
from adapters.fhir.surface import SURFACE, revincludes
from adapters.fhir.ways import ALL, SYSTEM, Sides, Way
from adapters.settings import VERSION
from service.errors import Malformed
from service.values import write_json

Json = dict[str, Any]

PAST = frozenset({"task", "request", "patient", "record"})
"""Rooms that keep past versions; of the others a version or a history is what there is now."""
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


DATE = "2026-11-22"
SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-"
NORMATIVE = frozenset({"Binary", "CodeSystem", "Observation", "OperationDefinition", "Patient"})
"""Of the types here those that are normative in R4."""


def answer(asked: Asked) -> Answer:
    """`GET /metadata`: by `mode` the whole statement, its normative part, or what there is of terminology. Raises Malformed."""
    mode = next((value for key, value in asked.query if key == "mode"), "full")
    if mode not in ("full", "normative", "terminology"):
        raise Malformed("The mode is full, normative or terminology.", code="value")
    body, etag = _held(asked.base, mode, asked.shared)
    headers = {"etag": etag, "cache-control": "public, max-age=300"}
    if asked.headers.get("if-none-match", "").strip() in (etag, "*"):
        return Answer(304, None, headers)
    return Answer(200, body, headers)


@lru_cache(maxsize=8)
def _held(base_url: str, mode: str, shared: bool) -> tuple[Json, str]:
    if mode == "terminology":
        body = terminology(base_url)
    else:
        body = capability(base_url, shared=shared)
        if mode == "normative":
            rest = body["rest"][0]
            rest["resource"] = [each for each in rest["resource"] if each["type"] in NORMATIVE]
    return body, f'W/"{hashlib.sha256(write_json(body)).hexdigest()[:16]}"'


def terminology(base_url: str) -> Json:
    """The TerminologyCapabilities: our own code lists, to be read as CodeSystems; nothing is expanded or validated here."""
    return {
        "resourceType": "TerminologyCapabilities",
        "url": f"{base_url}/metadata?mode=terminology",
        "version": VERSION,
        "name": "YuansheTerminology",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": {"name": "Yuanshe", "version": VERSION},
        "implementation": {"description": "Yuanshe", "url": base_url},
        "codeSystem": [{"uri": url} for url in sorted(directory.SYSTEMS.values())],
        "codeSearch": "explicit",
    }


def capability(base_url: str, *, shared: bool = False) -> Json:
    """The CapabilityStatement of the surface at `base_url` (`…/fhir`); `shared` with pages of other origins (CORS)."""
    token = base_url.removesuffix("/fhir") + "/auth/token"
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{base_url}/metadata",
        "version": VERSION,
        "name": "Yuanshe",
        "title": "院社 Yuanshe",
        "status": "active",
        "date": DATE,
        "publisher": "Yuanshe",
        "description": "Referrals between hospitals and social work agencies, as a coordination platform of the SDOH Clinical Care "
        "guide. JSON only: XML and Turtle are refused with 406 and 415. What is not listed here is not offered.",
        "kind": "instance",
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "software": {"name": "Yuanshe", "version": VERSION},
        "implementation": {"description": "Yuanshe", "url": base_url},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": shared,
                    "service": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                             "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}]}],
                    "description": "SMART Backend Services: private_key_jwt; see .well-known/smart-configuration.",
                    "extension": [{"url": OAUTH_URIS, "extension": [{"url": "token", "valueUri": token}]}],
                },
                "resource": [_resource(name, type) for name, type in sorted(SURFACE.items())],
                "interaction": [{"code": way.name} for way in SYSTEM if way.name in ("transaction", "batch")],
                "operation": [_operation(way) for way in SYSTEM if way.is_operation],
                "compartment": ["http://hl7.org/fhir/CompartmentDefinition/patient"],
            }
        ],
    }  # fmt: skip


def _resource(name: str, type: Type) -> Json:
    writable = {"create", "update"} & set(type.interactions)
    said: Json = {
        "type": name,
        **({"supportedProfile": [f"{SDOHCC}{profile}" for profile in type.profiles]} if type.profiles else {}),
        "interaction": [{"code": code} for code in type.interactions],
        "versioning": "versioned-update" if "update" in type.interactions else "versioned",
        "readHistory": type.room in PAST,
        "updateCreate": False,
        "conditionalCreate": "create" in writable,
        "conditionalRead": "full-support",
        "conditionalUpdate": "update" in writable,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal"],
        "searchParam": [_param(name, param) for param in type.params],
    }
    told = [type.doc] if type.doc else []
    told += [f"{way.name}: {_who(sides)}." for way in type.ways if (sides := type.sides(way)) != ALL and way.affects]
    if told:
        said["documentation"] = " ".join(dict.fromkeys(told))
    if name == "Subscription":
        said["supportedProfile"] = [subscriptions.PROFILE]
        said["extension"] = [{"url": subscriptions.TOPIC, "valueCanonical": topic} for topic in subscriptions.TOPICS]
    if type.includes:
        said["searchInclude"] = [f"{name}:{include}" for include in type.includes]
    if leading := revincludes(name):
        said["searchRevInclude"] = list(leading)
    if operations := [_operation(way) for way in type.ways if way.is_operation]:
        said["operation"] = operations
    return said


def _operation(way: Way) -> Json:
    return {"name": way.name[1:], "definition": way.definition, "documentation": way.doc}


def _who(sides: Sides) -> str:
    return "everybody" if sides == ALL else ", ".join(sides)


def _param(type: str, param: Param) -> Json:
    if param.definition:
        own = published.search_parameter_url(type, param)
        return {"name": param.name, "definition": own, "type": published.kind(param), "documentation": param.definition}
    kind = "reference" if (type, param.name) in standard.CANONICAL else published.kind(param)
    return {"name": param.name, "definition": standard.definition(type, param.name), "type": kind}


def page() -> str:
    """The table of the surface as a page of the docs: `docs/surface.md` holds it, and a test compares."""
    lines = [
        "# The FHIR surface, type by type",
        "",
        "What `GET /fhir/metadata` says, for reading. The page is written by `adapters.fhir.metadata.page()` from the one table",
        "`adapters/fhir/surface.py`. How to ask:",
        "",
        "- Every parameter takes several values with commas (any of them) and may be repeated (all of them); a search has at most",
        "  200 values in all.",
        "- Modifiers: `:missing` on all, `:not` on tokens, `:exact` and `:contains` on strings (which otherwise are looked for at the",
        "  beginning; case counts only for `:exact`), `:Type` and `:identifier` on references. Another modifier is a 400.",
        "- A token is `code`, `system|code`, `|code` (without a system) or `system|`; a date takes `eq ne gt ge lt le sa eb ap` (`ap`:",
        "  as much earlier and later as the value is long, at least a day) and, without a zone, is meant in China.",
        "- Chains go one step, along any reference to a type below: `patient.identifier`, `focus.status`, `owner:Organization.name`;",
        "  and back: `_has:Task:focus:status`. A token must be allowed to search the type at the other end. Nothing is found through",
        "  what the reader may not see.",
        "- `_include` and `_revinclude` take what is listed for the type (`Type:*` for all includes; `Task:focus:ServiceRequest` narrows)",
        "  and go one step; they are not counted, and at most 1000 come along.",
        "- `_count` (at most 200), `_sort` (one of `_id`, `_lastUpdated`, with a minus for newest first; unasked, newest first),",
        "  `_total`, `_summary` and `_elements` (on a read as well) shape the answer. `Prefer: handling=strict` refuses what is not",
        "  listed here; otherwise it is ignored and left out of `self`.",
        "- Who asks `_lastUpdated=gt` the latest time seen misses no change, in whatever order writers commit; all pages of a search",
        "  are of the moment at which its first was asked ([why](decisions/commit-order.md)). A list that is only sorted by",
        "  `_lastUpdated` shows each resource once, at the place it had then.",
        "- The history of a resource takes `_count`, `_since` and `_at`, that of a type `_count` and `_since`; both come newest first, in",
        "  pages. A read takes `If-None-Match` (versions, or `*`) and, where that is not sent, `If-Modified-Since`.",
        "- A parameter marked * may identify a person: its search has one page, since no link repeats its value.",
        "",
        "How to write:",
        "",
        "- A client's id, version and time are not kept; `PUT` changes what is there and makes nothing at an address of its own.",
        "  `If-Match` is checked first (412). Nothing is deleted: 405.",
        "- A patch is a JSON Patch (`application/json-patch+json`; in a Bundle a Binary that holds it). There is no FHIRPath Patch.",
        "- Conditions: `If-None-Exist` on a create, `PUT Type?…` and `PATCH Type?…` in place of an id. None fits: a create makes it,",
        "  so does a PUT where the type is created by clients, else 404; one fits: it is meant; several: 412. Whoever sends the",
        "  same condition at the same time waits, so that one creates and the others find.",
        "- A Bundle takes any of the ways below as an entry, in a transaction carried out as one (POST, PUT, PATCH, GET; one",
        "  failure, and nothing is stored), in a batch each by itself. References to other entries are set right wherever a",
        "  reference, a uri or a url may stand, and in the narrative's links; `Patient?identifier=…` must find exactly one (412).",
        "  Two entries about one resource are refused (422).",
        "- `Prefer: return=minimal|representation|OperationOutcome`; of a transaction's entries only the outcome is told unless asked.",
        "- A side that may not use a way at all gets 403; on a resource that it may not know of, 404.",
        "",
    ]
    lines += ["## The service", "", *_ways("", SYSTEM, lambda way: way.who), ""]
    for name, type in sorted(SURFACE.items()):
        lines += [f"## {name}", ""]
        lines += [type.doc, ""] if type.doc else []
        lines += _ways(name, type.ways, type.sides)
        lines += ["", "| parameter | kind | |", "|---|---|---|"]
        lines += [_row(param) for param in type.params]
        if type.includes:
            lines += ["", f"`_include`: {', '.join(f'`{name}:{include}`' for include in type.includes)}."]
        if leading := revincludes(name):
            lines += ["", f"`_revinclude`: {', '.join(f'`{each}`' for each in leading)}."]
        lines.append("")
    return "\n".join(lines)


def _ways(type: str, ways: Iterable[Way], sides: Callable[[Way], Sides]) -> list[str]:
    lines = ["| what | how | who | |", "|---|---|---|---|"]
    for way in ways:
        asked = [f"`{', '.join(way.methods)} {_address(type, level, way)}`" for level in way.levels]
        lines.append(f"| {way.name} | {', '.join(asked)} | {_who(sides(way))} | {way.doc} |")
    return lines


def _address(type: str, level: str, way: Way) -> str:
    conditional = level == "type" and way.name in ("update", "patch")
    stars = {"vread": "{version}", "search-compartment": "{type}"}
    own = {"system": [], "type": [type], "instance": [type, "{id}"]}[level]
    tail = [stars.get(way.name, "*") if word == "*" else word for word in way.words]
    return "/" + "/".join([*own, *tail]) + ("?…" if conditional else "")


def _row(param: Param) -> str:
    says = param.definition or (", ".join(param.targets) if param.kind == "reference" else "")
    return f"| `{param.name}`{' *' if param.personal else ''} | {published.kind(param)} | {says} |"
