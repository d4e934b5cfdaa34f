"""`yuanshe import`: plain files in, every fault with file, line and reason, the same again changes nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapters import network
from adapters.main import yuanshe
from service import db
from service.access.model import operator
from service.db import Session


@pytest.fixture
def run(database: Any) -> Any:
    def invoke(*paths: object) -> Result:
        return CliRunner().invoke(yuanshe, ["import", *map(str, paths)], env={"DATABASE_URL": database.app_dsn})

    return invoke


def ask(database: Any, query: str) -> Any:
    async def fetch() -> Any:
        pool = await db.connect(database.app_dsn, size=1)
        async with pool.transaction(operator().scope) as session:
            found: Session = session
            value = await found.fetchval(query)
        await pool.close()
        return value

    return asyncio.run(fetch())


def test_a_folder_is_loaded_and_the_same_again_changes_nothing_and_says_so(run: Any) -> None:
    first, second = run(network.DEMO), run(network.DEMO)
    assert first.exit_code == 0, first.output
    assert "services       3 added, 0 changed, 0 unchanged" in first.output
    assert "Nothing changed" not in first.output
    assert second.exit_code == 0, second.output
    assert "services       0 added, 0 changed, 3 unchanged" in second.output
    assert "Nothing changed: the directory says all of this already." in second.output


def test_single_files_may_refer_to_what_is_there_already(run: Any, tmp_path: Path) -> None:
    assert run(network.DEMO).exit_code == 0
    street = tmp_path / "regions.csv"
    street.write_text("\ufeffcode,name_zh,name_en\n520502003,三板桥街道,Sanbanqiao Street\n", encoding="utf-8")
    assert "regions        1 added" in run(street).output


def test_faults_of_all_files_are_told_and_nothing_is_loaded(run: Any, database: Any, tmp_path: Path) -> None:
    (tmp_path / "regions.csv").write_text(
        "code,name_zh,name_en\n52,贵州省,Guizhou,more\n\n53,云南省,\n", encoding="utf-8"
    )
    (tmp_path / "workers.csv").write_text("key,agency,name\nw,nobody,林甲\n", encoding="utf-8")
    done = run(tmp_path)
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        f"{tmp_path}/regions.csv:2: row: has more cells than the first line has columns",
        f"{tmp_path}/regions.csv:4: name_en: is empty; every row must fill it",
        f"{tmp_path}/workers.csv:2: agency: 'nobody' is not the key of an agency, station, room or base",
        "3 fault(s); nothing was loaded.",
    ]
    assert ask(database, "SELECT count(*) FROM region") == 0


def test_what_is_no_text_or_no_table_is_told(run: Any, tmp_path: Path) -> None:
    (tmp_path / "regions.csv").write_bytes("code,name_zh,name_en\n52,贵州省,Guizhou\n".encode("gb18030"))
    (tmp_path / "workers.csv").write_text('key,agency,name\nw,"nobody,林甲\n', encoding="utf-8")
    done = run(tmp_path)
    assert done.exit_code == 1
    assert f"{tmp_path}/regions.csv:1: is not UTF-8" in done.stderr
    assert f"{tmp_path}/workers.csv:2: is not CSV" in done.stderr
    for path in (tmp_path / "towns.csv", tmp_path / "services.csv"):
        refused = run(path)
        assert refused.exit_code != 0
        assert str(path) in str(refused.exception)


def test_an_import_stands_in_the_audit(run: Any, database: Any) -> None:
    assert run(network.DEMO).exit_code == 0
    assert ask(database, "SELECT count(*) FROM audit WHERE interaction = 'import' AND outcome = 'success'") == 1
