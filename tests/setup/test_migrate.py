"""What migrations promise: each file once, whole or not at all, never edited, and never under an unsafe role."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from service.db import address, migrate
from service.errors import SetupError
from tests.conftest import Clone, Server

ONE = migrate.Migration(1, "0001_one.sql", "CREATE TABLE one (n int); GRANT SELECT ON one TO yuanshe_app;")
TWO = migrate.Migration(2, "0002_two.sql", "CREATE TABLE two (n int);")
FAILS = migrate.Migration(2, "0002_fails.sql", "CREATE TABLE half (n int);\nSELECT nonsense;\n")


async def tables(dsn: str) -> set[str]:
    connection = await address.connect(dsn)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row["tablename"] for row in rows}
    finally:
        await connection.close()


async def test_each_file_is_applied_once_and_in_order(empty_database: Clone) -> None:
    assert await migrate.migrate(empty_database.owner_dsn, migrations=[ONE]) == ["0001_one.sql"]
    assert await migrate.migrate(empty_database.owner_dsn, migrations=[ONE, TWO]) == ["0002_two.sql"]
    assert await migrate.migrate(empty_database.owner_dsn, migrations=[ONE, TWO]) == []
    assert await tables(empty_database.owner_dsn) == {"one", "two", "schema_migration"}


async def test_two_at_once_take_turns(empty_database: Clone) -> None:
    every = [ONE, *(migrate.Migration(n, f"{n:04}_more.sql", f"CREATE TABLE more{n} (n int)") for n in range(2, 12))]
    done = await asyncio.gather(*(migrate.migrate(empty_database.owner_dsn, migrations=every) for _ in range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, len(every)]


async def test_a_failing_file_leaves_nothing_behind_and_is_named_with_its_line(empty_database: Clone) -> None:
    with pytest.raises(SetupError, match=r"0002_fails\.sql, line 2"):
        await migrate.migrate(empty_database.owner_dsn, migrations=[ONE, FAILS])
    assert await tables(empty_database.owner_dsn) == {"one", "schema_migration"}
    assert await migrate.migrate(empty_database.owner_dsn, migrations=[ONE, TWO]) == ["0002_two.sql"]


async def test_an_edited_file_is_refused_by_name(empty_database: Clone) -> None:
    await migrate.migrate(empty_database.owner_dsn, migrations=[ONE, TWO])
    edited = migrate.Migration(1, ONE.name, ONE.sql + " -- a word more")
    with pytest.raises(SetupError, match=r"0001_one\.sql was edited"):
        await migrate.migrate(empty_database.owner_dsn, migrations=[edited, TWO])


async def test_a_file_that_comes_too_late_is_refused_by_name(empty_database: Clone) -> None:
    await migrate.migrate(empty_database.owner_dsn, migrations=[TWO])
    with pytest.raises(SetupError, match=r"0001_one\.sql comes too late"):
        await migrate.migrate(empty_database.owner_dsn, migrations=[ONE, TWO])


async def test_the_service_role_can_tell_behind_from_current_from_ahead(empty_database: Clone) -> None:
    service = await asyncpg.connect(empty_database.app_dsn)
    try:
        assert await migrate.state(service, [ONE]) == migrate.Behind(("0001_one.sql",))
        await migrate.migrate(empty_database.owner_dsn, migrations=[ONE])
        assert await migrate.state(service, [ONE]) == migrate.Current()
        assert await migrate.state(service, [ONE, TWO]) == migrate.Behind(("0002_two.sql",))
        assert await migrate.state(service, []) == migrate.Ahead(("0001_one.sql",))
    finally:
        await service.close()


async def test_a_database_that_is_behind_or_ahead_is_refused(empty_database: Clone) -> None:
    service = await asyncpg.connect(empty_database.app_dsn)
    try:
        with pytest.raises(SetupError, match="yuanshe migrate"):
            await migrate.refuse_other_schema(service)
        await migrate.migrate(empty_database.owner_dsn)
        await migrate.refuse_other_schema(service)
        newer = migrate.Migration(9999, "9999_newer.sql", "SELECT 1")
        await migrate.migrate(empty_database.owner_dsn, migrations=[*migrate.files(), newer])
        with pytest.raises(SetupError, match=r"9999_newer\.sql"):
            await migrate.refuse_other_schema(service)
        with pytest.raises(SetupError, match=r"9999_newer\.sql"):
            await migrate.migrate(empty_database.owner_dsn)
    finally:
        await service.close()


def test_the_files_of_this_version_are_numbered_without_a_double() -> None:
    numbers = [each.number for each in migrate.files()]
    assert numbers
    assert numbers == sorted(set(numbers))


async def test_the_service_role_is_safe(database: Clone) -> None:
    service = await asyncpg.connect(database.app_dsn)
    try:
        await migrate.refuse_unsafe_role(service)
    finally:
        await service.close()


async def test_a_superuser_is_refused(database: Clone) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        with pytest.raises(SetupError, match="is a superuser"):
            await migrate.refuse_unsafe_role(owner)
    finally:
        await owner.close()


@pytest.mark.parametrize(
    ("attributes", "then", "reason"),
    [
        ("BYPASSRLS", "SELECT 1", "has BYPASSRLS"),
        ("", "ALTER TABLE event OWNER TO {role}", "owns the table event"),
        ("IN ROLE {owner}", "SELECT 1", "owns the table"),
    ],
)
async def test_a_role_that_row_security_does_not_bind_is_refused(
    database: Clone, attributes: str, then: str, reason: str
) -> None:
    role, holder = f"r_{database.name}", f"o_{database.name}"
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute(f"CREATE ROLE {holder}; CREATE ROLE {role} {attributes.format(owner=holder)}")
        await owner.execute(f"ALTER TABLE referral_counter OWNER TO {holder}")
        await owner.execute(then.format(role=role))
        await owner.execute(f"SET ROLE {role}")
        with pytest.raises(SetupError, match=reason):
            await migrate.refuse_unsafe_role(owner)
        await owner.execute(f"RESET ROLE; DROP OWNED BY {role}, {holder}; DROP ROLE {role}; DROP ROLE {holder}")
    finally:
        await owner.close()


async def test_an_owner_who_may_not_create_the_role_is_told_its_sql(
    empty_database: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    role, missing = f"r_{empty_database.name}", f"m_{empty_database.name}"
    monkeypatch.setattr(migrate, "APP", missing)
    owner = await asyncpg.connect(empty_database.owner_dsn)
    try:
        with pytest.raises(SetupError, match="CREATE ROLE"):
            await migrate.ensure_role(owner, None)
        await owner.execute(f"CREATE ROLE {role}; SET ROLE {role}")
        with pytest.raises(SetupError, match="CREATE ROLE yuanshe_app LOGIN NOSUPERUSER"):
            await migrate.ensure_role(owner, "secret")
        await owner.execute(f"RESET ROLE; DROP ROLE {role}")
    finally:
        await owner.close()


async def test_the_role_that_is_created_can_log_in_with_its_password_alone(
    empty_database: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"r_{empty_database.name}"
    monkeypatch.setattr(migrate, "APP", role)
    monkeypatch.setattr(migrate, "ROLE", migrate.ROLE.replace("yuanshe_app", role))
    owner = await asyncpg.connect(empty_database.owner_dsn)
    try:
        assert await migrate.ensure_role(owner, "a p@ss/word")
        assert not await migrate.ensure_role(owner, "another")
        made = await _as(empty_database, role, "a p@ss/word")
        await migrate.refuse_unsafe_role(made)
        await made.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _as(empty_database, role, "another")
        await owner.execute(f"DROP ROLE {role}")
    finally:
        await owner.close()


async def _as(clone: Clone, role: str, password: str) -> asyncpg.Connection:
    parts = urlsplit(clone.owner_dsn)
    netloc = "yuanshe_owner@" + parts.netloc.rpartition("@")[2]
    return await asyncpg.connect(urlunsplit(parts._replace(netloc=netloc)), user=role, password=password)


async def test_a_server_that_cannot_be_reached_is_named_without_its_password(unused_tcp_port: int) -> None:
    with pytest.raises(SetupError, match=f"127.0.0.1:{unused_tcp_port}/x") as refused:
        await address.connect(f"postgresql://someone:hidden-word@127.0.0.1:{unused_tcp_port}/x")
    assert "hidden-word" not in str(refused.value)


def test_clones_are_databases_of_their_own(server: Server, new_database) -> None:
    one, two = new_database(), new_database()

    async def look() -> None:
        first, second = await asyncpg.connect(one.owner_dsn), await asyncpg.connect(two.owner_dsn)
        await first.execute("CREATE TABLE only_here (n int)")
        assert await second.fetchval("SELECT to_regclass('only_here')") is None
        await first.close()
        await second.close()

    asyncio.run(look())
