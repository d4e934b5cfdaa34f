"""A world to read in, on a database of each test's own."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from service import db
from tests.fhir.world import World


@pytest.fixture
async def world(database: Any) -> AsyncIterator[World]:
    pool = await db.connect(database.app_dsn, size=3)
    made = World(pool)
    await made.arrive()
    yield made
    await pool.close()
