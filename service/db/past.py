"""Pages of what has been: where a page of versions goes on, newest first."""

from datetime import datetime

import msgspec

from service.values import Id


class Behind(msgspec.Struct, frozen=True):
    """A place among versions in the order of their times, ids and numbers: a page holds what comes before it in time, and
    is itself bounded by `since`, inclusive. The first page is behind the horizon: no version can come to lie there later."""

    at: datetime
    since: datetime
    id: Id = Id(int=0)
    version: int = 0
