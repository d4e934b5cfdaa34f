"""Where a page of a list begins, as links carry it."""

from datetime import UTC, datetime

from adapters.web import paging
from service.values import new_id


def test_a_place_reads_back_as_it_was_written() -> None:
    id = new_id()
    for at in (datetime(2026, 11, 22, 6, 0, 0, 123456, UTC), None):
        assert paging.place(paging.written((at, id))) == (at, id)
    assert paging.written(None) is None


def test_a_link_that_is_none_of_ours_begins_at_the_beginning() -> None:
    id = new_id()
    for text in (None, "", "x", "早", "AAAA", "f" * 400, paging.written((None, id))):
        assert paging.timed(text) is None
    assert paging.place("f" * 32) is None, "a year that there is not"
