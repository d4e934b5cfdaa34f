"""`yuanshe hand-over`: a person's work goes to a colleague, and back; for whoever runs the service when nobody else can."""

from datetime import datetime

import click

from adapters.commands import operated
from service.access.model import Call, clock_actor
from service.casework import handing_over_flow as flow
from service.casework.handing_over import Handing, HandOver, NewHandOver
from service.codes import ABSENCE_REASON, LISTS
from service.db import Session
from service.directory import store as directory
from service.errors import Refusal, SetupError
from service.practice import PLATFORM
from service.values import SHANGHAI, Id

ACTOR = clock_actor(PLATFORM)
DAYS = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"])


@click.command("hand-over")
@click.argument("absent")
@click.argument("colleague", required=False)
@click.option("--reason", type=click.Choice(LISTS[ABSENCE_REASON].codes), default="other", show_default=True)
@click.option("--from", "starts", type=DAYS, help="When it begins (Shanghai); else at once.")
@click.option("--until", "ends", type=DAYS, help="When what is still open goes back; else for good, or until --back.")
@click.option("--dry-run", is_flag=True, help="Only say what would be moved, and what stands in the way.")
@click.option("--back", is_flag=True, help="The person is back.")
def command(
    absent: str, colleague: str | None, reason: str, starts: datetime | None, ends: datetime | None, dry_run: bool, back: bool
) -> None:  # fmt: skip
    """Give all that names ABSENT to COLLEAGUE (both by their keys in workers.csv), in one act."""
    if back == bool(colleague):
        raise SetupError("Name the colleague who takes the work over, or say --back.")

    async def act(session: Session) -> Handing | HandOver:
        who = await _worker(session, absent)
        if not colleague:
            return await flow.come_back(session, ACTOR, who, session.began)
        new = NewHandOver(who, await _worker(session, colleague), reason, _here(starts), _here(ends))
        return await flow.hand_over(session, ACTOR, new, session.began, dry_run=dry_run)

    try:
        done = operated.run(Call("E", "hand-over"), act)
    except Refusal as refusal:
        raise SetupError(" ".join(issue.text for issue in refusal.issues)) from None
    if isinstance(done, HandOver):
        click.echo(f"{done.state}: {done.given_back} went back.")
        return
    click.echo(f"{'would move' if dry_run else done.hand_over.state}: {len(done.items)} Tasks.")
    for issue in done.refused:
        click.echo(f"refused: {issue.text} ({issue.at})")


async def _worker(session: Session, key: str) -> Id:
    found = await directory.worker_by_key(session, key)
    if found is None:
        raise SetupError(f"There is no worker {key!r} in the directory.")
    return found


def _here(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=SHANGHAI) if at else None
