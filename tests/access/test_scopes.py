"""Scopes say what a program may do, in both of SMART's forms."""

import pytest

from service.access.model import Actor, operator
from service.access.scopes import may
from tests.access.network import AGENCY


def program(*scopes: str) -> Actor:
    return Actor(AGENCY, "client", AGENCY, "agency", "a program", scopes)


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("system/Task.read", "rs"),
        ("system/Task.write", "cud"),
        ("system/Task.*", "cruds"),
        ("system/*.rs", "rs"),
        ("system/Task.u", "u"),
        ("system/Task.cruds", "cruds"),
        ("system/Patient.cruds", ""),
        ("user/Task.cruds", ""),
        ("system/Task.", ""),
        ("system/Task.sr", ""),
        ("system/Task.rs?status=requested", ""),
        ("system/task.rs", ""),
    ],
)
def test_a_scope_allows_its_letters_and_no_more(scope, allowed):
    assert "".join(letter for letter in "cruds" if may(program(scope), "Task", letter)) == allowed


def test_scopes_add_up():
    actor = program("system/Task.r", "system/*.s", "system/Patient.u")
    assert [may(actor, "Task", letter) for letter in "cruds"] == [False, True, False, False, True]


def test_no_scope_allows_nothing():
    assert not may(program(), "Task", "r")


def test_people_and_the_service_itself_are_bound_by_role_and_not_by_scope():
    assert may(Actor(AGENCY, "person", AGENCY, "social_worker", "a worker"), "Task", "u")
    assert may(operator(), "Task", "u")
