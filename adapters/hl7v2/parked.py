"""What a person does with a parked message at a page: it is handed to the pages by `app.py`, since protocols do not import one another."""

from pathlib import Path

from adapters.hl7v2 import handling, replaying, senders
from adapters.hl7v2.senders import Known
from service.access.model import Actor
from service.db import Session
from service.errors import Invalid, Refusal, SetupError
from service.records import model
from service.values import Id


class Parked:
    """Replays parked messages by the configuration as it is at that moment: whoever has just mended it need not start anything anew."""

    def __init__(self, configuration: Path | None) -> None:
        self._configuration = configuration

    @property
    def configured(self) -> bool:
        """Whether this server knows the configuration of the interface."""
        return self._configuration is not None

    async def replay(self, session: Session, actor: Actor, id: Id) -> model.Message:
        """Apply it as it came. Raises Refusal: then it stays parked."""
        return await replaying.replay(session, actor, id, await self._known(session))

    async def mend(self, session: Session, actor: Actor, id: Id, text: str, why: str) -> model.Message:
        """Apply a mended text in its place. Raises Refusal: then it stays parked."""
        return await replaying.mend(session, actor, id, text, why, await self._known(session))

    async def stays(self, session: Session, actor: Actor, id: Id, refused: Refusal) -> None:
        """It was refused again: for this from now on."""
        await replaying.still_parked(session, actor, id, replaying.fault_of(refused))

    def legible(self, body: bytes) -> str:
        """What it says, a segment a line."""
        return replaying.legible(body)

    async def _known(self, session: Session) -> dict[str, Known]:
        if self._configuration is None:
            raise Invalid("This server does not know the configuration of the interface.", key="hl7-not-configured")
        try:
            return await handling.known_in(session, senders.load(self._configuration).sender)
        except SetupError:
            raise Invalid("The configuration of the interface cannot be used.", key="hl7-configuration") from None
