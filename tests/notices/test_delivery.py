"""A notice arrives signed at who subscribed, is tried again until it does, and shows when it did not."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from standardwebhooks import Webhook

from adapters import worker
from adapters.delivery import body
from adapters.delivery.post import posting
from service import events
from service.access.model import Actor
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.notices import flow, schedule
from service.notices.model import Outcome, Wish
from service.notices.reach import Reach
from service.practice import PLATFORM
from service.values import new_id

from .conftest import AGENCY, COORDINATOR, HOSPITAL, LOOPBACK, OTHER_AGENCY, as_platform, happen, new_referral

NOW = datetime.now(UTC)


def verify(secret, got):
    """The signature is that of the library for this id, time and body. Its own `verify` also asks that the time be within
    five minutes of now, which is not what the test's clock says."""
    at = datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)
    signature = Webhook(secret).sign(
        got.headers["webhook-id"], at, got.body.decode() if isinstance(got.body, bytes) else got.body
    )
    assert got.headers["webhook-signature"] == signature


async def subscribe(service, actor, url, now=NOW, **wish):
    async with service.transaction(actor.scope) as session:
        return await flow.subscribe(
            session, actor, Wish(endpoint=url, **wish), now, addresses=["127.0.0.1"], allowed=Reach(LOOPBACK)
        )


class Round:
    """One pass of the worker's parts at a time that the test says."""

    def __init__(self, service, post, waits=schedule.DEFAULT):
        self.service = service
        self.post = post
        self.work = worker.Work(
            database=service, dsn="", renders={"json": body.render}, sweeps={}, networks=LOOPBACK, schedule=waits
        )

    async def claim(self, now, lease=timedelta(seconds=20)):
        async def run(session):
            return await flow.claim(session, now, lease, {}, at_once=4, room=100, room_failing=100)

        return await as_platform(self.service, run)

    async def __call__(self, now):
        """Order, make and post what is due at `now`; how many were posted."""
        while await as_platform(self.service, events.sequence):
            pass
        while await as_platform(self.service, lambda session: flow.fan_out(session, now)):
            pass
        claimed = await self.claim(now)
        await asyncio.gather(*(worker.deliver(self.work, self.post, each, lambda: now) for each in claimed))
        return len(claimed)


@pytest.fixture
async def turn(service):
    async with posting(LOOPBACK, 10) as post:
        yield Round(service, post)


async def deliveries(service, actor=COORDINATOR, state=None):
    async with service.transaction(actor.scope) as session:
        found = await flow.list_deliveries(session, actor, state)
    return [each for each in found if each.kind != "handshake"]


async def test_events_after_the_subscription_arrive_signed_and_numbered(service, turn, listener):
    referral = await new_referral(service)
    await happen(service, referral, "submit")
    await turn(NOW)
    to, secret = await subscribe(service, HOSPITAL, f"{listener.url}/hook", headers=("X-Tenant: a",))
    await happen(service, referral, "offer", "accept")
    assert await turn(NOW) == 1, "until the handshake is answered, only the handshake is sent"
    assert await turn(NOW) == 2
    got = [await listener.next() for _ in range(3)]
    for each in got:
        verify(secret, each)
        assert each.headers["x-tenant"] == "a"
    handshake, *told = got
    assert handshake.json["type"] == "urn:yuanshe:handshake"
    assert sorted((t.json["data"]["number"], t.json["data"]["kind"]) for t in told) == [(1, "offer"), (2, "accept")]
    async with service.transaction(HOSPITAL.scope) as session:
        assert (await flow.subscriber(session, HOSPITAL, to.id)).event_number == 2
    assert {each.state for each in await deliveries(service)} == {"sent"}


async def hears(service, turn, listener, actor=HOSPITAL, path="/hook", **wish):
    """A subscriber whose handshake has been answered."""
    to, secret = await subscribe(service, actor, listener.url + path, **wish)
    await turn(NOW)
    assert (await listener.next()).json["type"] == "urn:yuanshe:handshake"
    return to, secret


