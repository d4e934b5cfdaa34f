"""The crisis roster: loaded from a file, every bad row named; gaps and shifts with one person alone are told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapters import network
from adapters.main import yuanshe
from service.directory.duty import Gap, Person, Shift, gaps, on_duty
from service.values import Id, new_id

NOON = datetime(2026, 12, 1, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
WARD, OTHER = new_id(), new_id()
ONE, TWO = Person("王护士", email="wang@his.example"), Person("李护士", email="li@his.example")


def shift(begins: int, ends: int, second: Person | None = TWO, organization: Id = WARD, active: bool = True) -> Shift:
    return Shift(new_id(), organization, NOON + begins * HOUR, NOON + ends * HOUR, ONE, second, active)


def short(*shifts: Shift) -> list[tuple[float, float, int]]:
    """Gaps of the ward within ten hours from noon, in hours, with how many people there are."""
    found = gaps(WARD, shifts, NOON, NOON + 10 * HOUR)
    return [((gap.begins - NOON) / HOUR, (gap.ends - NOON) / HOUR, gap.people) for gap in found]


def test_gaps_and_shifts_of_one_are_found_and_neighbours_are_one() -> None:
    assert short(shift(-2, 12)) == []
    assert short() == [(0, 10, 0)]
    assert short(shift(0, 4), shift(5, 10)) == [(4, 5, 0)]
    assert short(shift(0, 4), shift(4, 8, None), shift(8, 9, None)) == [(4, 9, 1), (9, 10, 0)]
    assert short(shift(0, 10, organization=OTHER)) == [(0, 10, 0)], "another organisation's people are not ours"
    assert short(shift(0, 10, active=False)) == [(0, 10, 0)]


def test_who_is_on_duty_ends_with_the_shift() -> None:
    early, late = shift(0, 4), shift(4, 8)
    assert on_duty([early, late], NOON + 4 * HOUR) == late
    assert on_duty([early, late], NOON + 3.99 * HOUR) == early
    assert on_duty([early, late], NOON + 8 * HOUR) is None


COLUMNS = "organization,from,to,first,first_worker,first_email,first_webhook,first_phone,second,second_email\n"


@pytest.fixture
def run(database: Any, tmp_path: Path) -> Any:
    """`yuanshe …` on this database; a list of lines stands for the path of a roster that holds them."""

    def invoke(*words: Any) -> Result:
        given: list[str] = []
        for word in words:
            if isinstance(word, list):
                file = tmp_path / "rosters.csv"
                file.write_text(COLUMNS + "".join(f"{line}\n" for line in word), encoding="utf-8")
                word = file
            given.append(str(word))
        return CliRunner().invoke(yuanshe, given, env={"DATABASE_URL": database.app_dsn})

    assert invoke("import", network.DEMO).exit_code == 0
    return invoke


def test_a_roster_is_loaded_and_the_same_again_changes_nothing(run: Any) -> None:
    lines = [
        "hospital-a,2026-12-01T08:00+08:00,2026-12-01T20:00+08:00,王护士,,wang@his.example,,13800000001,李护士,li@his.example",
        "agency-a,2026-12-01T08:00,2026-12-02T08:00,林社工,worker-a,,https://pager.example/duty,,,",
    ]
    first, again = run("import", lines), run("import", lines)
    assert first.exit_code == 0 and "rosters        2 added" in first.output
    assert "rosters        0 added, 0 changed, 2 unchanged" in again.output
    changed = run("import", [lines[0].replace("李护士,li@his.example", "赵护士,zhao@his.example"), lines[1]])
    assert "rosters        0 added, 1 changed, 1 unchanged" in changed.output


def test_what_is_written_out_loads_again_and_changes_nothing(run: Any, tmp_path: Path) -> None:
    run("import", ["agency-a,2026-12-01T08:00,2026-12-02T08:00,林社工,worker-a,,https://pager.example/duty,,周社工,zhou@a.example"])  # fmt: skip
    assert run("export", tmp_path / "out").exit_code == 0
    assert "rosters        0 added, 0 changed, 1 unchanged" in run("import", tmp_path / "out").output


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nobody,2026-12-01,2026-12-02,王护士,,w@his.example,,,,", "organization: 'nobody' is not the key of"),
        ("hospital-a,soon,2026-12-02,王护士,,w@his.example,,,,", "from: 'soon' is not a time"),
        ("hospital-a,2026-12-02,2026-12-01,王护士,,w@his.example,,,,", "to: is not after from"),
        ("hospital-a,2026-12-01,2026-12-02,,,w@his.example,,,,", "first: is empty"),
        ("hospital-a,2026-12-01,2026-12-02,王护士,,,,13800000001,,", "first_email: nobody can page them"),
        ("hospital-a,2026-12-01,2026-12-02,王护士,,not an address,,,,", "first_email: is not an address"),
        ("hospital-a,2026-12-01,2026-12-02,王护士,,,ftp://pager.example,,,", "first_webhook: is not a URL"),
        ("hospital-a,2026-12-01,2026-12-02,王护士,,,https://me:secret@pager.example/x,,,", "first_webhook: is not a URL"),
        ("hospital-a,2026-12-01,2026-12-02,王护士,worker-a,w@his.example,,,,", "first_worker: is not the key of a worker"),
        ("hospital-a,2026-12-01,2026-12-02,王护士,,w@his.example,,,李护士,w@his.example", "second: is reached where the first is"),
        ("hospital-a,2026-12-01,2026-12-02,王护士,,w@his.example,,,,li@his.example", "second: is empty"),
    ],
)  # fmt: skip
def test_every_bad_row_is_told_with_its_line_and_nothing_is_loaded(run: Any, line: str, fault: str) -> None:
    good = "hospital-b,2026-12-01,2026-12-02,王护士,,w@his.example,,,,"
    done = run("import", [good, line])
    assert done.exit_code == 1
    assert f"rosters.csv:3: {fault}" in done.output
    assert "secret" not in done.output
    assert "rosters        1 added" in run("import", [good]).output


def test_two_shifts_at_once_are_a_fault_within_a_file_and_with_what_is_there(run: Any) -> None:
    day = "hospital-a,2026-12-01T08:00,2026-12-01T20:00,王护士,,w@his.example,,,,"
    late = "hospital-a,2026-12-01T18:00,2026-12-02T08:00,李护士,,l@his.example,,,,"
    assert "rosters.csv:3: from: overlaps with the shift at" in run("import", [day, late]).output
    assert run("import", [day]).exit_code == 0
    assert "rosters.csv:2: from: overlaps with a shift that is there" in run("import", [late]).output
    assert run("import", [day.replace("20:00", "18:00"), late]).exit_code == 0, "the first one ends sooner now"


def test_gaps_are_warnings_of_an_import_and_the_answer_of_roster_check(run: Any) -> None:
    now = datetime.now(UTC)
    begins, ends = (now - HOUR).isoformat(), (now + timedelta(days=20)).isoformat()
    whole = f"{begins},{ends},王护士,,wang@his.example,,,李护士,li@his.example"
    alone = f"{begins},{ends},王护士,,wang@his.example,,,,"
    warned = run("import", [f"hospital-a,{whole}", f"hospital-b,{alone}"])
    assert warned.exit_code == 0, warned.output
    assert "warning: hospital-b: one person alone is on duty" in warned.output
    assert "warning: platform: nobody is on duty" in warned.output
    assert "hospital-a" not in warned.output
    checked = run("roster", "check", "--days", "2")
    assert checked.exit_code == 1 and "hospital-b: one person alone" in checked.output
    run("import", [f"hospital-b,{whole}", f"platform,{whole}"])
    checked = run("roster", "check")
    assert checked.exit_code == 0 and "3 organisation(s) have two people on duty" in checked.output


def test_neighbouring_gaps_of_the_same_kind_are_told_once() -> None:
    found = gaps(WARD, [shift(2, 3, None), shift(3, 4, None)], NOON, NOON + 4 * HOUR)
    assert found == [Gap(WARD, NOON, NOON + 2 * HOUR, 0), Gap(WARD, NOON + 2 * HOUR, NOON + 4 * HOUR, 1)]
