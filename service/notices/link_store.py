"""SQL of the links by which an agency answers."""

from collections.abc import Sequence
from datetime import datetime

from asyncpg import Record as Row

from service.db import Session
from service.notices.links import AnswerLink
from service.values import Id

LINK = "id, subscriber_id AS subscriber, delivery_id AS delivery, task_id AS task, agency_id AS agency, action, made_at, expires_at, used_at"

# A notice that is sent again carries the same links; what the offer's limit has become since holds for them, too.
KEEP = """
INSERT INTO answer_link (hash, id, subscriber_id, delivery_id, task_id, agency_id, action, made_at, expires_at)
SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::timestamptz[],
                     $9::timestamptz[])
ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at WHERE answer_link.used_at IS NULL
"""


async def keep(session: Session, made: Sequence[tuple[bytes, AnswerLink]]) -> None:
    """Store links under the hashes of their tokens, or give those that are known their new end."""
    if made:
        links = [link for _, link in made]
        await session.execute(
            KEEP, [hash for hash, _ in made], [one.id for one in links], [one.subscriber for one in links],
            [one.delivery for one in links], [one.task for one in links], [one.agency for one in links],
            [one.action for one in links], [one.made_at for one in links], [one.expires_at for one in links],
        )  # fmt: skip


FIND = f"SELECT {LINK} FROM answer_link WHERE hash = $1"


async def find(session: Session, hash: bytes) -> AnswerLink | None:
    """The link whose token has this hash."""
    return _link(await session.fetchrow(FIND, hash))


READ = f"SELECT {LINK} FROM answer_link WHERE id = $1"


async def read(session: Session, id: Id) -> AnswerLink | None:
    """The link as it stands now."""
    return _link(await session.fetchrow(READ, id))


USE = "UPDATE answer_link SET used_at = $2 WHERE id = $1 AND used_at IS NULL"


async def use(session: Session, id: Id, now: datetime) -> bool:
    """Use it up, if nobody has; who tries at the same moment waits to hear."""
    return await session.execute(USE, id, now) == "UPDATE 1"


SECRET = "SELECT secret, state <> 'off' AS listens FROM subscriber WHERE id = $1"


async def mailbox(session: Session, subscriber: Id) -> tuple[str, bool]:
    """What signs the links of a mailbox, and whether it still gets notices. Needs the agency's or the platform's scope."""
    row = await session.fetchrow(SECRET, subscriber)
    return (row["secret"], row["listens"]) if row else ("", False)


FORGET = "DELETE FROM answer_link WHERE hash IN (SELECT hash FROM answer_link WHERE expires_at < $1 LIMIT 1000)"


async def forget(session: Session, before: datetime) -> int:
    """Drop links that ended before then; how many of the first thousand."""
    return int((await session.execute(FORGET, before)).rpartition(" ")[2])


def _link(row: Row | None) -> AnswerLink | None:
    return AnswerLink(**dict(row)) if row else None
