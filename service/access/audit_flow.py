"""What an auditor asks of the audit: lines by time, by who, by whose data; each shows once it has its place in the chain."""

from collections.abc import Sequence

from service.access import finding
from service.access.flow import permit_audit
from service.access.model import Actor, Link
from service.db import Session
from service.db.finding import After, Condition, Order


async def lines(
    session: Session,
    actor: Actor,
    conditions: Sequence[Condition],
    limit: int,
    after: After | None = None,
    order: Order | None = None,
) -> list[Link]:
    """One page of the lines that fit. Raises Forbidden for anybody but an auditor."""
    permit_audit(actor)
    return await finding.lines(session, conditions, limit, after, order)


async def count(session: Session, actor: Actor, conditions: Sequence[Condition]) -> int:
    """How many fit, counted up to the limit of every search. Raises Forbidden."""
    permit_audit(actor)
    return await finding.count_lines(session, conditions)
