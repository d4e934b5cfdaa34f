"""Searches within a search: what a reference leads to (`focus.status`), and what leads here (`_has:Task:focus:status`).

Each is one more SELECT in the same statement, so the reader's row policies hold in it as they do outside: who may not find a
thing by searching for it finds nothing by way of it.
"""

from collections.abc import Sequence

from adapters.fhir.rows import Param
from adapters.fhir.surface import SURFACE
from service.db.finding import Chosen, Condition, either
from service.directory import finding as directory_finding
from service.patients import finding as patient_finding
from service.records import finding as record_finding
from service.records.finding import RECORD
from service.referrals import finding
from service.referrals.finding import FILLED, PLACED, TASK
from service.values import Id

DIRECTORY = {
    "Organization": ("organization", directory_finding.ORGANIZATION),
    "HealthcareService": ("service", directory_finding.SERVICE),
    "PractitionerRole": ("worker", directory_finding.WORKER),
    "Practitioner": ("worker", directory_finding.WORKER),
}
MADE: dict[str, dict[str, tuple[str, ...]]] = {
    "Communication": {
        "about": ("made-referral", "made-task"),
        "based-on": ("made-referral",),
        "sender": ("made-agency",),
        "recipient": ("made-hospital",),
        "category": (),
        "sent": (),
    }
}
"""Parameters of what the service itself writes, which has no parts as received: the columns that say the same."""
FEW = frozenset({"id", "number", "phone", "born"})
"""Fields that single out a few rows."""


def reachable(type: str) -> bool:
    """Whether a chain may lead to this type."""
    return SURFACE[type].room in ("task", "request", "patient", "record") or type in DIRECTORY


def leads(type: str) -> bool:
    """Whether a chain may begin at this type: its room has to take what another search finds."""
    return SURFACE[type].room not in ("audit", "published")


def few(type: str, param: Param) -> bool:
    """Whether this parameter finds so few that what they belong to is best looked up by them."""
    return type in DIRECTORY or param.field in FEW or (param.personal and bool(param.path))


def forward(type: str, param: Param, target: str, inner: Condition, *, few: bool) -> Condition:
    """Those of the type whose reference names what `inner` finds among the target type."""
    return to(type, param, chosen=_chosen(target, inner, few=few))


def backward(source: str, param: Param, inner: Condition, *, few: bool) -> Condition:
    """Those that are referenced by what `inner` finds among the source type."""
    field = "patient" if param.field == "person" else param.field
    if SURFACE[source].room != "record":
        return Condition("id", chosen=_chosen(source, inner, field=field, few=few))
    ways = [("reaches", path) for path in param.paths] if param.path else [(field, None)]
    return either(
        *(Condition("id", chosen=_chosen(source, inner, field=way, path=path, few=few)) for way, path in ways),
        *(
            Condition("id", chosen=_chosen(source, inner, field=made, few=few))
            for made in MADE.get(source, {}).get(param.name, ())
        ),
    )


def backward_known(source: str, param: Param) -> bool:
    """Whether the room of the source can say what the reference names."""
    field = "patient" if param.field == "person" else param.field
    match SURFACE[source].room:
        case "record":
            return param.kind == "reference" and (bool(param.path) or field in RECORD)
        case "task":
            return param.kind == "reference" and TASK[field].names is not None
        case "request":
            return param.kind == "reference" and any(
                each[field].names or each[field].value for each in (PLACED, FILLED)
            )
        case _:
            return source in DIRECTORY and param.kind == "reference" and DIRECTORY[source][1][field].value is not None


def to(type: str, param: Param, ids: Sequence[Id] = (), *, chosen: tuple[Chosen, ...] = ()) -> Condition:
    """Those of the type whose reference names one of these ids, or of those chosen."""
    values = tuple(ids)
    if param.field == "person":
        own = Condition("patient", values, chosen=chosen)
        if SURFACE[type].room != "record":
            return own
        # Work of an agency hangs on its Task; that names the person, or the stand-in of its offer.
        of_task = finding.chosen_tasks([Condition("named", values, chosen=chosen)], few=True)
        return either(own, Condition("task", chosen=of_task))
    if not param.path:
        return Condition(param.field, values, chosen=chosen)
    reached = [Condition("reaches", (path,), chosen=chosen) for path in param.paths]
    return either(*reached, *(Condition(each, chosen=chosen) for each in MADE.get(type, {}).get(param.name, ())))


def shares_of(requests: Sequence[Id]) -> tuple[Chosen, ...]:
    """The shares, as far as the reader may see them, that fill these requests."""
    return finding.chosen_tasks([Condition("requested-by", tuple(requests))], few=True)


def _chosen(
    type: str, inner: Condition, *, field: str = "id", path: str | None = None, few: bool
) -> tuple[Chosen, ...]:
    match SURFACE[type].room:
        case "task":
            return finding.chosen_tasks([inner], field=field, few=few)
        case "request":
            return finding.chosen_requests([inner], field=field, few=few)
        case "patient":
            return patient_finding.chosen([inner], few=few)
        case "record":
            return record_finding.chosen([Condition("type", (type,)), inner], field=field, path=path, few=few)
        case _:
            return directory_finding.chosen(DIRECTORY[type][0], [inner], field=field)  # pyright: ignore[reportArgumentType]
