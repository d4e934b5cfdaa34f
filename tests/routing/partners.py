"""Partners as the directory might know them: everything in order, until a test says otherwise."""

import uuid
from typing import Any

from service.routing.model import Need, Prospect

HOSPITAL = uuid.UUID(int=1)
REFERRAL = uuid.UUID(int=2)
DECISION = uuid.UUID(int=3)


def need(**said: Any) -> Need:
    return Need(**({"hospital": HOSPITAL, "needs": ("N05",), "region": "520502001"} | said))


def partner(number: int = 100, **said: Any) -> Prospect:
    """The agency of this number, eligible for `need()` unless `said` makes it otherwise."""
    good: dict[str, Any] = {
        "agency": uuid.UUID(int=number),
        "partnership": uuid.UUID(int=number + 1_000_000),
        "begun": True,
        "ended": False,
        "distance": 0,
        "rank": 1,
        "mode": "sequence",
        "reply_limits": None,
        "partnership_needs": frozenset({"N01", "N05"}),
        "service": uuid.UUID(int=number + 2_000_000),
        "service_needs": frozenset({"N01", "N05"}),
        "regions": ("520502",),
        "capacity_status": "capacity",
        "places": 10,
        "free": True,
        "licensed": True,
        "active": True,
        "status": "accredited",
        "ready": True,
        "co_supervised": False,
        "protection_qualified": False,
    }
    return Prospect(**(good | said))
