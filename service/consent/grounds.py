"""Which agencies a referral may be disclosed to, and on what ground; pure."""

from collections.abc import Iterable
from datetime import date, datetime

from service.consent.model import Consent
from service.errors import Issue
from service.values import Id, age_on, local_day

GUARDIAN_UNTIL = 14
"""Below this age a parent or guardian consents (PIPL art. 31)."""


def permits(consent: Consent, referral: Id, now: datetime) -> bool:
    """Whether this consent or basis is in force for the referral."""
    return (
        consent.active
        and consent.discloses
        and (not consent.referrals or referral in consent.referrals)
        and (consent.valid_from is None or consent.valid_from <= now)
        and (consent.valid_to is None or now <= consent.valid_to)
    )


def next_change(consent: Consent, now: datetime) -> datetime | None:
    """When time alone will change what this consent permits: as its period begins, then as it ends."""
    if not (consent.active and consent.discloses):
        return None
    # A period begins and ends with the instants that it names.
    if consent.valid_from is not None and consent.valid_from > now:
        return consent.valid_from
    return consent.valid_to if consent.valid_to is not None and consent.valid_to >= now else None


def permitted(consents: Iterable[Consent], referral: Id, now: datetime) -> dict[Id, Consent]:
    """Agency → the ground on which identity may be disclosed to it. There is no blanket consent: only agencies named."""
    found: dict[Id, Consent] = {}
    for consent in sorted(consents, key=lambda c: (c.recorded_at, c.id)):
        if permits(consent, referral, now):
            for agency in consent.agencies:
                found.setdefault(agency, consent)
    return found


def faults(consent: Consent, birth_date: date | None, now: datetime) -> tuple[Issue, ...]:
    """What is wrong with a consent: nobody named, or signed by a child under 14 (domain f-6)."""
    found: list[Issue] = []
    if consent.kind == "consent" and consent.discloses and consent.active and not consent.agencies:
        found.append(Issue("A consent names the agencies that the signer was shown.", "provision.actor", "required"))
    child = birth_date is not None and age_on(birth_date, local_day(now)) < GUARDIAN_UNTIL
    if (
        child
        and consent.active
        and (consent.signer == "patient" or (consent.discloses and consent.signer != "related"))
    ):
        found.append(
            Issue(
                "A child under 14 does not sign: a parent or guardian (RelatedPerson) is the performer.",
                "performer",
                "business-rule",
            )
        )
    return tuple(found)
