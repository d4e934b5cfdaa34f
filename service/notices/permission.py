"""Decides what of an event may be told in full at the moment of sending, whatever was allowed when it was queued; pure.

Nothing of a person waits in a queue: a notice is a row of ids until it is sent, and only then is anything read. So the rules
are asked once, at the last moment, and what they forbid by then is told by its id alone.
"""

from collections.abc import Collection

import msgspec

from service.safety.contact import ANY, ContactRules, on_referral


class Standing(msgspec.Struct, frozen=True):
    """How things stand with the person of one event as it is sent: `sealed` is said of the event, `disclosed_then` and
    `disclosed_now` of the subscriber's agency (both true for a hospital and the platform)."""

    sealed: bool = False
    disclosed_then: bool = True
    disclosed_now: bool = True
    deceased: bool = False
    rules: ContactRules = ANY
    needs: tuple[str, ...] = ()
    prohibited: bool = False


def withholds(standing: Standing) -> str | None:
    """The rule (urn:yuanshe:contact-rule) for which something is not told, or None.

    What is sealed is never notified. The resources of somebody who must not be contacted, or only as a supervisor decides,
    may hold a telephone number or an address: they stay where they are, to be read by who has a reason to. Nothing more is
    pushed about the dead; whose identity is no longer disclosed is not named.
    """
    if standing.sealed:
        return "sealed"
    if standing.disclosed_then and not standing.disclosed_now:
        return "not-disclosed"
    rules = on_referral(standing.rules, standing.needs, prohibited=standing.prohibited)
    if rules.guarded:
        return "contact-prohibited" if rules.prohibited else "supervisor-decides"
    if standing.deceased:
        return "deceased"
    return None


UNNAMED: Collection[str] = frozenset({"not-disclosed"})
"""What an agency may read by then holds nobody's identity, so that is what it is sent; for every other rule, ids alone."""


def in_full(rule: str | None) -> bool:
    """Whether resources go along at all."""
    return rule is None or rule in UNNAMED
