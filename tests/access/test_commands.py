"""`yuanshe client` and `yuanshe audit`, run as an operator runs them."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.access.network import HOSPITAL, KEYS, RSA, STRANGER, claims, form, signed


@pytest.fixture
def yuanshe(database: Any, tmp_path: Path):
    """Run the command against this test's database."""

    async def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"DATABASE_URL": database.app_dsn, "YUANSHE_HOME": str(tmp_path / "home")}
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "adapters.main", *words],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(autouse=True)
async def hospital(database: Any) -> None:
    """The organisation that the clients act for."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(
        """INSERT INTO organization (id, key, kind, lineage, name_zh, name_en, updated_at)
           VALUES ($1::uuid, 'hospital-a', 'hospital', ARRAY[$1]::uuid[], '甲院', 'Hospital A', now())""",
        HOSPITAL,
    )
    await owner.close()


async def added(yuanshe: Any, tmp_path: Path) -> str:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(KEYS))
    done = await yuanshe(
        *("client", "add", "--organization", f"Organization/{HOSPITAL}", "--role", "hospital"),
        *("--name", "HIS A", "--scope", "system/Task.rs", "--jwks", str(keys)),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_a_client_is_added_listed_used_and_revoked(yuanshe, tmp_path, http):
    client_id = await added(yuanshe, tmp_path)
    listed = await yuanshe("client", "list")
    assert client_id in listed.stdout
    assert "in use" in listed.stdout
    answer = await http.post("/auth/token", data=form(signed(claims(client_id))))
    assert answer.json()["scope"] == "system/Task.rs"

    assert (await yuanshe("client", "revoke", client_id)).returncode == 0
    (row,) = [json.loads(one) for one in (await yuanshe("client", "list", "--json")).stdout.splitlines()]
    assert row["client_id"] == client_id
    assert row["revoked_at"] is not None
    assert (await http.post("/auth/token", data=form(signed(claims(client_id))))).status_code == 401


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (("--organization", "hospital-a"), "Organization/<uuid>"),
        (("--organization", "00000000-0000-4000-8000-0000000000ee"), "knows no organisation"),
        (("--role", "agency"), "acts for agency"),
        (("--jwks-url", "http://his.example.org/jwks"), "begins with https"),
        (("--scope", "user/*.rs"), "system scopes"),
        (("--jwks-url", "https://his.example.org/jwks"), "either public keys or the address"),
    ],
)
async def test_a_client_that_cannot_be_added_is_refused_in_one_line(yuanshe, tmp_path, changed, says):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(KEYS))
    words = ["client", "add", "--organization", str(HOSPITAL), "--role", "hospital", "--name", "HIS A"]
    done = await yuanshe(*words, "--jwks", str(keys), *changed)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_keys_of_a_client_are_added_to_and_replaced(yuanshe, tmp_path, http):
    client_id = await added(yuanshe, tmp_path)
    new = tmp_path / "new.json"
    new.write_text(json.dumps({"keys": [STRANGER.as_dict(private=False) | {"kid": "rsa-2"}]}))
    done = await yuanshe("client", "keys", client_id, "--jwks", str(new), "--add")
    assert (done.returncode, done.stdout.split()) == (0, ["rsa-1", "ec-1", "rsa-2"]), done.stderr
    done = await yuanshe("client", "keys", client_id, "--jwks", str(new))
    assert done.stdout.split() == ["rsa-2"]
    assert (await http.post("/auth/token", data=form(signed(claims(client_id))))).status_code == 401
    answer = await http.post("/auth/token", data=form(signed(claims(client_id), STRANGER, "RS384", "rsa-2")))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nobody", "--jwks"), "No program of this client_id"),
        (("HERE",), "either public keys or the address"),
        (("HERE", "--jwks-url", "http://his.example.org/jwks"), "begins with https"),
        (("HERE", "--jwks-url", "https://his.example.org/jwks", "--add"), "adds them there"),
    ],
)
async def test_keys_that_cannot_be_changed_are_refused_in_one_line(yuanshe, tmp_path, words, says):
    client_id = await added(yuanshe, tmp_path)
    filled = [client_id if word == "HERE" else word for word in words]
    done = await yuanshe("client", "keys", *filled, *([str(tmp_path / "keys.json")] if words[-1] == "--jwks" else []))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_private_key_is_not_taken(yuanshe, tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [RSA.as_dict(private=True)]}))
    words = ["client", "add", "--organization", str(HOSPITAL), "--role", "hospital", "--name", "HIS A"]
    done = await yuanshe(*words, "--jwks", str(keys))
    assert done.returncode == 2
    assert "private key" in done.stderr


async def test_revoking_an_unknown_client_says_so(yuanshe):
    done = await yuanshe("client", "revoke", "nobody")
    assert done.returncode == 2
    assert "No program of this client_id" in done.stderr


async def test_audit_verify_tells_of_a_chain_that_holds_and_names_the_row_that_does_not(yuanshe, tmp_path, database):
    await added(yuanshe, tmp_path)
    await yuanshe("client", "list")
    holds = await yuanshe("audit", "verify")
    assert holds.returncode == 0, holds.stderr
    assert "2 rows hold, 0 not chained yet" in holds.stdout

    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("ALTER TABLE audit NO FORCE ROW LEVEL SECURITY")
    row = await owner.fetchval("UPDATE audit SET actor_role = 'auditor' WHERE position = 2 RETURNING id")
    await owner.execute("ALTER TABLE audit FORCE ROW LEVEL SECURITY")
    await owner.close()
    broken = await yuanshe("audit", "verify")
    assert broken.returncode == 1
    assert f"position 2 (row {row})" in broken.stdout


async def test_what_an_operator_does_to_clients_is_audited(yuanshe, tmp_path, pool):
    from service.access.model import operator

    await added(yuanshe, tmp_path)
    await yuanshe("client", "revoke", "nobody")
    async with pool.transaction(operator().scope) as session:
        rows = await session.fetch("SELECT action, interaction, outcome, actor_kind FROM audit ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("C", "client-add", "success", "system"),
        ("U", "client-revoke", "refused", "system"),
    ]
