"""Consents to disclose, lawful bases, and the disclosures that they opened."""

from datetime import datetime
from typing import Literal

import msgspec

from service.values import Id

Kind = Literal["consent", "legal-duty", "emergency"]


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
