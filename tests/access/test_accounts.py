"""People of staff have accounts; a password lets in who knows it, and tells a stranger nothing."""

import argon2
import asyncpg
import pytest

from service.access import flow, session_flow
from service.access.model import Actor, NewAccount, clock_actor
from service.db import Database, Scope
from service.errors import Conflict, Forbidden, Invalid, Unauthenticated
from service.values import new_id, utc_now
from tests.access.network import AGENCY, HOSPITAL, PLATFORM

CLOCK = clock_actor(PLATFORM)
WORKER = NewAccount("Worker-A", "social_worker", AGENCY, "虚构社工甲", new_id())
PASSWORD = "correct horse battery"


async def add(pool: Database, new: NewAccount = WORKER, password: str = PASSWORD, actor: Actor = CLOCK) -> None:
    async with pool.transaction(CLOCK.scope) as session:
        await flow.add_account(session, actor, new, password, utc_now())


async def check(pool: Database, login: str, password: str) -> Actor:
    cookie = await session_flow.sign_in(pool, login, password, None, "zh")
    return (await session_flow.known(pool, cookie)).actor


async def test_login_and_password_let_a_person_in(pool):
    await add(pool)
    actor = await check(pool, " worker-a ", PASSWORD)
    assert (actor.kind, actor.role, actor.side, actor.organization) == ("person", "social_worker", "agency", AGENCY)
    assert (actor.name, actor.worker) == (WORKER.name, WORKER.worker)


async def test_a_wrong_password_and_an_unknown_login_are_refused_in_the_same_words(pool):
    await add(pool)
    with pytest.raises(Unauthenticated) as wrong:
        await check(pool, "worker-a", "not the password")
    with pytest.raises(Unauthenticated) as unknown:
        await check(pool, "nobody", PASSWORD)
    assert str(wrong.value) == str(unknown.value)


async def test_an_account_that_is_not_active_lets_nobody_in(pool):
    await add(pool)
    async with pool.transaction(CLOCK.scope) as session:
        await session.execute("UPDATE account SET active = false")
    with pytest.raises(Unauthenticated):
        await check(pool, "worker-a", PASSWORD)


async def test_a_login_is_given_once_however_it_is_written(pool):
    await add(pool)
    with pytest.raises(Conflict):
        await add(pool, NewAccount("WORKER-A ", "supervisor", AGENCY, "虚构督导甲"))


@pytest.mark.parametrize(
    ("new", "password"),
    [
        (WORKER, "short"),
        (WORKER, "x" * 1025),
        (NewAccount("a", "hospital", AGENCY, "a program's role"), PASSWORD),
        (NewAccount("  ", "supervisor", AGENCY, "虚构督导甲"), PASSWORD),
    ],
)
async def test_an_account_needs_a_login_a_persons_role_and_a_password_of_some_length(pool, new, password):
    with pytest.raises(Invalid):
        await add(pool, new, password)


async def test_only_an_administrator_adds_accounts(pool):
    with pytest.raises(Forbidden):
        await add(pool, actor=Actor(new_id(), "person", PLATFORM, "coordinator", "虚构协调员"))
    await add(pool, actor=Actor(new_id(), "person", PLATFORM, "administrator", "虚构管理员"))


async def test_an_organisation_sees_its_own_accounts_alone(pool):
    await add(pool)
    for organization, seen in ((AGENCY, 1), (HOSPITAL, 0)):
        async with pool.transaction(Scope(organization, "supervisor")) as session:
            assert await session.fetchval("SELECT count(*) FROM account") == seen


async def test_a_password_is_kept_as_argon2id_and_hashed_again_when_its_parameters_are_old(pool, database):
    await add(pool)
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with pool.transaction(CLOCK.scope) as session:
        assert (await session.fetchval("SELECT password_hash FROM account")).startswith("$argon2id$")
        await session.execute("UPDATE account SET password_hash = $1", weak)
    await check(pool, "worker-a", PASSWORD)
    async with pool.transaction(CLOCK.scope) as session:
        now_kept = await session.fetchval("SELECT password_hash FROM account")
    assert now_kept != weak
    assert not argon2.PasswordHasher().check_needs_rehash(now_kept)
    await check(pool, "worker-a", PASSWORD)


async def test_the_service_cannot_rewrite_who_somebody_is(pool):
    await add(pool)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with pool.transaction(CLOCK.scope) as session:
            await session.execute("UPDATE account SET role = 'administrator'")


async def test_a_program_is_named_so_that_a_command_line_takes_the_name_for_one(pool):
    from tests.access.conftest import register

    for _ in range(40):
        assert (await register(pool)).client_id[0].isalpha()
