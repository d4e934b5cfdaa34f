"""References: which of ours they name, and how those of a Bundle find their entries."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.fhir.wire import Reference
from service.errors import Invalid, Malformed
from service.values import Id, read_json, write_json

_RELATIVE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]+)?$")


def parse(text: str | None) -> tuple[str, str] | None:
    """`Patient/x`, absolute or relative, with or without version → (`Patient`, `x`)."""
    found = _RELATIVE.search(text) if text else None
    return (found.group(1), found.group(2)) if found else None


def ours(reference: Reference | None, *types: str, at: str) -> Id | None:
    """The id that a reference names, of one of these types; None when it is absent. Raises Invalid for another type or form."""
    if reference is None or reference.reference is None:
        return None
    found = parse(reference.reference)
    if found is None or found[0] not in types:
        raise Invalid(f"This reference must name a {' or '.join(types)}.", at=f"{at}.reference", code="value")
    return as_id(found[1])


def as_id(text: str) -> Id | None:
    """An id of ours, or None: ids of other systems name nothing here."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def required(reference: Reference | None, *types: str, at: str) -> Id:
    found = ours(reference, *types, at=at)
    if found is None:
        raise Invalid(f"This must reference a {' or '.join(types)} that is known here.", at=at, code="not-found")
    return found


_OF_REST = re.compile(r"https?://.+/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})\Z")


def urls(type: str, id: str | None, full_url: str | None) -> set[str]:
    """Every way in which another entry of a Bundle may reference this one (FHIR R4 bundle.html#references)."""
    found = {full_url} if full_url else set[str]()
    if full_url and (of_rest := _OF_REST.match(full_url)) and of_rest[1] == type:
        # Beneath one server its parts name each other without its address, whether or not they repeat their ids.
        found.add(f"{type}/{of_rest[2]}")
    if id and (full_url is None or full_url.endswith(f"/{id}")):
        found.add(f"{type}/{id}")
    return found


_NAMING = re.compile(
    rb'("(?:reference|url|uri|source|valueUri|valueUrl|valueUuid|valueOid|valueCanonical|instantiatesUri)"\s*:\s*)("(?:[^"\\]|\\.)*")'
)
"""Elements of type Reference, uri, url, oid, uuid: what may name another entry of a Bundle (FHIR R4 http.html#trules)."""
_LINK = re.compile(rb'((?:href|src)\s*=\s*\\")([^"\\]*)(\\")')
"""A link or a picture in the narrative."""


def rewritten(body: bytes, names: Mapping[str, str]) -> bytes:
    """The body with the references of a Bundle replaced by what its entries are stored as; all other bytes stay."""
    if not names:
        return body

    def replace(match: re.Match[bytes]) -> bytes:
        text = match.group(2)
        # Some senders write a slash as `\/`.
        new = names.get(read_json(text) if b"\\" in text else text[1:-1].decode("utf-8", "replace"))
        return match.group(1) + write_json(new) if new else match.group(0)

    def linked(match: re.Match[bytes]) -> bytes:
        new = names.get(match.group(2).decode("utf-8", "replace"))
        return match.group(1) + (new.encode() if new else match.group(2)) + match.group(3)

    body = _NAMING.sub(replace, body)
    return _LINK.sub(linked, body) if b"<div" in body else body


_CONDITION = re.compile(r"[A-Z][A-Za-z]+\?.")


def may_hold_conditions(body: bytes) -> bool:
    """Whether a body could hold a conditional reference at all: quick, and never wrong when it says no."""
    return b"?" in body or b"\\u003f" in body.lower()


def conditions(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """Every conditional reference (`Patient?identifier=…`) in a resource, with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "reference" and isinstance(inner, str) and _CONDITION.match(inner):
                yield inner, f"{at}.reference"
            else:
                yield from conditions(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from conditions(inner, f"{at}[{position}]")


def canonical(entries: Sequence[tuple[dict[str, Any], str]], names: Mapping[str, int]) -> bytes:
    """A whole submission in canonical form (contract.md): entries in order, without fullUrl, id, meta and narrative, each
    reference within the Bundle replaced by the position that it names."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        if isinstance(value, str) and value in names:
            return f"#{names[value]}"
        return value

    whole = [
        [request, {key: plain(value) for key, value in resource.items() if key not in ("id", "meta", "text")}]
        for resource, request in entries
    ]
    return write_json(whole, canonical=True)


def if_match(header: str | None) -> int | None:
    """The version that If-Match names: `W/"3"`."""
    if header is None or header.strip() == "*":
        return None
    found = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', header.strip())
    if found is None:
        raise Malformed('If-Match names a version as W/"3".')
    return int(found.group(1))
