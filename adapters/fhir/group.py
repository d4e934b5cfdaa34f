"""Groups in their form: one an organisation and need, its members the people whom the reader may know there."""

from collections.abc import Sequence

from adapters.fhir import render
from adapters.fhir.render import Json
from adapters.fhir.shaping import SUBSETTED
from service import codes
from service.referrals.group_finding import Group
from service.values import Id

LISTED = 500
"""Members that a Group lists; beyond, its `quantity` tells how many there are, and `$export` gives them all."""


def version(group: Group) -> int:
    """What stands for a version of what is derived: the milliseconds of its last change."""
    return int(group.changed.timestamp() * 1000)


def show(group: Group, members: Sequence[Id]) -> Json:
    """The Group with its first members."""
    meta = render.meta(version(group), group.changed)
    if group.quantity > len(members):
        meta["tag"] = [SUBSETTED]
    label = codes.label(codes.NEED, group.need)
    return {
        "resourceType": "Group",
        "id": str(group.id),
        "meta": meta,
        "active": True,
        "type": "person",
        "actual": True,
        "name": label,
        "quantity": group.quantity,
        "managingEntity": {"reference": f"Organization/{group.organization}"},
        "characteristic": [
            {
                "code": {"coding": [{"system": codes.NEED, "code": group.need, "display": label}]},
                "valueBoolean": True,
                "exclude": False,
            }
        ],
        "member": [{"entity": {"reference": f"Patient/{member}"}} for member in members],
    }
