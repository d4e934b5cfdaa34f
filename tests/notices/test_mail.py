"""A mail goes out through the operator's relay, over TLS that is checked, to one plain address, and says no more than it may."""

import json
import ssl
from datetime import UTC, datetime

import msgspec
import pytest

from adapters.delivery.mail import mailing as posting
from adapters.settings import Smtp
from service.notices import reach
from service.notices.model import Message, Notice, Outcome, Outgoing, Subscriber
from service.values import new_id

from .mailbox import PASSWORD, USER, Mailbox, mailing
from .test_post import certificate

NOW = datetime.now(UTC)
TO = "notices@his.example"
REACH = reach.Reach(mails=True)
MESSAGE = Message("application/fhir+json", b'{"resourceType":"Bundle"}', "转介有新的进展。\n")


def outgoing(endpoint: str = f"mailto:{TO}", timeout: int | None = None) -> Outgoing:
    to = Subscriber(
        id=new_id(), organization=new_id(), client=new_id(), whole_network=False, state="active", endpoint=endpoint,
        headers=(), format="fhir", topic="", about="any", kinds=(), filters={}, event_number=0, failures=0,
        last_error=None, created_at=NOW, changed_at=NOW, version=1, ends_at=None, terms={}, channel="email", timeout=timeout,
    )  # fmt: skip
    notice = Notice(delivery=new_id(), number=1, attempts=0, created_at=NOW, subscriber=to, event=None)
    return Outgoing(notice, "whsec_never-in-a-mail")


def relay(
    box: Mailbox, tls: str = "none", user: str | None = None, password: str | None = None, host: str = "127.0.0.1"
):
    return Smtp(host, box.port, tls, "notices@yuanshe.example", user, password)


async def send(smtp: Smtp | None, sent: Outgoing | None = None, message: Message = MESSAGE, allowed=REACH) -> Outcome:
    return await posting(smtp, allowed, 10)(sent or outgoing(), message, NOW)


async def test_a_mail_has_words_for_people_and_the_bundle_attached():
    async with mailing() as box:
        sent = outgoing()
        assert (await send(relay(box), sent)).arrived
        said, recipients = await box.received.get()
    assert recipients == [TO] and said["To"] == TO and said["From"] == "notices@yuanshe.example"
    assert said["Message-ID"] == f"<{sent.id}@yuanshe.example>", "the same at every attempt"
    assert said["Auto-Submitted"] == "auto-generated"
    words, attached = said.iter_parts()
    assert words.get_content_type() == "text/plain" and "转介" in words.get_content()
    assert attached.get_content_type() == "application/fhir+json"
    assert json.loads(attached.get_content()) == {"resourceType": "Bundle"}
    assert "whsec_" not in said.as_string()


async def test_without_an_attachment_there_are_words_alone():
    async with mailing() as box:
        assert (await send(relay(box), message=msgspec.structs.replace(MESSAGE, body=b""))).arrived
        said = await box.next()
    assert not said.is_multipart() and said.get_content_type() == "text/plain"


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_the_password_goes_over_tls_to_the_relay_of_the_name_alone(tmp_path, monkeypatch, tls):
    trusted, context = certificate("localhost", tmp_path)
    asked = {"starttls": context} if tls == "starttls" else {"implicit": context}
    async with mailing(**asked, password=True) as box:
        known = relay(box, tls, USER, PASSWORD, "localhost")
        assert (await send(known)).error == "tls", "its certificate is nobody's that we know"
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        assert (await send(known)).arrived
        assert (await send(relay(box, tls, USER, PASSWORD, "127.0.0.1"))).error == "tls", "it is another's"
        assert (await send(relay(box, tls, USER, "wrong", "localhost"))) == Outcome(status=535, error="smtp-535")
        assert box.received.qsize() == 1


async def test_a_relay_without_tls_is_sent_nothing_where_tls_was_asked_for():
    async with mailing() as box:
        assert (await send(relay(box, "starttls"))).error == "tls"
        assert box.received.empty()


async def test_a_mailbox_that_is_refused_for_good_is_gone_and_one_that_is_busy_is_tried_again():
    async with mailing() as box:
        box.refuses[TO] = "550 5.1.1 No such user: notices"
        gone = await send(relay(box))
        assert gone.gone and gone.error == "smtp-550", "in a word of ours, not in theirs"
        box.refuses[TO] = "451 4.7.1 Try again later"
        busy = await send(relay(box))
        assert not busy.gone and not busy.arrived and busy.error == "smtp-451"


async def test_a_relay_that_is_away_hangs_or_was_never_named_is_told_in_a_word():
    async with mailing() as box:
        box.silent = True
        assert await posting(relay(box), REACH, 0.2)(outgoing(), MESSAGE, NOW) == Outcome(error="timeout")
    nobody = Smtp("127.0.0.1", 1, "none", "notices@yuanshe.example")
    assert await send(nobody) == Outcome(error="no-connection")
    assert await send(None) == Outcome(error="no-mail-server")


@pytest.mark.parametrize(
    "endpoint",
    [
        "notices@his.example", "mailto:", "mailto:notices", "mailto:a@b", "mailto:a@his.example,b@his.example",
        "mailto:a@his.example?bcc=b@his.example", "mailto:a%0d%0aBcc:b@his.example", "mailto:a@his.example\r\nBcc: b@c.example",
        "mailto:a b@his.example", "mailto:Name <a@his.example>", "mailto:a@[127.0.0.1]", "mailto:a@127.0.0.1",
        "mailto:.a@his.example", f"mailto:{'a' * 65}@his.example", "https://his.example/", "mailto:院@his.example",
    ],
)  # fmt: skip
async def test_only_one_plain_address_is_mailed_to(endpoint):
    assert reach.mail_fault(endpoint, REACH)
    async with mailing() as box:
        assert await send(relay(box), outgoing(endpoint)) == Outcome(error="address-not-allowed")
        assert box.received.empty()


def test_the_operator_may_name_the_domains_that_are_mailed_to():
    named = reach.Reach(mails=True, domains=("his.example",))
    assert reach.mail_fault("mailto:a@HIS.example", named) is None
    assert reach.mail_fault("mailto:a@other.example", named)
    assert reach.mail_fault("mailto:a@sub.his.example", named)


def test_a_relay_shows_its_password_in_nothing_that_is_logged():
    assert "secret" not in repr(Smtp("relay.example", 587, "starttls", "a@b.example", "user", "secret"))


def test_old_ways_of_tls_are_not_spoken():
    assert ssl.create_default_context().minimum_version >= ssl.TLSVersion.TLSv1_2
