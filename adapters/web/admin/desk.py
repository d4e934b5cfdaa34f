"""What the administrator's pages share: their rooms, who may enter, lists that go on behind a key, words of states."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from adapters.web import shell
from adapters.web.shell import Asked, Page, Person
from adapters.web.speech import Speech, noted
from service import codes
from service.directory.model import Organization
from service.errors import Forbidden

AT_A_TIME = 50
LONGEST_FILTER = 100

ROOMS: tuple[tuple[str, str], ...] = (
    ("/admin", noted("概览")),
    ("/admin/organizations", noted("机构名录")),
    ("/admin/partnerships", noted("合作协议")),
    ("/admin/services", noted("服务与名额")),
    ("/admin/workers", noted("社工与证书")),
    ("/admin/accounts", noted("账号")),
    ("/admin/clients", noted("接口程序")),
    ("/admin/subscriptions", noted("订阅与投递")),
    ("/admin/hl7", noted("HL7 收件箱")),
    ("/admin/routing", noted("派单规则")),
    ("/audit", noted("审计")),
)
"""The administrator's rooms: address and name."""


def permit(who: Person) -> None:
    """Raise Forbidden for anybody but an administrator. Called within the transaction, so that the attempt is in the audit."""
    if who.actor.role != "administrator":
        raise Forbidden("This page is the administrator's.", key="platform-only")


def page(
    request: Asked, template: str, who: Person, *, title: str, status: int = 200, room: str = "", **said: Any
) -> Page:
    """A page of the administrator's: `room` is the address of the room that it stands in."""
    rooms = ROOMS if who.actor.role == "administrator" else ()

    def options(system: str) -> list[tuple[str, str]]:
        return [(code, who.speech.code(system, code)) for code in codes.LISTS[system].codes]

    return shell.page(
        request, f"admin/{template}", who, who.speech, status=status, title=title, rooms=rooms, room=room or request.url.path,
        options=options, **({"fault": None} | said),
    )  # fmt: skip


def text(request: Asked, name: str) -> str:
    """What a filter of the address says, no longer than anybody types."""
    return (request.query_params.get(name) or "").replace("\x00", "").strip()[:LONGEST_FILTER]


def number_of(written: str | None) -> int | None:
    """A number of ours in an address, if it is one."""
    return int(written) if written and written.isascii() and written.isdigit() and len(written) < 19 else None


def among(written: str, known: Any) -> str:
    """The word, if it is one that is known."""
    return written if written in known else ""


def ago(at: datetime | None, now: datetime, speech: Speech) -> str:
    """How long ago, as people say it: 3 小时前."""
    if at is None:
        return speech.gettext("从未")
    return speech.gettext("%(time)s前") % {"time": speech.lasting((now - at).total_seconds())}


def named(choice: Iterable[Organization], kinds: Collection[str], speech: Speech) -> list[tuple[str, str]]:
    """Organisations of these kinds to choose from: key and name."""
    return [(each.key, speech.name(each)) for each in choice if each.kind in kinds and each.active]
