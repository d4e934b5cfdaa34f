"""What a look across cases finds."""

from datetime import datetime

import msgspec

from service.values import Id


class Orphan(msgspec.Struct, frozen=True):
    """A broken link in one case, a code of urn:yuanshe:case-orphan; no person is in it. `since` when it was noticed first."""

    id: Id
    agency: Id
    task: Id
    phase: str
    kind: str
    since: datetime
    subject: Id | None = None
    need: str | None = None
