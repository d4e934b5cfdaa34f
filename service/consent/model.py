"""Consents to disclose, lawful bases, and the disclosures that they opened."""

from datetime import datetime
from typing import Literal

import msgspec

from service.values import Id

Kind = Literal["consent", "legal-duty", "emergency", "break-glass"]
BASES = frozenset({"legal-duty", "emergency"})
"""Lawful bases, which stand in place of a consent; a broken glass stands in place of nothing."""


class Consent(msgspec.Struct, frozen=True):
    """A person's consent that names agencies, or a lawful basis in its place (`kind`).

    `referrals` empty: every referral of the patient from that hospital in the period. `discloses` is False for a Consent
    of another category (to treat, to process), which never opens identity.
    """

    id: Id
    hospital: Id
    patient: Id
    version: int
    kind: Kind
    active: bool
    discloses: bool
    agencies: tuple[Id, ...]
    referrals: tuple[Id, ...]
    signer: Literal["patient", "related", "staff"]
    recorded_by: Id
    recorded_at: datetime
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    spoken: bool = False
    reason_text: str | None = None
    received: int = 1
    confined: tuple[Id, ...] | None = None
    """Of a record that was merged: the only referrals that it can open, those of the record on which it was given."""
    purposes: tuple[str, ...] = ()
    """What it was given for, as codes (v3-ActReason, urn:yuanshe:purpose); empty: what a referral is for."""
    withheld: tuple[str, ...] = ()
    """Categories of data that the signer did not agree to share (`categories.py`)."""
    witness: str | None = None
    """Type/id of who heard a spoken consent."""
    decided_by: str | None = None
    """Of a lawful basis or a broken glass: Type/id of the supervisor who decided; None: who recorded it did."""


class Related(msgspec.Struct, frozen=True):
    """A person around a patient, by marks alone (`marks.py`). Whether they are suspected of harm is sealed."""

    id: Id
    hospital: Id
    patient: Id
    suspected: bool
    marks: tuple[bytes, ...]
    at: datetime


class Conflict(msgspec.Struct, frozen=True):
    """Somebody whom a worker may not serve, as the worker declared: by marks alone."""

    id: Id
    agency: Id
    worker: Id
    marks: tuple[bytes, ...]
    declared_by: Id
    declared_at: datetime


class Reveal(msgspec.Struct, frozen=True):
    """A full citizen number was shown to an agency, and why."""

    id: Id
    referral: Id
    patient: Id
    hospital: Id
    agency: Id
    actor: Id
    role: str
    reason: str
    at: datetime


class Disclosure(msgspec.Struct, frozen=True):
    """One opening of a person to an agency: for which referral, on what ground, without which categories, from when to when."""

    id: Id
    referral: Id
    patient: Id
    agency: Id
    basis: Kind
    basis_id: Id
    opened_at: datetime
    closed_at: datetime | None = None
    withheld: tuple[str, ...] = ()
    until: datetime | None = None
