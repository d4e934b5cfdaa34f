"""The hard rules: may this partner be offered this need, today? A fact that nobody knows makes a rule unknown, never passed."""

from functools import lru_cache

from service.codes import OTHER_NEED
from service.directory.regions import covering
from service.routing.model import Need, Prospect, RuleResult, Verdict
from service.routing.words import RULES


def partnership(need: Need, it: Prospect) -> str:
    if it.ended:
        return "ended"
    return "in-force" if it.begun else "not-begun"


def served(need: Need, wanted: frozenset[str], it: Prospect) -> str:
    """Partnership and service must each serve every need. `N99` is a need that nobody coded, so nobody can tell."""
    if it.service is None:
        return "no-service"
    return serving(wanted, it.partnership_needs, it.service_needs)


def serving(wanted: frozenset[str], partnership: frozenset[str], service: frozenset[str]) -> str:
    """What the needs of a partnership and of a service say to those that are wanted."""
    agreed, offered = wanted <= partnership, wanted <= service
    if agreed and offered:
        return "served"
    coded = wanted - {OTHER_NEED}
    if coded != wanted and coded <= partnership and coded <= service:
        return "uncoded"
    return "not-offered" if agreed else "not-agreed"


def region(need: Need, it: Prospect) -> tuple[str, int]:
    """The rule, and how many digits of the person's code the longest covered one covers (domain f-3)."""
    if need.region is None:
        return "no-region", 0
    prefix = covering(it.regions, need.region)
    if prefix > 0:
        return "covered", prefix
    return ("coarse", 0) if prefix < 0 else ("outside", 0)


_SAID = {"no-capacity": "no-capacity", "waitlist": "waitlist", "additional-assessment-required": "assessment"}


def capacity(need: Need, it: Prospect) -> str:
    if it.service is None:
        return "no-service"
    said = _SAID.get(it.capacity_status or "")
    if said in ("no-capacity", "waitlist"):
        return said
    return (said or "free") if it.free else "full"


def ready(need: Need, it: Prospect) -> str:
    """An incubating agency accepts only with a co-supervisor (domain a-33); a missing item makes it not ready (a-7)."""
    if not it.active:
        return "inactive"
    if it.status == "suspended":
        return "suspended"
    if not it.ready:
        return "not-ready"
    if it.status == "incubating":
        return "co-supervised" if it.co_supervised else "incubating"
    return "ready"


def protection(need: Need, it: Prospect) -> str:
    if not need.safety:
        return "not-asked"
    return "qualified" if it.protection_qualified else "unqualified"


def judge(need: Need, wanted: frozenset[str], it: Prospect) -> tuple[Verdict, int]:
    """Ask every rule of one partner; `wanted` is the need's needs as a set. With the verdict, the prefix covered."""
    where, prefix = region(need, it)
    return verdict_of(
        partnership(need, it),
        served(need, wanted, it),
        where,
        capacity(need, it),
        "licensed" if it.licensed else "unlicensed",
        ready(need, it),
        protection(need, it),
        "tried" if it.agency in need.exclude else "first",
    ), prefix


# Verdicts are few and partners many: each is built once.
@lru_cache(maxsize=16384)
def verdict_of(*keys: str) -> Verdict:
    """What the rules together say, a key of each in their order."""
    rules = tuple(
        RuleResult(name, says[key][0], key)  # type: ignore[arg-type]
        for (name, says), key in zip(RULES.items(), keys, strict=True)
    )
    results = {rule.result for rule in rules}
    return Verdict(rules, eligible=results == {"pass"}, open="unknown" in results and "fail" not in results)
