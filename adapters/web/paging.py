"""Where the next page of a list begins, as an address carries it: behind the row with this time and id, which name nobody."""

import base64
from datetime import UTC, datetime, timedelta

from service.values import Id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = b"\xff" * 8
"""In place of a time: no clock runs."""

Place = tuple[datetime | None, Id]


def written(after: Place | None) -> str | None:
    """The place as a link carries it."""
    if after is None:
        return None
    at, id = after
    began = NEVER if at is None else ((at - EPOCH) // timedelta(microseconds=1)).to_bytes(8, "big")
    return base64.urlsafe_b64encode(began + id.bytes).decode()


def place(written: str | None) -> Place | None:
    """Where a page begins; a link that is none of ours begins at the beginning."""
    try:
        raw = base64.urlsafe_b64decode((written or "").encode())
        at = None if raw[:8] == NEVER else EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big"))
        return at, Id(bytes=raw[8:])
    except (ValueError, OverflowError):
        return None


def timed(written: str | None) -> tuple[datetime, Id] | None:
    """The same in a list of which every row has a time."""
    match place(written):
        case (datetime() as at, id):
            return at, id
        case _:
            return None
