"""Media types: what a request comes in and may be answered with, read from its head (RFC 9110, 8.3 and 12.5; FHIR R4 http.html#mime-type)."""

import re
from collections.abc import Iterator, Mapping, Sequence

FHIR_JSON = "application/fhir+json"
JSON = frozenset({FHIR_JSON, "application/json"})
"""What a resource may come in."""
OURS = {
    FHIR_JSON: FHIR_JSON,
    "json": FHIR_JSON,
    "text/json": FHIR_JSON,
    "application/json": "application/json",
}
"""The names of FHIR's JSON that a client may ask for, each with the media type that it gets."""


def kinds(said: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Media types of a list, with their parameters, in small letters (RFC 9110, 8.3.1 and 12.5.1)."""
    for kind in said.lower().split(","):
        name, *parameters = kind.split(";")
        pairs = (parameter.partition("=") for parameter in parameters)
        yield name.strip(), {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def accepted(headers: Mapping[str, str], query: Sequence[tuple[str, str]]) -> str:
    """What the answer may come in: `_format`, which is stronger, or Accept."""
    format = next((value for key, value in query if key == "_format"), None)
    # In a URL a bare plus is a blank: `_format=application/fhir+json`.
    return format.replace(" ", "+") if format else headers.get("accept") or "*/*"


def weight(parameters: Mapping[str, str]) -> float:
    """How much a media type is wished for, from 0 (not at all) to 1; what cannot be read is 1."""
    said = parameters.get("q", "1")
    return float(said) if re.fullmatch(r"[01](\.[0-9]{0,3})?", said) else 1.0
