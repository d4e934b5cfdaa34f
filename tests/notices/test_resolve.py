"""A host name is looked up once for all who wait for it, and one that nobody answers for keeps no other waiting."""

import asyncio
import socket
import threading

import pytest

from adapters import resolve, worker


@pytest.fixture
def names(monkeypatch):
    """The system's resolver as the network may make it: `hangs.*` is answered once the test says so."""
    asked, answered = [], threading.Event()

    def look_up(host, port, *more, **how):
        asked.append(host)
        if host.startswith("hangs"):
            answered.wait()
        if host.startswith("absent"):
            raise socket.gaierror(socket.EAI_NONAME, "absent")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield asked, answered
    answered.set()


async def test_names_that_nobody_answers_for_keep_no_other_waiting(names):
    most = worker.ROOM + worker.ROOM_FAILING
    hanging = [asyncio.create_task(resolve.addresses(f"hangs-{n}.example", 443)) for n in range(most)]
    assert await resolve.addresses("his.example", 443) == ("192.0.2.1",)
    names[1].set()
    assert await asyncio.gather(*hanging) == [("192.0.2.1",)] * most


async def test_a_host_is_asked_for_once_however_many_wait_and_anew_when_they_have_heard(names):
    asked, answered = names
    waiting = [asyncio.create_task(resolve.addresses("hangs.example", 443)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    answered.set()
    assert await asyncio.gather(*waiting[1:]) == [("192.0.2.1",)] * 4
    assert asked == ["hangs.example"]
    await resolve.addresses("hangs.example", 443)
    assert asked == ["hangs.example"] * 2


async def test_a_host_that_is_absent_is_so_for_all_who_wait(names):
    both = await asyncio.gather(*(resolve.addresses("absent.example", 443) for _ in range(2)), return_exceptions=True)
    assert [type(each) for each in both] == [socket.gaierror] * 2
