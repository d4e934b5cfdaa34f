"""The house rules that a machine can check: SQL that prepares, rows that are secured, names, sizes, and docs kept true."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any, get_args

import asyncpg
import click
import msgspec
import pytest

import service
from adapters import main
from adapters.settings import Settings
from service.access.model import LOOKS
from service.referrals import lifecycle
from service.referrals.model import TaskStatus

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for wing in ("service", "adapters") for path in (ROOT / wing).rglob("*.py"))
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")

NOBODY_IN_IT = {
    "schema_migration": "which migrations were applied",
    "referral_counter": "numbers of events",
    "open_offer": "which agencies may claim an offer",
    "region": "divisions of the country",
    "organization": "organisations",
    "agency_service": "what agencies offer",
    "place": "places and the Tasks that hold them",
    "partnership": "agreements between organisations",
    "client": "programs",
    "assertion_id": "spent assertions of programs",
    "installation": "the key of this installation",
    "access_token": "hashes of programs' tokens",
    "answer_link": "hashes of links by which an agency answers an offer",
    "web_session": "hashes of cookies, and accounts of staff",
    "sign_in_failure": "hashes of logins",
    "sign_in_attempt": "hashes of who is on the way to a provider of sign-in",
    "sequence_head": "how far the log is ordered",
    "sweep": "when each sweep ran",
    "worker_heartbeat": "signs of life of worker processes",
    "worker_silence": "times without a worker process",
}
"""Tables without a person, each with what is in it; every other table must be row-secured."""


def statements() -> list[tuple[str, str]]:
    """Every capitalised constant of the service that is a whole SQL statement."""
    found: list[tuple[str, str]] = []
    for info in pkgutil.walk_packages(service.__path__, "service."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if (
                name.isupper()
                and not name.startswith("_")
                and isinstance(value, str)
                and STATEMENT.match(value)
                and "{" not in value
            ):
                found.append((f"{info.name}.{name}", value))
    return sorted(set(found))


async def test_every_statement_prepares_as_the_service_role(database: Any) -> None:
    connection = await asyncpg.connect(database.app_dsn)
    faults: list[str] = []
    try:
        every = statements()
        for name, statement in every:
            try:
                await connection.prepare(statement)
            except asyncpg.PostgresError as fault:
                faults.append(f"{name}: {fault}")
    finally:
        await connection.close()
    assert len(every) > 100
    assert not faults, "\n".join(faults)


async def test_every_table_that_holds_a_person_is_row_secured(database: Any) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        rows = await connection.fetch(
            """SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS secured,
                      EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid) AS policy
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"""
        )
    finally:
        await connection.close()
    open_tables = {row["relname"] for row in rows if not (row["secured"] and row["policy"])}
    assert open_tables <= NOBODY_IN_IT.keys(), "not row-secured: secure it, or say here why nobody is in it"
    assert {row["relname"] for row in rows} >= NOBODY_IN_IT.keys(), "a table named here is gone"


async def test_the_database_knows_the_same_states_as_the_table_of_moves(database: Any) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        check = await connection.fetchval(
            """SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint
               WHERE conrelid = 'task'::regclass AND conname = 'task_status_check'"""
        )
    finally:
        await connection.close()
    assert set(re.findall(r"'([a-z-]+)'", check)) == set(get_args(TaskStatus))
    moves = {state for move in lifecycle.MOVES.values() for state in (*move.sources, move.target) if state}
    assert moves == set(get_args(TaskStatus))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for_and_stays_readable(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "a module opens with one sentence"
    assert text.count("\n") <= 600, "longer than 600 lines"
    banned = re.compile(r"^(utils?|helpers?|common|base|manager|repository|factory|dto)s?$|service$")
    assert not banned.search(path.stem), "a banned name"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            assert not re.search(
                r"(Utils?|Helpers?|Base|Manager|Repository|Factory|DTO|[a-z]Service)$", node.name
            ) or node.name in ("HealthcareService",), f"{node.name} is a banned name"


def test_every_module_of_the_fhir_surface_is_on_the_map() -> None:
    """Once, in the table of docs/architecture.md; and none that there is not."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page[page.index("Its modules, in the order") : page.index("What every protocol shares")]
    modules = {path.name for path in (ROOT / "adapters" / "fhir").glob("*.py")} - {"__init__.py"}
    named = re.findall(r"`(\w+\.py)`", table)
    assert set(named) == modules
    assert len(named) == len(modules), "named twice"


def test_every_theme_of_verbs_is_on_the_map() -> None:
    """Each `<theme>_flow.py` stands in its room's row of docs/architecture.md; and none that there is not."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page[page.index("| room | verbs by theme |") : page.index("A transaction's time")]
    rows = {room: line for line in table.splitlines()[2:] if line for room in line.split("|")[1].strip().split(", ")}
    flows = {(path.parent.name, path.name) for path in (ROOT / "service").glob("*/*_flow.py")}
    missing = sorted(f"{room}/{name}" for room, name in flows if f"{name}`" not in rows.get(room, ""))
    assert not missing, f"not in the table of verbs: {missing}"
    assert set(re.findall(r"(?<![\w/])(\w+_flow\.py)", table)) <= {name for _, name in flows}


def test_every_setting_is_documented() -> None:
    readme = (ROOT / "README.md").read_text()
    source = (ROOT / "adapters" / "settings.py").read_text()
    names = set(
        re.findall(
            r'"((?:YUANSHE_|WEBHOOK_|SMTP_|ATTACHMENT_|ALARM_|DATABASE_|RATE_|CORS_|OIDC_|HOST|PORT|DOCS)[A-Z_]*)"',
            source,
        )
    )
    assert len(names) >= len(msgspec.structs.fields(Settings)) - 1
    missing = {name for name in names if f"`{name}`" not in readme}
    assert not missing, f"not in the README's table: {sorted(missing)}"


def test_every_command_is_documented() -> None:
    """In the README's table, each with all of its subcommands, and none that there is not."""
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `yuanshe ")]
    said = {name: words for row in rows for name, words in re.findall(r"`yuanshe ([a-z0-9-]+)(?: ([^`]*))?`", row)}
    assert said.keys() == main.COMMANDS.keys()
    for name, words in said.items():
        found = main.yuanshe.get_command(click.Context(main.yuanshe), name)
        assert found is not None, name
        if isinstance(found, click.Group):
            assert set(words.replace("\\", "").split("|")) == found.commands.keys(), name
        else:
            options = {option for parameter in found.params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", words)) <= options, name


def test_a_plain_question_keeps_no_reader_waiting() -> None:
    """A list in plain JSON changes nothing, so its transaction is none that readers by time of change wait for."""
    asked = {name for file in (ROOT / "adapters/api").glob("*.py") for name in re.findall(r'Call\("E", "([a-z-]+)"', file.read_text())}  # fmt: skip
    assert asked and asked <= LOOKS


def test_every_reason_for_a_wider_scope_is_in_its_table() -> None:
    table = (ROOT / "docs/decisions/wider-scope.md").read_text()
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][1:]
    known = {reason for row in rows for reason in row.split("; ")}
    used = {reason for file in (ROOT / "service").rglob("*.py") for reason in re.findall(r'as_platform\(session, "([^"]+)"\)', file.read_text())}  # fmt: skip
    assert used == known
