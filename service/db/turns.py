"""One at a time: transactions that would look and then write take turns."""

import hashlib

from service.db import Session

WAIT = "SELECT pg_advisory_xact_lock($1)"


async def wait(session: Session, *what: str) -> None:
    """Wait until no other transaction holds the turn for this; it is held until the transaction ends. What is looked for
    after that sees whatever the one before wrote."""
    digest = hashlib.sha256("\0".join(what).encode("utf-8", "replace")).digest()
    await session.fetchval(WAIT, int.from_bytes(digest[:8], signed=True))
