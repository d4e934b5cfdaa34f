"""Mails one message: through the operator's relay alone, over TLS with its certificate checked, plain words and an attachment."""

import asyncio
import ssl
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from adapters.delivery.post import Post
from adapters.settings import Smtp
from service.notices import reach
from service.notices.model import Message, Outcome, Outgoing

GOODBYE = 2.0
"""Seconds to wait for a relay's last word."""

SUBJECT = "院社 Yuanshe: 转介通知 referral notice"
"""One subject for all: the list of a mailbox is read over a shoulder."""


def mailing(relay: Smtp | None, allowed: reach.Reach, timeout: float) -> Post:
    """A function that mails; `timeout` in seconds bounds a whole attempt, unless the subscriber says how long one may take."""

    async def post(sent: Outgoing, message: Message, now: datetime) -> Outcome:
        to = sent.notice.subscriber
        if relay is None:
            return Outcome(error="no-mail-server")
        if reach.mail_fault(to.endpoint, allowed):
            return Outcome(error="address-not-allowed")
        try:
            async with asyncio.timeout(to.timeout or timeout):
                return await _send(relay, letter(relay, sent, message, now))
        except TimeoutError:
            return Outcome(error="timeout")

    return post


def letter(relay: Smtp, sent: Outgoing, message: Message, now: datetime) -> EmailMessage:
    """The mail; its Message-ID is the notice's own, the same at every attempt, so that mailboxes know a repeat."""
    said = EmailMessage()
    said["From"] = relay.sender
    said["To"] = reach.mailbox(sent.notice.subscriber.endpoint)
    said["Subject"] = message.subject or SUBJECT
    said["Date"] = format_datetime(now)
    said["Message-ID"] = f"<{sent.id}@{relay.sender.rpartition('@')[2]}>"
    said["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
    said.set_content(message.text)
    if message.body:
        main, _, sub = message.content_type.partition("/")
        said.add_attachment(message.body, maintype=main, subtype=sub, filename="notification.json")
    return said


async def _send(relay: Smtp, said: EmailMessage) -> Outcome:
    client = aiosmtplib.SMTP(
        hostname=relay.host,
        port=relay.port,
        username=relay.user,
        password=relay.password,
        use_tls=relay.tls == "implicit",
        start_tls=relay.tls == "starttls",
        # SSL_CERT_FILE may name authorities of the operator's own.
        tls_context=None if relay.tls == "none" else ssl.create_default_context(),
        timeout=None,  # The block around a whole attempt is the limit.
    )
    try:
        await client.connect()
        await client.send_message(said)
        # The relay has taken it: whether it still says goodbye is no matter.
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit(timeout=GOODBYE)
    except aiosmtplib.SMTPRecipientsRefused as refused:
        code = refused.recipients[0].code
        return Outcome(status=code, error=f"smtp-{code}", final=500 <= code < 600)
    except aiosmtplib.SMTPResponseException as refused:
        # Who the relay lets in and what it takes of us is the operator's to mend: it is tried again.
        return Outcome(status=refused.code, error=f"smtp-{refused.code}")
    except ssl.SSLError:
        return Outcome(error="tls")
    except OSError as fault:
        return Outcome(error="tls" if isinstance(fault.__cause__, ssl.SSLError) else "no-connection")
    except aiosmtplib.SMTPException:
        return Outcome(error="tls")  # What is left: a relay that does not speak TLS.
    finally:
        client.close()  # Not by `async with`, which would wait for an answer to QUIT from a relay that hangs.
    return Outcome(status=250)