async def state_of(service, to):
    return await as_platform(service, lambda session: flow.subscriber(session, COORDINATOR, to.id))


async def test_a_notice_that_meets_an_error_is_tried_again_later_with_the_same_id(service, turn, listener):
    to, secret = await hears(service, turn, listener)
    listener.answers["/hook"] = ["500 Broken", "503 Busy", "200 OK"]
    await happen(service, await new_referral(service), "offer")
    assert await turn(NOW) == 1
    assert await turn(NOW + timedelta(seconds=0.9)) == 0, "the first wait is a second"
    assert await turn(NOW + timedelta(seconds=1)) == 1
    assert await turn(NOW + timedelta(seconds=5.9)) == 0, "the second wait is five"
    assert await turn(NOW + timedelta(seconds=6)) == 1
    assert await turn(NOW + timedelta(days=1)) == 0
    tries = [await listener.next() for _ in range(3)]
    assert len({each.id for each in tries}) == 1
    assert len({each.body for each in tries}) == 1
    assert len({each.headers["webhook-signature"] for each in tries}) == 3, "each try is signed with its own time"
    for each in tries:
        verify(secret, each)
    [delivery] = await deliveries(service)
    assert (delivery.state, delivery.attempts, delivery.last_status, delivery.last_error) == ("sent", 3, 200, None)
    async with service.transaction(HOSPITAL.scope) as session:
        tried = await flow.attempts(session, HOSPITAL, delivery.id)
    assert [(each.what, each.status, each.error) for each in tried] == [
        ("post", 500, "status-500"), ("post", 503, "status-503"), ("post", 200, None),
    ]  # fmt: skip
    assert (await state_of(service, to)).failures == 0


async def test_a_notice_that_never_arrives_ends_as_not_delivered_after_every_try(service, turn, listener):
    to, _ = await hears(service, turn, listener)
    listener.answers["/hook"] = ["500 Broken"]
    await happen(service, await new_referral(service), "offer")
    now, tries = NOW, 0
    while (found := (await deliveries(service))) == [] or found[0].state == "waiting":
        now = found[0].next_at if found else NOW
        tries += await turn(now)
    assert tries == len(schedule.DEFAULT) + 1
    assert now - NOW == timedelta(seconds=1 + 5 + 30 + 120 + 600, hours=1, days=3)
    assert (found[0].state, found[0].last_error, found[0].next_at) == ("not-delivered", "status-500", None)
    ended = await state_of(service, to)
    assert (ended.state, ended.last_error) == ("error", "status-500"), "and is never reset by itself"


async def test_retry_after_puts_the_next_try_off(service, turn, listener):
    await hears(service, turn, listener)
    listener.answers["/hook"] = ["429 Slow down\r\nretry-after: 90"]
    await happen(service, await new_referral(service), "offer")
    await turn(NOW)
    [delivery] = await deliveries(service)
    assert delivery.next_at == NOW + timedelta(seconds=90)


async def test_gone_is_an_error_of_the_subscription_and_of_what_waits_for_it(service, turn, listener):
    to, _ = await hears(service, turn, listener)
    listener.answers["/hook"] = ["500 Broken", "410 Gone"]
    referral = await new_referral(service)
    await happen(service, referral, "offer")
    await turn(NOW)
    await happen(service, referral, "accept", "start")
    await turn(NOW)
    ended = await state_of(service, to)
    assert (ended.state, ended.last_error) == ("error", "gone")
    assert {each.state for each in await deliveries(service)} == {"not-delivered"}
    await happen(service, referral, "complete")
    assert await turn(NOW + timedelta(days=1)) == 0
    assert len(await deliveries(service)) == 4, "it is counted, for when the subscriber asks again"


