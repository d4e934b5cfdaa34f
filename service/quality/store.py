"""SQL of what is looked at across cases."""

from service.db import Session
from service.quality.model import Orphan
from service.values import Id

_ORPHANS = """
SELECT o.id, o.agency_id, o.task_id, c.phase, o.kind, o.since, o.subject_id, o.need
FROM case_orphan o JOIN case_file c ON c.id = o.case_id
WHERE {whose} AND o.id > $1 ORDER BY o.id LIMIT $2
"""
ORPHANS = _ORPHANS.format(whose="true")
ORPHANS_OF = _ORPHANS.format(whose="o.agency_id = $3")

FIRST = Id(int=0)
"""Before every id."""


async def orphans(session: Session, agency: Id | None, after: Id | None, limit: int) -> list[Orphan]:
    """Broken links of one agency's cases, or of all, oldest first, behind the row `after`."""
    if agency is None:
        rows = await session.fetch(ORPHANS, after or FIRST, limit)
    else:
        rows = await session.fetch(ORPHANS_OF, after or FIRST, limit, agency)
    return [Orphan(*row) for row in rows]
