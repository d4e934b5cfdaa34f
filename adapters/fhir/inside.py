"""The FHIR surface for whoever is in the house already: a page asks in its own open session, and meets the same checks.

What a page keeps of a person (a consent, a note, a screening) is a FHIR resource like any other; so it is written once, in one
form, and reads alike for the program that asks for it tomorrow (docs/decisions/pages-write-fhir.md).
"""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from adapters.fhir import addresses, bundles, interactions, submission
from adapters.fhir.exchange import Asked
from adapters.fhir.media import FHIR_JSON
from service.access.model import Actor
from service.db import Session
from service.errors import Invalid
from service.values import write_json


async def ask(
    session: Session,
    actor: Actor,
    method: str,
    path: str,
    resource: Any,
    now: datetime,
    *,
    base_url: str = "",
    sealed: bool = False,
) -> Any:
    """Do what `method` on `/fhir/<path>` does, within this session; the answer's JSON. An empty path is a transaction Bundle.

    Raises the refusals that a program would be answered with. What must be known before a transaction begins (what the
    scanner says of a file, where a subscription's host leads) is not asked here: files and subscriptions have verbs of
    their own. `sealed`: who writes it may not read it again (T3), so nothing is answered."""
    address, _, query = path.partition("?")
    asked = Asked(
        method,
        tuple(part for part in address.split("/") if part),
        parse_qsl(query, keep_blank_values=True),
        {"accept": FHIR_JSON, "prefer": "return=minimal" if sealed else "return=representation"},
        f"{base_url}/fhir",
        write_json(resource) if resource is not None else b"",
        practice=session.practice,
    )
    if not asked.path and method == "POST":
        bundle = submission.bundle_of(asked.body)
        if bundle.type != "transaction":
            raise Invalid("Within the house a Bundle is a transaction.", at="Bundle.type", code="value")
        return await bundles.transaction(session, actor, bundles.entries_of(bundle, asked, {}), asked, now)
    place = addresses.find(method, asked.path)
    return (await interactions.perform(session, actor, asked, place, now)).body