async def test_a_redirect_is_not_followed(service, turn, listener):
    """Behaviour 34: what was not checked is not reached by a detour."""
    await hears(service, turn, listener)
    listener.answers["/hook"] = [f"307 Elsewhere\r\nlocation: {listener.url}/other"]
    await happen(service, await new_referral(service), "offer")
    await turn(NOW)
    assert (await listener.next()).path == "/hook"
    assert listener.received.empty()
    assert [(each.state, each.last_error) for each in await deliveries(service)] == [("waiting", "status-307")]


async def test_an_endpoint_that_fails_the_handshake_is_in_error_until_asked_for_again(service, turn, listener):
    listener.answers["/hook"] = ["404 Nothing here"]
    to, _ = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await happen(service, await new_referral(service), "offer")
    await turn(NOW)
    await turn(NOW + timedelta(seconds=1))
    failed = await state_of(service, to)
    assert (failed.state, failed.last_error, failed.event_number) == ("error", "status-404", 1)
    await happen(service, await new_referral(service), "offer")
    assert await turn(NOW + timedelta(hours=1)) == 0, "never by itself"
    assert {each.state for each in await deliveries(service)} == {"not-delivered"}
    listener.answers.clear()
    async with service.transaction(HOSPITAL.scope) as session:
        await flow.renew(
            session, HOSPITAL, to.id, Wish(endpoint=f"{listener.url}/hook"), NOW, addresses=(), allowed=Reach(LOOPBACK)
        )
    await turn(NOW)
    await turn(NOW)
    assert (await state_of(service, to)).state == "active"
    sent = sorted((each.state, each.number) for each in await deliveries(service))
    assert sent == [("sent", 1), ("sent", 2)], "what it had missed follows"


async def test_an_event_during_the_handshake_is_not_lost(service, turn, listener):
    await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await happen(service, await new_referral(service), "offer")
    await turn(NOW)
    await turn(NOW)
    assert (await listener.next_event()).json["data"]["number"] == 1


async def renewed(service, to, listener, path="/hook", actor=HOSPITAL):
    async with service.transaction(actor.scope) as session:
        await flow.renew(
            session, actor, to.id, Wish(endpoint=listener.url + path), NOW, addresses=(), allowed=Reach(LOOPBACK)
        )


async def answered(service, claimed, outcome):
    await as_platform(
        service, lambda session: flow.settle(session, claimed, outcome, schedule.DEFAULT, NOW + timedelta(seconds=1))
    )


@pytest.mark.parametrize("outcome", [Outcome(status=204), Outcome(status=410), Outcome(status=400)])
async def test_an_answer_that_comes_late_changes_no_subscription_that_was_ended_or_asked_for_anew(
    service, turn, listener, outcome
):
    to, _ = await subscribe(service, HOSPITAL, f"{listener.url}/old")
    [first] = await turn.claim(NOW)
    await renewed(service, to, listener)
    await answered(service, first, outcome)
    assert (await state_of(service, to)).state == "requested", "the new address has not answered yet"
    [second] = await turn.claim(NOW)
    assert second.notice.subscriber.endpoint == f"{listener.url}/hook"
    async with service.transaction(HOSPITAL.scope) as session:
        await flow.unsubscribe(session, HOSPITAL, to.id, NOW)
    await answered(service, second, outcome)
    assert (await state_of(service, to)).state == "off"


async def test_asked_for_twice_it_is_greeted_once_and_nothing_waits_for_ever(service, turn, listener):
    to, _ = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    await renewed(service, to, listener)
    await renewed(service, to, listener)
    assert await turn(NOW) == 1
    assert (await state_of(service, to)).state == "active"
    assert await as_platform(service, flow.next_due) is None


async def test_another_client_of_the_organisation_ends_a_subscription_and_changes_none(service, turn, listener):
    to, _ = await hears(service, turn, listener)
    colleague = msgspec.structs.replace(HOSPITAL, id=new_id())
    with pytest.raises(Forbidden):
        await renewed(service, to, listener, "/elsewhere", colleague)
    assert (await state_of(service, to)).endpoint == f"{listener.url}/hook"
    async with service.transaction(colleague.scope) as session:
        assert (await flow.unsubscribe(session, colleague, to.id, NOW)).state == "off"


