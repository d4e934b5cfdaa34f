"""The small town, on a database of each test's own."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from service import db
from tests.casework.network import settle_in
from tests.casework.town import NOW, Town


@pytest.fixture
async def town(database: Any) -> AsyncIterator[Town]:
    pool = await db.connect(database.app_dsn, size=4)
    yield Town(pool, *await settle_in(pool, NOW))
    await pool.close()
