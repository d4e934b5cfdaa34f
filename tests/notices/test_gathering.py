"""Who takes several events at a time gets them in order, one notice at a time; who hears nothing for long gets a heartbeat."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from service import events
from service.notices import flow
from service.notices.model import Outcome

from .conftest import HOSPITAL, as_platform, happen, new_referral
from .test_delivery import NOW, Round, deliveries, state_of, subscribe

SOON = timedelta(seconds=20)


@pytest.fixture
async def turn(service):
    """Its posts are not made: what is claimed is what the tests look at."""

    async def post(sent, message, now):
        return Outcome(status=204)

    return Round(service, post)


async def listening(service, turn, **wish):
    """A subscriber whose handshake was answered at NOW."""
    to, _ = await subscribe(service, HOSPITAL, "http://127.0.0.1:1/hook", **wish)
    assert await turn(NOW) == 1
    return to


async def made(service, *kinds):
    await happen(service, await new_referral(service), *kinds)
    while await as_platform(service, events.sequence):
        pass
    while await as_platform(service, lambda session: flow.fan_out(session, NOW)):
        pass


async def answered(service, taken, outcome, now=NOW):
    await as_platform(service, lambda session: flow.settle(session, taken, outcome, (SOON,), now))


def numbers(taken):
    return [notice.number for notice in taken.notices]


async def test_one_notice_at_a_time_with_no_more_events_than_asked_for(service, turn):
    await listening(service, turn, max_count=2)
    await made(service, *["ask"] * 5)
    told = []
    while found := await turn.claim(NOW):
        [taken] = found
        assert await turn.claim(NOW) == [], "while one is in flight nothing behind it is taken"
        told.append(numbers(taken))
        await answered(service, taken, Outcome(status=200))
    assert told == [[1, 2], [3, 4], [5]]
    assert {each.state for each in await deliveries(service)} == {"sent"}


async def test_a_notice_that_failed_is_tried_again_as_it_was_and_holds_up_what_comes_after(service, turn):
    await listening(service, turn, max_count=3)
    await made(service, "offer", "accept")
    [first] = await turn.claim(NOW)
    await answered(service, first, Outcome(status=503))
    await made(service, "start")
    assert await turn.claim(NOW + SOON / 2) == []
    assert await as_platform(service, flow.next_due) == NOW + SOON, "nor is the worker woken for what it may not take"
    [again] = await turn.claim(NOW + SOON)
    assert again.id == first.id and numbers(again) == [1, 2], "the same notice, though there is more by now"
    await answered(service, again, Outcome(status=200), NOW + SOON)
    [behind] = await turn.claim(NOW + SOON)
    assert numbers(behind) == [3] and behind.id != first.id
    assert {each.attempts for each in await deliveries(service) if each.number < 3} == {2}


async def test_workers_at_once_never_take_what_belongs_behind(service, turn):
    await listening(service, turn, max_count=2)
    await made(service, *["ask"] * 6)
    found = await asyncio.gather(*(turn.claim(NOW) for _ in range(6)))
    assert [numbers(taken) for each in found for taken in each] == [[1, 2]]


async def test_when_tries_run_out_the_subscription_is_in_error_and_what_is_sent_again_leaves_it_there(service, turn):
    to = await listening(service, turn, max_count=5)
    await made(service, "offer", "accept")
    [taken] = await turn.claim(NOW)
    await answered(service, taken, Outcome(error="timeout"))
    await answered(service, (await turn.claim(NOW + SOON))[0], Outcome(error="timeout"), NOW + SOON)
    failed = await state_of(service, to)
    assert (failed.state, failed.last_error) == ("error", "timeout")
    lost = await deliveries(service)
    assert {each.state for each in lost} == {"not-delivered"}
    async with service.transaction(HOSPITAL.scope) as session:
        await flow.resend(session, HOSPITAL, next(each.id for each in lost if each.number == 2), NOW)
    [one] = await turn.claim(NOW + SOON)
    assert numbers(one) == [2] and one.id != taken.id, "what is not the same notice has not the same name"
    await answered(service, one, Outcome(status=200), NOW + SOON)
    after = await state_of(service, to)
    assert (after.state, after.last_error) == ("error", "timeout")
    assert sorted((each.number, each.state) for each in await deliveries(service)) == [
        (1, "not-delivered"),
        (2, "sent"),
    ]


async def test_an_attempt_is_anothers_for_twice_the_time_that_it_may_take(service, turn):
    await listening(service, turn, timeout=60)
    await made(service, "offer")
    [taken] = await turn.claim(NOW, SOON)
    assert taken.notice.subscriber.timeout == 60
    assert await turn.claim(NOW + timedelta(seconds=119), SOON) == []
    assert len(await turn.claim(NOW + timedelta(seconds=120), SOON)) == 1


async def test_a_heartbeat_comes_after_silence_and_what_is_sent_puts_it_off(service, turn):
    await listening(service, turn, heartbeat=60)
    minute = timedelta(seconds=60)
    assert await as_platform(service, flow.next_due) == NOW + minute
    assert await turn.claim(NOW + minute - timedelta(seconds=1)) == []
    await made(service, "offer")
    [news] = await turn.claim(NOW + minute / 2)
    await answered(service, news, Outcome(status=200), NOW + minute / 2)
    assert await turn.claim(NOW + minute) == []
    [beat] = await turn.claim(NOW + minute * 1.5)
    assert beat.notice.heartbeat and beat.notice.event is None and beat.notice.number == 1
    assert await turn.claim(NOW + minute * 1.5) == [], "one, whoever asks"
    await answered(service, beat, Outcome(status=200), NOW + minute * 1.5)
    assert await as_platform(service, flow.next_due) == NOW + minute * 2.5
    assert len(await deliveries(service)) == 1, "it counts as no event"


async def test_a_heartbeat_that_fails_is_not_repeated_and_one_that_finds_nobody_is_an_error(service, turn):
    to = await listening(service, turn, heartbeat=60)
    minute = timedelta(seconds=60)
    [beat] = await turn.claim(NOW + minute)
    await answered(service, beat, Outcome(status=500), NOW + minute)
    assert (await state_of(service, to)).failures == 1
    assert await turn.claim(NOW + minute) == []
    [beat] = await turn.claim(NOW + 2 * minute)
    await answered(service, beat, Outcome(status=410), NOW + 2 * minute)
    assert (await state_of(service, to)).state == "error"
    assert await turn.claim(NOW + 10 * minute) == [] and await as_platform(service, flow.next_due) is None


async def test_a_heartbeat_is_rendered_as_what_it_is(service, turn):
    await listening(service, turn, heartbeat=60)
    [beat] = await turn.claim(NOW + timedelta(seconds=60))
    said = await turn.work.renders["json"](service, beat.notices)
    assert msgspec.json.decode(said.body)["type"] == "urn:yuanshe:heartbeat"