async def test_each_hears_of_its_own_and_no_body_holds_more_than_ids(service, turn, listener):
    for path, actor in (("/h", HOSPITAL), ("/a", AGENCY), ("/o", OTHER_AGENCY), ("/p", COORDINATOR)):
        await hears(service, turn, listener, actor, path)
    referral = await new_referral(service)
    await happen(service, referral, "submit", agency=None, reason_text="a free text", data={"note": "a free text"})
    [offer] = await happen(service, referral, "offer", data={"name": "a name"})
    await turn(NOW)
    heard = {}
    for _ in range(5):
        got = await listener.next()
        assert b"a free text" not in got.body and b"a name" not in got.body and b"his" not in got.body
        heard.setdefault(got.path, {})[got.json["data"]["kind"]] = got.json["data"]
    assert {path: set(told) for path, told in heard.items()} == {
        "/h": {"submit", "offer"}, "/a": {"offer"}, "/p": {"submit", "offer"},
    }  # fmt: skip
    assert heard["/h"]["offer"]["referral"] == str(referral)
    assert heard["/a"]["offer"]["task"] == str(offer.task)
    assert "referral" not in heard["/a"]["offer"], "it would link an offer to the person's referral"
    assert "position" not in heard["/a"]["offer"], "it would tell how much the whole network does"


async def test_an_offer_open_to_all_is_heard_by_those_who_may_claim_it(service, turn, listener):
    await hears(service, turn, listener, AGENCY, "/a")
    await hears(service, turn, listener, OTHER_AGENCY, "/o")
    referral, task = await new_referral(service), new_id()
    await as_platform(
        service,
        lambda session: session.execute(
            "INSERT INTO open_offer (task_id, agency_id) VALUES ($1, $2)", task, OTHER_AGENCY.organization
        ),
    )
    await happen(service, referral, "offer", agency=None, task=task)
    assert await turn(NOW) == 1
    assert (await listener.next()).path == "/o"


async def test_a_subscription_may_ask_for_kinds_tasks_and_values(service, turn, listener):
    await hears(service, turn, listener, path="/kinds", kinds=("accept",))
    await hears(service, turn, listener, path="/task", about="task")
    await hears(service, turn, listener, path="/filter", filters={"status": ("accepted", "rejected")})
    referral = await new_referral(service)
    await happen(service, referral, "submit", task=None)
    await happen(service, referral, "offer", data={"status": "requested"})
    await happen(service, referral, "accept", data={"status": "accepted"})
    assert await turn(NOW) == 4
    heard = sorted((got.path, got.json["data"]["kind"]) for got in [await listener.next() for _ in range(4)])
    assert heard == [("/filter", "accept"), ("/kinds", "accept"), ("/task", "accept"), ("/task", "offer")]


async def test_fan_out_repeated_or_cut_short_makes_each_delivery_once(service, turn, listener):
    await hears(service, turn, listener)
    referral = await new_referral(service)
    await happen(service, referral, *["ask"] * 25)
    while await as_platform(service, events.sequence):
        pass

    async def fan_out_and_fail(session):
        await flow.fan_out(session, NOW, span=10)
        raise ConnectionResetError

    for _ in range(3):
        with pytest.raises(Exception, match="went away"):
            await as_platform(service, fan_out_and_fail)
        await asyncio.gather(
            *(as_platform(service, lambda session: flow.fan_out(session, NOW, span=10)) for _ in range(4))
        )
    assert sorted(each.number for each in await deliveries(service)) == list(range(1, 26))


async def test_what_a_killed_worker_had_claimed_comes_due_again(service, turn, listener):
    await hears(service, turn, listener)
    await happen(service, await new_referral(service), "offer")
    while await as_platform(service, events.sequence):
        pass
    await as_platform(service, lambda session: flow.fan_out(session, NOW))
    [taken] = await turn.claim(NOW, timedelta(seconds=20))
    assert await turn(NOW + timedelta(seconds=19)) == 0, "another worker leaves it alone"
    assert await turn(NOW + timedelta(seconds=20)) == 1
    assert (await listener.next()).id == str(taken.notice.delivery)


