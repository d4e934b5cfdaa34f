"""Which row of the table a method and an address mean: what the table does not hold is nowhere, or not by that method."""

import msgspec

from adapters.fhir.exchange import Refused405
from adapters.fhir.references import as_id
from adapters.fhir.surface import SURFACE
from adapters.fhir.ways import SYSTEM, Level, Sides, Way
from service.access.model import Actor, Call
from service.access.scopes import may
from service.errors import Forbidden, NotFound


class Place(msgspec.Struct, frozen=True):
    """What is asked of what: `type` is empty where the whole service is meant, `id` as it stands in the address;
    `words`: what the stars of the way's tail stand for."""

    way: Way
    type: str = ""
    id: str | None = None
    words: tuple[str, ...] = ()

    @property
    def sides(self) -> Sides:
        return SURFACE[self.type].sides(self.way) if self.type else self.way.who

    def permit(self, actor: Actor) -> None:
        """Raise Forbidden where the token's scopes do not allow this, or where it is not for the actor's side."""
        if self.way.letter and not may(actor, self.type or "*", self.way.letter):
            what = f" on {self.type}" if self.type else ""
            raise Forbidden(
                f"The token's scopes do not allow this{what}.", at=self.type or None, key="insufficient-scope"
            )
        if actor.side not in self.sides:
            raise Forbidden(f"This is for the {' or '.join(self.sides)}.", at=self.type or None, key="wrong-actor")

    def call(self) -> Call:
        """Its audit line, as far as the address tells."""
        name = self.way.name.removeprefix("$")
        one = as_id(self.id) if self.id else None
        match self.way.name:
            case "create":
                return Call("C", "create", self.type)
            case "update" | "patch":
                return Call("U", "put" if name == "update" else "patch", self.type, one)
            case "search-type":
                return Call("E", "search", self.type)
            case "history-type":
                return Call("E", name, self.type)
            case _ if one and not self.way.affects:
                return Call("R", name.removesuffix("-instance"), self.type, one)
            case _:
                return Call("E", name, self.type or None, one)


def find(method: str, path: tuple[str, ...]) -> Place:
    """The row of the table. Raises NotFound (`not-supported`) where nothing stands at the address, Refused405 where
    something does that is asked by other methods."""
    type, id, tail = _parts(path)
    level: Level = "instance" if id is not None else "type" if type else "system"
    here = [
        (way, words)
        for way in (SURFACE[type].ways if type else SYSTEM)
        if level in way.levels and (words := _fits(way.words, tail)) is not None
    ]
    for way, words in here:
        if method in way.methods:
            return Place(way, type, id, words)
    if here:
        allowed = tuple(dict.fromkeys(method for way, _ in here for method in way.methods))
        raise Refused405(_why(method, type), allowed)
    raise NotFound("There is nothing at this address.", code="not-supported")


def methods(path: tuple[str, ...]) -> tuple[str, ...]:
    """What may be asked of an address, for OPTIONS (RFC 9110, 9.3.7). Raises NotFound where nothing stands there."""
    try:
        find("OPTIONS", path)
    except Refused405 as refusal:
        return (*refusal.allow, "OPTIONS")
    raise AssertionError("OPTIONS is in no row of the table")


def _parts(path: tuple[str, ...]) -> tuple[str, str | None, tuple[str, ...]]:
    if not path or path[0][0] in "$_" or path[0] == "metadata":
        return "", None, path
    type, rest = path[0], path[1:]
    if type not in SURFACE:
        # What stands there is not repeated: it could be anything that somebody typed, a name too.
        raise NotFound(
            "This server has no resources of that type; /metadata lists those that it has.", code="not-supported"
        )
    return (type, rest[0], rest[1:]) if rest and rest[0][0] not in "$_" else (type, None, rest)


def _fits(wanted: tuple[str, ...], tail: tuple[str, ...]) -> tuple[str, ...] | None:
    """What the stars stand for; None where the tail is another one."""
    if len(wanted) != len(tail):
        return None
    if any(word != want if want != "*" else word[0] in "$_" for want, word in zip(wanted, tail, strict=True)):
        return None
    return tuple(word for want, word in zip(wanted, tail, strict=True) if want == "*")


def _why(method: str, type: str) -> str:
    if method == "DELETE" and type == "Subscription":
        return "Nothing is deleted here; a Subscription is ended by an update to the status off."
    if method == "DELETE":
        return "Nothing is deleted here; a referral is voided with status entered-in-error."
    if not type and method == "GET":
        return "There is no search over all types; search one of them."
    return "This is not done at this address; see Allow."
