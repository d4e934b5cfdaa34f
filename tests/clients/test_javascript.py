"""Medplum's client and fhir-kit-client, from npm: their own test files say what each of them does."""

import json

from tests.clients.conftest import Script, Served


def tokens(served: Served) -> str:
    return json.dumps({party: served.token(party) for party in ("his-a", "agency-a", "platform")})


async def test_medplum_client_creates_reads_updates_patches_and_searches(served: Served, javascript: Script) -> None:
    await javascript("--test", "medplum.test.mjs", FHIR_URL=served.url, TOKENS=tokens(served))


async def test_fhir_kit_client_does_what_it_can_or_is_told_why_not(served: Served, javascript: Script) -> None:
    await javascript("--test", "fhir_kit.test.mjs", FHIR_URL=served.url, TOKENS=tokens(served))