async def test_a_late_answer_does_not_undo_what_another_attempt_settled(service, turn, listener):
    await hears(service, turn, listener)
    await happen(service, await new_referral(service), "offer")
    while await as_platform(service, events.sequence):
        pass
    await as_platform(service, lambda session: flow.fan_out(session, NOW))
    [slow] = await turn.claim(NOW)
    assert await turn(NOW + timedelta(seconds=20)) == 1
    listener.answers["/hook"] = ["500 Broken"]
    await worker.deliver(turn.work, turn.post, slow, lambda: NOW + timedelta(seconds=21))
    assert [each.state for each in await deliveries(service)] == ["sent"]


async def test_a_failing_subscriber_is_tried_with_one_notice_at_a_time(service, turn, listener):
    await hears(service, turn, listener)
    listener.answers["/hook"] = ["500 Broken"]
    await happen(service, await new_referral(service), *["ask"] * 6)
    assert await turn(NOW) == 4, "at most four in flight"
    found = await as_platform(
        service,
        lambda session: flow.claim(session, NOW, timedelta(seconds=20), {}, at_once=4, room=100, room_failing=100),
    )
    assert len(found) == 1


async def test_sending_again_keeps_the_number_and_the_id_and_records_who_asked(service, turn, listener):
    await hears(service, turn, listener)
    turn.work = worker.Work(
        database=service, dsn="", renders={"json": body.render}, sweeps={}, networks=LOOPBACK, schedule=()
    )
    listener.answers["/hook"] = ["500 Broken", "200 OK"]
    await happen(service, await new_referral(service), "offer")
    await turn(NOW)
    [lost] = await deliveries(service, state="not-delivered")
    for _ in range(2):  # also what has arrived may be sent again
        async with service.transaction(COORDINATOR.scope) as session:
            await flow.resend(session, COORDINATOR, lost.id, NOW)
        await turn(NOW)
    first, again, once_more = [await listener.next() for _ in range(3)]
    assert first.id == again.id == once_more.id and first.body == again.body == once_more.body
    [sent] = await deliveries(service)
    assert (sent.state, sent.number) == ("sent", 1)
    async with service.transaction(COORDINATOR.scope) as session:
        tried = await flow.attempts(session, COORDINATOR, lost.id)
    assert [(each.what, each.by_name) for each in tried] == [
        ("post", None), ("resend", "platform"), ("post", None), ("resend", "platform"), ("post", None),
    ]  # fmt: skip


async def test_nobody_sees_or_touches_the_subscriptions_and_deliveries_of_another(service, turn, listener):
    to, _ = await hears(service, turn, listener)
    await happen(service, await new_referral(service), "offer")
    await turn(NOW)
    [delivery] = await deliveries(service, HOSPITAL)
    assert await deliveries(service, AGENCY) == []
    async with service.transaction(AGENCY.scope) as session:
        assert await flow.subscribers(session, AGENCY) == []
        for refused in (
            flow.subscriber(session, AGENCY, to.id),
            flow.unsubscribe(session, AGENCY, to.id, NOW),
            flow.resend(session, AGENCY, delivery.id, NOW),
            flow.attempts(session, AGENCY, delivery.id),
        ):
            with pytest.raises(NotFound):
                await refused
        assert await session.fetchval("SELECT count(*) FROM subscriber") == 0
    async with service.transaction(COORDINATOR.scope) as session:
        assert [each.id for each in await flow.subscribers(session, COORDINATOR)] == [to.id]


async def test_unsubscribing_ends_it(service, turn, listener):
    to, _ = await hears(service, turn, listener)
    referral = await new_referral(service)
    await happen(service, referral, "offer")
    async with service.transaction(HOSPITAL.scope) as session:
        assert (await flow.unsubscribe(session, HOSPITAL, to.id, NOW)).state == "off"
    await happen(service, referral, "accept")
    assert await turn(NOW) == 0
    assert await deliveries(service) == []


