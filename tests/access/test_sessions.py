"""A person is known by a session that ends: by leaving, by idleness, in any case, and when somebody ends it for them."""

import asyncio
from datetime import timedelta

import pyotp
import pytest

from service.access import flow, session_flow
from service.access.model import operator
from service.db import Database
from service.errors import Forbidden, NotFound, TooMany, Unauthenticated
from service.values import utc_now
from tests.access.test_accounts import CLOCK, PASSWORD, WORKER, add


async def sign_in(pool: Database, password: str = PASSWORD, code: str | None = None, login: str = "worker-a", **more):
    return await session_flow.sign_in(pool, login, password, code, "zh", **more)


async def refused(pool: Database, cookie: str, **later: float) -> str | None:
    """The key with which a session is refused, or None when it is not."""
    try:
        await session_flow.known(pool, cookie, utc_now() + timedelta(**later) if later else None)
    except Unauthenticated as refusal:
        return refusal.key
    return None


async def test_a_session_ends_when_nothing_is_done_and_goes_on_while_something_is(pool):
    await add(pool)
    cookie = await sign_in(pool)
    assert await refused(pool, cookie) is None
    assert await refused(pool, cookie, minutes=31) == "session-ended"
    for minutes in (20, 40, 60, 80):
        assert await refused(pool, cookie, minutes=minutes) is None
    assert await refused(pool, cookie, minutes=111) == "session-ended"


async def test_a_session_ends_after_half_a_day_in_any_case(pool):
    await add(pool)
    cookie = await sign_in(pool)
    for minutes in range(20, 12 * 60, 20):
        assert await refused(pool, cookie, minutes=minutes) is None
    assert await refused(pool, cookie, hours=12, minutes=1) == "session-ended"


async def test_who_leaves_is_gone_and_their_other_sessions_are_not(pool):
    await add(pool)
    one, other = await sign_in(pool), await sign_in(pool)
    await session_flow.sign_out(pool, one)
    assert await refused(pool, one) == "session-ended" and await refused(pool, other) is None
    async with pool.transaction(CLOCK.scope) as session:
        assert await session_flow.end_sessions(session, operator(), "worker-a") == 1
    assert await refused(pool, other) == "session-ended"


async def test_an_account_that_is_put_away_ends_its_sessions_at_once(pool):
    await add(pool)
    cookie = await sign_in(pool)
    async with pool.transaction(CLOCK.scope) as session:
        await session.execute("UPDATE account SET active = false")
    assert await refused(pool, cookie) == "session-ended"


async def test_the_cookie_stands_nowhere(pool):
    await add(pool)
    cookie = await sign_in(pool)
    async with pool.transaction(CLOCK.scope) as session:
        rows = await session.fetch("SELECT w::text AS row FROM web_session w")
    assert len(rows) == 1 and cookie not in rows[0]["row"]
    assert await refused(pool, cookie + "x") == "session-ended"


async def test_failures_in_a_row_lock_a_login_whether_it_exists_or_not(pool):
    await add(pool)
    for login in ("worker-a", "nobody"):
        for _ in range(4):
            with pytest.raises(Unauthenticated, match="Login or password is wrong"):
                await sign_in(pool, "wrong password", login=login)
        with pytest.raises(TooMany) as locked:
            await sign_in(pool, "wrong password", login=login)
        assert 14 * 60 < locked.value.wait <= 15 * 60
    with pytest.raises(TooMany):
        await sign_in(pool)
    assert await sign_in(pool, now=utc_now() + timedelta(minutes=16))


async def test_a_success_in_between_begins_the_count_anew(pool):
    await add(pool)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(Unauthenticated):
                await sign_in(pool, "wrong password")
        await sign_in(pool)


async def test_every_failure_of_parallel_ones_counts(pool):
    await add(pool)
    found = await asyncio.gather(*(sign_in(pool, "wrong password") for _ in range(6)), return_exceptions=True)
    assert any(isinstance(each, TooMany) for each in found)
    with pytest.raises(TooMany):
        await sign_in(pool)


async def test_an_account_that_asks_for_a_code_takes_each_code_once(pool):
    await add(pool)
    async with pool.transaction(CLOCK.scope) as session:
        address = await session_flow.ask_for_code(session, operator(), "worker-a")
    generator = pyotp.parse_uri(address)
    now = utc_now()
    with pytest.raises(Unauthenticated) as without:
        await sign_in(pool, now=now)
    assert without.value.key == "code-needed"
    code = generator.at(now)
    with pytest.raises(Unauthenticated) as wrong:
        await sign_in(pool, code=f"{(int(code) + 1) % 10**6:06}", now=now)
    assert wrong.value.key == "wrong-code"
    assert await sign_in(pool, code=f"{code[:3]} {code[3:]}", now=now)
    with pytest.raises(Unauthenticated) as again:
        await sign_in(pool, code=code, now=now)
    assert again.value.key == "wrong-code"
    assert await sign_in(pool, code=generator.at(now + timedelta(seconds=30)), now=now), (
        "a clock may be half a minute off"
    )


async def test_a_wrong_password_does_not_tell_that_a_code_is_asked_for(pool):
    await add(pool)
    async with pool.transaction(CLOCK.scope) as session:
        await session_flow.ask_for_code(session, operator(), "worker-a")
    with pytest.raises(Unauthenticated) as wrong:
        await sign_in(pool, "wrong password")
    assert wrong.value.key == "wrong-password"


async def test_sign_ins_and_failures_are_in_the_audit(pool):
    await add(pool)
    await sign_in(pool)
    with pytest.raises(Unauthenticated):
        await sign_in(pool, "wrong password")
    async with pool.transaction(CLOCK.scope) as session:
        lines = await session.fetch("SELECT outcome, why FROM audit WHERE interaction = 'sign-in' ORDER BY at, id")
    assert [(line["outcome"], line["why"]) for line in lines] == [("success", None), ("refused", "wrong-password")]


async def test_accounts_are_the_administrators(pool):
    await add(pool)
    async with pool.transaction(CLOCK.scope) as session:
        actor = (await session_flow.known(pool, await sign_in(pool))).actor
        with pytest.raises(Forbidden):
            await session_flow.end_sessions(session, actor, WORKER.login)
        with pytest.raises(NotFound):
            await session_flow.end_sessions(session, operator(), "nobody")
        assert flow.login_of(" A ") == "a"
