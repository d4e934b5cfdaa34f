"""Nouns of the reports."""

from datetime import date, datetime

import msgspec

from service.quality.model import Followed
from service.values import Id


class Measure(msgspec.Struct, frozen=True):
    """What a figure says: its name, the question that it answers, how it is reckoned, and whose rule that is."""

    code: str
    zh: str
    en: str
    question_zh: str
    question_en: str
    formula_zh: str
    formula_en: str
    source: str


class Week(msgspec.Struct, frozen=True):
    """A week from Monday (China's time): referrals `received`; those `offered` to an agency for the first time in the period,
    and how many of these were `accepted` by anybody since. `received` is 0 for an agency, which hears of offers alone."""

    week: date
    received: int
    offered: int
    accepted: int


class Contact(msgspec.Struct, frozen=True):
    """Shares accepted in a week: how many were `contacted` since, how many of these `in_time`; the hours from acceptance to
    the start of service, as median and 90th percentile of those contacted."""

    week: date
    accepted: int
    contacted: int
    in_time: int
    median: float | None
    ninetieth: float | None


class Capacity(msgspec.Struct, frozen=True):
    """An agency's places, how many are held by open shares, and when the oldest of its figures was confirmed."""

    agency: Id
    places: int
    taken: int
    confirmed_at: datetime


class Declined(msgspec.Struct, frozen=True):
    """How often an agency declined for a reason (a code of urn:yuanshe:decline-reason; None: none was given)."""

    agency: Id
    reason: str | None
    count: int


class Report(msgspec.Struct, frozen=True):
    """The figures of the days `first` to `last`, both included, as one side may see them."""

    first: date
    last: date
    weeks: tuple[Week, ...]
    contacts: tuple[Contact, ...]
    limits: dict[str, int]
    """Hours to the first contact by urgency, as this service has them configured."""
    capacities: tuple[Capacity, ...]
    followed: tuple[Followed, ...]
    declined: tuple[Declined, ...]
