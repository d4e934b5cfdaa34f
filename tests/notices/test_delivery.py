"""A notice arrives signed at who subscribed, is tried again until it does, and shows when it did not."""

import asyncio
import contextlib
import subprocess
import sys
import os
import signal
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest
from standardwebhooks import Webhook

from adapters import worker
from adapters.delivery import body
from adapters.delivery.post import posting
from service import events
from service.notices import flow, schedule
from service.notices.model import Wish

from .conftest import AGENCY, COORDINATOR, HOSPITAL, LOOPBACK, OTHER_AGENCY, as_platform, happen, new_referral

NOW = datetime.now(UTC)


async def subscribe(service, actor, url, now=NOW, **wish):
    async with service.transaction(actor.scope) as session:
        return await flow.subscribe(
            session, actor, Wish(endpoint=url, **wish), now, addresses=["127.0.0.1"], networks=LOOPBACK
        )


class Round:
    """One pass of the worker's parts at a time that the test says."""

    def __init__(self, service, post, waits=schedule.DEFAULT):
        self.service = service
        self.post = post
        self.work = worker.Work(
            database=service, dsn="", renders={"json": body.render}, sweeps={}, networks=LOOPBACK, schedule=waits
        )

    async def claim(self, now, lease=timedelta(seconds=20)):
        async def run(session):
            found = []
            for failing in (False, True):
                found += await flow.claim(session, now, lease, {}, at_once=4, room=100, failing=failing)
            return found

        return await as_platform(self.service, run)

    async def __call__(self, now):
        """Order, make and post what is due at `now`; how many were posted."""
        while await as_platform(self.service, events.sequence):
            pass
        while await as_platform(self.service, lambda session: flow.fan_out(session, now)):
            pass
        claimed = await self.claim(now)
        await asyncio.gather(*(worker.deliver(self.work, self.post, each, lambda: now) for each in claimed))
        return len(claimed)


@pytest.fixture
async def turn(service):
    async with posting(LOOPBACK, 10) as post:
        yield Round(service, post)


async def deliveries(service, actor=COORDINATOR, state=None):
    async with service.transaction(actor.scope) as session:
        found = await flow.list_deliveries(session, actor, state)
    return [each for each in found if each.kind != "handshake"]


async def test_events_after_the_subscription_arrive_signed_and_numbered(service, turn, listener):
    referral = await new_referral(service)
    await happen(service, referral, "submit")
    await turn(NOW)
    to, secret = await subscribe(service, HOSPITAL, f"{listener.url}/hook", headers=("X-Tenant: a",))
    await happen(service, referral, "offer", "accept")
    assert await turn(NOW) == 1, "until the handshake is answered, only the handshake is sent"
    assert await turn(NOW) == 2
    got = [await listener.next() for _ in range(3)]
    for each in got:
        Webhook(secret).verify(each.body, each.headers)
        assert each.headers["x-tenant"] == "a"
    handshake, *told = got
    assert handshake.json["type"] == "urn:yuanshe:handshake"
    assert sorted((t.json["data"]["number"], t.json["data"]["kind"]) for t in told) == [(1, "offer"), (2, "accept")]
    async with service.transaction(HOSPITAL.scope) as session:
        assert (await flow.subscriber(session, HOSPITAL, to.id)).event_number == 2
    assert {each.state for each in await deliveries(service)} == {"sent"}
