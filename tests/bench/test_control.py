"""What the benchmark's figures rest on: valid submissions, each its own, and a control made from what the service sent."""

import msgspec
import pytest
from stdnum.cn import ric

from tests.bench import ward
from tests.bench.control import TWELVE, Trip, marked, script, writes_alone
from tests.bench.queue import shape

ONE, OTHER, FIXED = (f"0190b000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))


def test_every_submission_is_of_a_person_of_its_own() -> None:
    numbers = [ward.citizen(n) for n in range(5000)]
    assert len(set(numbers)) == 5000 and all(ric.calc_check_digit(number) == number[-1] for number in numbers)


def test_a_submission_says_its_number_and_its_persons_birthday() -> None:
    patient = msgspec.json.decode(ward.body(4321))["entry"][0]["resource"]
    assert patient["identifier"][0]["value"] == ward.citizen(4321)
    assert patient["identifier"][1]["value"] == "ZY000000004321"
    assert patient["birthDate"].replace("-", "") == ward.citizen(4321)[6:14]


def trip(id: str, number: str) -> Trip:
    return Trip("INSERT INTO t VALUES ($1, $2, $3)", (id, f"{FIXED} R{number}", None), ("uuid", "text", "date"))


def test_what_is_unique_to_a_submission_is_unique_in_each_transaction_of_the_control() -> None:
    found = marked([trip(ONE, "000000000001")], [trip(OTHER, "000000000002")], "000000000001", ward.citizen(1))[0]
    assert found.values[0] is not None and found.values[0].endswith(TWELVE) and len(found.values[0]) == len(ONE)
    assert found.values[1] == f"{FIXED} R{TWELVE}"
    made = script([found])
    assert f"replace(:v0_0::text, '{TWELVE}', :n::text)::uuid" in made.text and "NULL::date" in made.text


def test_the_scope_is_set_in_the_round_trip_that_begins() -> None:
    lines = script([Trip("BEGIN; SELECT set_config('a', 'b', true)")]).text.splitlines()
    assert lines[2:] == [r"\startpipeline", "BEGIN;", "SELECT set_config('a', 'b', true);", r"\endpipeline"]


def test_two_submissions_that_do_otherwise_make_no_control() -> None:
    with pytest.raises(RuntimeError, match="same statements"):
        marked([trip(ONE, "1")], [], "1", "2")


def test_the_stricter_control_makes_as_many_round_trips() -> None:
    reads = Trip("SELECT id FROM t WHERE id = $1 FOR UPDATE", (ONE,), ("uuid",))
    assert [one.sql for one in writes_alone([reads, trip(ONE, "1")])] == ["SELECT 1", trip(ONE, "1").sql]


def test_a_plans_shape_has_no_costs_and_nothing_that_was_never_executed() -> None:
    never = {"Node Type": "Seq Scan", "Relation Name": "t", "Actual Loops": 0}
    used = {"Node Type": "Index Only Scan", "Index Name": "i", "Relation Name": "t", "Actual Loops": 1, "Total Cost": 4}
    assert shape({"Node Type": "Limit", "Total Cost": 5, "Plans": [never, used]}) == "Limit(Index Only Scan i t)"
