"""`yuanshe account`, run as an operator runs it."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.access import provider_flow, session_flow
from service.db import Database
from service.errors import Unauthenticated
from tests.access.network import HOSPITAL
from tests.access.test_commands import hospital  # noqa: F401 - the organisation that people work for

PASSWORD = "correct horse battery"


@pytest.fixture
def account(database: Any, tmp_path: Path) -> Any:
    async def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"DATABASE_URL": database.app_dsn, "YUANSHE_HOME": str(tmp_path / "home")}
        return await asyncio.to_thread(
            subprocess.run, [sys.executable, "-m", "adapters.main", "account", *words], cwd=Path(__file__).parents[2], env=environment,
            input=given, capture_output=True, text=True,
        )  # fmt: skip

    return run


async def signs_in(pool: Database, password: str) -> str | None:
    """None when the password lets one in, else why not."""
    try:
        await session_flow.sign_in(pool, "nurse", password, None, "zh")
    except Unauthenticated as refused:
        return refused.key
    return None


@pytest.mark.slow
async def test_an_account_from_its_first_day_to_its_last(account: Any, pool: Database) -> None:
    named = ("add", "Nurse", "--organization", f"Organization/{HOSPITAL}", "--role", "referrer", "--name", "虚构护士")
    short = await account(*named, given="short\n")
    assert short.returncode == 2 and "10 to 1024" in short.stderr and "Traceback" not in short.stderr
    assert (await account(*named, given=f"{PASSWORD}\n")).stdout == "nurse may sign in.\n"
    taken = await account(*named, given=f"{PASSWORD}\n")
    assert taken.returncode == 2 and "taken" in taken.stderr
    assert await signs_in(pool, PASSWORD) is None
    assert "1 sessions ended" in (await account("sign-out", "nurse")).stdout
    listed = (await account("list")).stdout
    assert "nurse" in listed and "in use" in listed and PASSWORD not in listed
    assert (await account("password", "nurse", given="another long one\n")).returncode == 0
    assert await signs_in(pool, PASSWORD) == "wrong-password" and await signs_in(pool, "another long one") is None
    assert "otpauth://totp/" in (await account("code", "nurse")).stdout
    assert await signs_in(pool, "another long one") == "code-needed"
    assert (await account("code", "nurse", "--none")).returncode == 0
    assert await signs_in(pool, "another long one") is None
    assert (await account("off", "nurse")).returncode == 0
    assert await signs_in(pool, "another long one") == "wrong-password"
    unknown = await account("off", "nobody")
    assert unknown.returncode == 2 and "no account" in unknown.stderr


@pytest.mark.slow
async def test_an_account_is_linked_to_the_organisations_own_sign_in(account: Any, pool: Database) -> None:
    named = ("add", "Nurse", "--organization", f"Organization/{HOSPITAL}", "--role", "referrer", "--name", "虚构护士")
    assert (await account(*named, "--no-password")).returncode == 0
    assert await signs_in(pool, "") == "wrong-password"
    nowhere = await account("link", "nurse", "--subject", "2f6c")
    assert nowhere.returncode == 2 and "OIDC_ISSUER" in nowhere.stderr
    issuer = "https://login.example.org"
    said = await account("link", "nurse", "--subject", "2f6c", "--issuer", issuer)
    assert said.stdout == f"nurse signs in through {issuer}.\n"
    assert await provider_flow.sign_in(pool, issuer, "2f6c", None, "zh")
    again = await account("link", "nurse", "--subject", "other", "--issuer", issuer)
    assert again.returncode == 2 and "linked already" in again.stderr
    assert (await account("unlink", "nurse")).stdout == "1 links ended.\n"
    with pytest.raises(Unauthenticated):
        await provider_flow.sign_in(pool, issuer, "2f6c", None, "zh")
