"""Who acts: a client program, a person, or the service's own clock."""

from typing import Literal

import msgspec

from service.db import Scope
from service.values import Id

Side = Literal["hospital", "agency", "platform", "auditor"]
"""Which side of a referral an actor stands on; `platform` is the coordinator."""

ROLES: dict[str, Side] = {
    "hospital": "hospital",
    "referrer": "hospital",
    "agency": "agency",
    "social_worker": "agency",
    "supervisor": "agency",
    "platform": "platform",
    "coordinator": "platform",
    "administrator": "platform",
    "auditor": "auditor",
}
"""Every role and its side. Client roles are hospital, agency, platform, auditor; the others are people's."""


class Actor(msgspec.Struct, frozen=True):
    """Who does it: `id` of a client or an account; `organization` whose rows it may see; `role` a word of ROLES.

    `name` is shown in timelines (a client's or a person's working name). `scopes` are SMART v2 scopes of a client.
    """

    id: Id
    kind: Literal["client", "person", "system"]
    organization: Id
    role: str
    name: str
    scopes: tuple[str, ...] = ()
    worker: Id | None = None

    @property
    def side(self) -> Side:
        return ROLES[self.role]

    @property
    def scope(self) -> Scope:
        # The coordinator's own work is every referral; an auditor sees no patient rows at all, only the audit.
        return Scope(self.organization, self.role, platform=self.side == "platform")


def clock_actor(platform: Id) -> Actor:
    """The service itself: sweeps, expiry, reminders. `platform` is the platform's organisation."""
    return Actor(platform, "system", platform, "platform", "system")
