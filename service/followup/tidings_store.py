"""SQL of how new what is told of persons and stays is."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from service.db import Session
from service.followup.tidings import Times
from service.values import Id


class Known(msgspec.Struct, frozen=True):
    """When each fact had happened, and the resource as it was last received."""

    told: Times = {}
    body: bytes | None = None


_times = msgspec.json.Decoder(dict[str, datetime])

KNOWN = """
SELECT s.id, t.at, r.body FROM unnest($1::uuid[]) AS s(id)
LEFT JOIN told t ON t.subject_id = s.id LEFT JOIN record r ON r.id = s.id AND r.current
"""


async def known(session: Session, subjects: Sequence[Id]) -> dict[Id, Known]:
    """What is known of these persons and stays; asked once their rows are locked."""
    if not subjects:
        return {}
    return {
        row["id"]: Known(
            _times.decode(row["at"]) if row["at"] else {}, row["body"].encode() if row["body"] is not None else None
        )
        for row in await session.fetch(KNOWN, list(subjects))
    }


TELL = """
INSERT INTO told (subject_id, hospital_id, at) SELECT n.id, $1, n.at FROM unnest($2::uuid[], $3::json[]) AS n(id, at)
ON CONFLICT (subject_id) DO UPDATE SET at = excluded.at
"""


async def tell(session: Session, hospital: Id, times: Mapping[Id, Times]) -> None:
    """Keep when the facts of these persons and stays had happened."""
    if times:
        written = [msgspec.json.encode(each).decode() for each in times.values()]
        await session.execute(TELL, hospital, list(times), written)


OPEN_STAYS = """
SELECT id FROM stay WHERE patient_id = $1 AND hospital_id = $2 AND status NOT IN ('finished', 'cancelled', 'entered-in-error')
AND ($3 IS FALSE OR number IS NULL) ORDER BY id LIMIT 2
"""


async def open_stays(session: Session, patient: Id, hospital: Id, *, unnumbered: bool = False) -> list[Id]:
    """The person's stays that have not ended, or those of them that have no number: none, one, or two of several."""
    return [row["id"] for row in await session.fetch(OPEN_STAYS, patient, hospital, unnumbered)]