async def test_a_revoked_clients_subscriptions_end(service, turn, listener):
    to, _ = await hears(service, turn, listener)
    client = "INSERT INTO client (id, client_id, organization_id, role, name, scope, jwks, created_at, revoked_at) "
    values = "VALUES ($1, 'his', $2, 'hospital', 'his', 'system/*.rs', '{}', $3, $3)"
    await as_platform(
        service, lambda session: session.execute(client + values, HOSPITAL.id, HOSPITAL.organization, NOW)
    )
    assert await as_platform(service, lambda session: flow.end_due(session, worker.CLOCK, NOW)) == 1
    ended = await state_of(service, to)
    assert (ended.state, ended.last_error) == ("off", "client-revoked")


@pytest.mark.parametrize(
    ("wish", "part"),
    [
        ({"endpoint": "http://192.0.2.1/"}, "endpoint"),
        ({"headers": ("Host: elsewhere",)}, "headers"),
        ({"headers": ("webhook-signature: v1,x",)}, "headers"),
        ({"headers": ("X: a\r\nY: b",)}, "headers"),
        ({"headers": ("no colon",)}, "headers"),
        ({"secret": "whsec_c2hvcnQ="}, "secret"),
        ({"secret": "a password"}, "secret"),
    ],
)
async def test_a_wish_that_cannot_be_met_is_refused_and_says_which_part(service, wish, part):
    async with service.transaction(HOSPITAL.scope) as session:
        with pytest.raises(Invalid) as refused:
            await flow.subscribe(
                session,
                HOSPITAL,
                Wish(**{"endpoint": "http://127.0.0.1:1/", **wish}),
                NOW,
                addresses=["192.0.2.1"] if part == "endpoint" else ["127.0.0.1"],
                allowed=Reach(LOOPBACK),
            )
    assert refused.value.issues[0].at == part


async def test_an_auditor_gets_no_news(service):
    auditor = Actor(new_id(), "client", PLATFORM, "auditor", "bureau")
    with pytest.raises(Forbidden):
        await subscribe(service, auditor, "http://127.0.0.1:1/")


async def test_a_client_has_a_limited_number_of_subscriptions(service):
    for _ in range(flow.MOST_OF_A_CLIENT):
        await subscribe(service, HOSPITAL, "http://127.0.0.1:1/")
    with pytest.raises(Invalid, match="end one first"):
        await subscribe(service, HOSPITAL, "http://127.0.0.1:1/")


async def test_a_subscription_that_is_off_takes_nothing_again(service, turn, listener):
    to, _ = await hears(service, turn, listener)
    await happen(service, await new_referral(service), "offer")
    await turn(NOW)
    [sent] = await deliveries(service)
    async with service.transaction(HOSPITAL.scope) as session:
        await flow.unsubscribe(session, HOSPITAL, to.id, NOW)
        with pytest.raises(Conflict):
            await flow.resend(session, HOSPITAL, sent.id, NOW)


async def test_the_secret_shows_in_nothing_that_is_listed_or_logged(service, turn, listener):
    to, secret = await subscribe(service, HOSPITAL, f"{listener.url}/hook")
    [taken] = await turn.claim(NOW)
    assert taken.secret == secret
    assert secret not in repr(taken) and secret not in repr(to)


async def test_deliveries_are_listed_page_by_page_newest_first(service, turn, listener):
    await hears(service, turn, listener)
    referral = await new_referral(service)
    for place in range(3):
        await happen(service, referral, "ask", "answer")
        await turn(NOW + timedelta(seconds=place))
    seen, after = [], None
    async with service.transaction(HOSPITAL.scope) as session:
        while page := await flow.list_deliveries(session, HOSPITAL, "sent", after, 2):
            seen += page
            after = page[-1].id
    assert len({each.id for each in seen}) == len(seen) == 7
    assert [each.created_at for each in seen] == sorted((each.created_at for each in seen), reverse=True)
