"""A pool on the test's own database, with the demo network in it where a test asks."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from service import db
from service.db import Database
from service.directory.model import Organization
from tests.directory.network import load_demo


@pytest.fixture
async def pool(database: Any) -> AsyncIterator[Database]:
    opened = await db.connect(database.app_dsn, size=24)
    yield opened
    await opened.close()


@pytest.fixture
async def demo(pool: Database) -> dict[str, Organization]:
    """The demo network's organisations by key."""
    return await load_demo(pool)
