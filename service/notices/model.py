"""The nouns of notices: subscribers, deliveries, attempts, and what is handed to the one who posts."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from service.events import Placed
from service.values import Id

SubscriberState = Literal["requested", "active", "error", "off"]
DeliveryState = Literal["waiting", "sent", "not-delivered"]
Channel = Literal["rest-hook", "email"]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber asks for.

    `kinds` empty means every kind. `filters` maps a key to the values that are wanted: a key of the event's data, or one
    of `FACTS`. `about` is `task` for events of a Task only. `topic`, `format` and `terms` are words of the protocol that
    renders the notices; `headers` are lines "Name: value" to send along. `secret` (Standard Webhooks, `whsec_` and
    base64) is made up when absent. At `ends_at` it ends by itself. `heartbeat` and `timeout` are seconds; `max_count` is how
    many events one notice may tell of, one where it is not said.
    """

    endpoint: str
    channel: Channel = "rest-hook"
    format: str = "json"
    topic: str = "urn:yuanshe:topic:any"
    about: Literal["any", "task"] = "any"
    kinds: tuple[str, ...] = ()
    filters: dict[str, tuple[str, ...]] = {}
    headers: tuple[str, ...] = ()
    secret: str | None = None
    terms: dict[str, Any] = {}
    ends_at: datetime | None = None
    heartbeat: int | None = None
    timeout: int | None = None
    max_count: int | None = None


FACTS = ("task", "task.status", "task.owner", "task.requester", "task.code", "request")
"""Keys of a filter that speak of the event's Task as the event left it, or of the request that the subscriber knows; each
value is an id, a status, or a code (`fulfill`, `follow-up`). For hospital and platform the parent Task counts as well."""


class Subscriber(msgspec.Struct, frozen=True, kw_only=True):
    """One who is told of events. Its secret is not here, so that no list and no log can show it.

    `event_number` counts the events that concerned it since it subscribed, delivered or not. `scopes` are what its client
    was allowed when it asked.
    """

    id: Id
    organization: Id
    client: Id
    whole_network: bool
    state: SubscriberState
    endpoint: str
    headers: tuple[str, ...]
    format: str
    topic: str
    about: str
    kinds: tuple[str, ...]
    filters: dict[str, tuple[str, ...]]
    event_number: int
    failures: int
    last_error: str | None
    created_at: datetime
    changed_at: datetime
    version: int
    ends_at: datetime | None
    terms: dict[str, Any]
    channel: Channel = "rest-hook"
    scopes: tuple[str, ...] = ()
    heartbeat: int | None = None
    timeout: int | None = None
    max_count: int | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell one subscriber; `event` is None in a handshake and in a heartbeat.

    `number` is its place among the subscriber's events, `attempts` how many posts have failed. `task`, `parent` and
    `request` are what the subscriber may be referred to; an agency never learns the parent or the placer's request here.
    `batch` names the one post that tells of several.
    """

    delivery: Id
    number: int
    attempts: int
    created_at: datetime
    subscriber: Subscriber
    event: Placed | None
    task: Id | None = None
    parent: Id | None = None
    request: Id | None = None
    batch: Id | None = None
    heartbeat: bool = False


class Outgoing(msgspec.Struct, frozen=True):
    """What this worker has taken and must send in one go, with the secret that signs it: a notice, and `more` behind it
    where the subscriber takes several events at a time."""

    notice: Notice
    secret: str
    more: tuple[Notice, ...] = ()

    @property
    def notices(self) -> tuple[Notice, ...]:
        return (self.notice, *self.more)

    @property
    def id(self) -> Id:
        """Its webhook-id: the same at every attempt."""
        return self.notice.batch or self.notice.delivery

    def __repr__(self) -> str:
        return f"Outgoing({self.id})"


class Message(msgspec.Struct, frozen=True):
    """Notices as they are sent. By mail `text` is what a person reads, and `body`, where there is one, is attached."""

    content_type: str
    body: bytes
    text: str = ""
    subject: str = ""
    """Of a mail that is not to look like the others in a list."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt: the status of HTTP or SMTP, or a word of ours when there was none.

    `retry_after` is what the subscriber asked for, in seconds; `final` says that to try again is in vain. `took` is in
    milliseconds.
    """

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    final: bool = False
    took: int | None = None

    @property
    def arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """There is nobody at the endpoint any more (410, Standard Webhooks; a mailbox that is refused for good)."""
        return self.status == 410 or self.final


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One notice and how it fares, as shown to those who look after it. `to` is the endpoint without its path."""

    id: Id
    subscriber: Id
    organization: Id
    to: str
    number: int
    position: int | None
    kind: str
    referral: Id | None
    task: Id | None
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    withheld: str | None = None
    """The rule (urn:yuanshe:contact-rule) for which it was told by ids alone, or without the person, when last sent."""


class Attempt(msgspec.Struct, frozen=True):
    """A post and what came of it (`what` = post), or a person's wish to send again (`resend`)."""

    at: datetime
    what: Literal["post", "resend"]
    status: int | None
    error: str | None
    by_name: str | None
    took: int | None = None
    """Milliseconds until it was answered or given up."""
