"""A pool on the test's own database, a registered program, and the smart endpoints as a small application."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.datastructures import State

from adapters import settings, smart
from service import db
from service.access import flow
from service.access.model import Client, NewClient, clock_actor
from service.db import Database
from service.values import utc_now
from tests.access.network import BASE, HOSPITAL, KEYS, PLATFORM


@pytest.fixture
async def pool(database: Any) -> AsyncIterator[Database]:
    opened = await db.connect(database.app_dsn, size=12)
    yield opened
    await opened.close()


async def register(pool: Database, **changed: Any) -> Client:
    new = {"organization": HOSPITAL, "role": "hospital", "name": "HIS A", "scope": "system/*.cruds", "jwks": KEYS}
    clock = clock_actor(PLATFORM)
    async with pool.transaction(clock.scope) as session:
        return await flow.add_client(session, clock, NewClient(**(new | changed)), utc_now())


@pytest.fixture
async def his(pool: Database) -> Client:
    return await register(pool)


@pytest.fixture
async def http(pool: Database) -> AsyncIterator[httpx.AsyncClient]:
    state = State({"database": pool, "settings": settings.read({"WEBHOOK_ALLOW": "127.0.0.0/8"}), "base_url": BASE})
    app = Litestar(route_handlers=smart.route_handlers, state=state, openapi_config=None)
    # Litestar's own test client runs the application on a loop of its own, to which this test's pool does not belong.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client
