"""The demo network over HTTP, to which a hospital's system speaks HL7 v2 besides."""

from collections.abc import AsyncIterator

import pytest

from tests.hl7v2.ward import Line, ward
from tests.http.conftest import network, network_database, world  # noqa: F401 -- fixtures
from tests.http.world import World


@pytest.fixture
async def his(world: World) -> AsyncIterator[Line]:  # noqa: F811
    """A connection of hospital-a's system."""
    async with ward(world) as one:
        yield one
