"""The ways to ask: interactions of FHIR's REST and operations, each with its address, its methods, its scope and its sides."""

from typing import Literal

import msgspec

from service.access.model import Side
from service.access.scopes import Interaction as Letter

Level = Literal["system", "type", "instance"]
Sides = tuple[Side, ...]
ALL: Sides = ("hospital", "agency", "platform", "auditor")
PARTIES: Sides = ("hospital", "agency", "platform")
"""Whoever has a part in referrals; an auditor reads the audit and what holds no person."""
HOSPITAL: Sides = ("hospital",)
AGENCY: Sides = ("agency",)
PLATFORM: Sides = ("platform",)
WORKERS: Sides = ("hospital", "agency")


class Way(msgspec.Struct, frozen=True):
    """One way to ask: an interaction of FHIR's REST (by its code) or an operation (its name begins with `$`).

    It stands at an address of its level (`/`, `/Type`, `/Type/id`), followed by the name of an operation and by `tail`, in
    which `*` is any one word.
    `letter`: what of a SMART scope it needs on the type; none where its parts are permitted one by one. `who`: the sides
    that may use it at all; a Type can say fewer. `affects`: whether it may change what is stored.
    """

    name: str
    levels: tuple[Level, ...]
    methods: tuple[str, ...]
    letter: Letter | None
    tail: tuple[str, ...] = ()
    affects: bool = False
    who: Sides = ALL
    definition: str = ""
    doc: str = ""

    @property
    def is_operation(self) -> bool:
        return self.name.startswith("$")

    @property
    def words(self) -> tuple[str, ...]:
        """What stands after the level in its address."""
        return (self.name, *self.tail) if self.is_operation else self.tail


GET = ("GET", "HEAD")
INTERACTIONS: tuple[Way, ...] = (
    Way("read", ("instance",), GET, "r"),
    Way("vread", ("instance",), GET, "r", ("_history", "*")),
    Way("history-instance", ("instance",), GET, "r", ("_history",)),
    Way("history-type", ("type",), GET, "s", ("_history",)),
    Way("search-type", ("type",), GET, "s"),
    Way("search-type", ("type",), ("POST",), "s", ("_search",)),
    Way("create", ("type",), ("POST",), "c", affects=True),
    # Of a type instead of an instance these are conditional: which one is meant is a search.
    Way("update", ("instance", "type"), ("PUT",), "u", affects=True),
    Way("patch", ("instance", "type"), ("PATCH",), "u", affects=True),
)
"""The interactions of FHIR's REST with a resource; a type offers those that it names. None deletes."""

READ = ("read", "vread", "history-instance", "search-type")
CREATE = (*READ, "create")
WRITE = (*READ, "create", "update", "patch")
PAST = (*WRITE, "history-type")
"""Of these a side's versions are found in the order of their times by an index."""

BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"


def export(level: Level, name: str, what: str) -> Way:
    """A kick-off of Bulk Data Access 2.0.0; it needs no scope of its own, but one for each type that is exported."""
    return Way("$export", (level,), ("GET", "POST"), None, definition=f"{BULK}/{name}", doc=what)


SYSTEM: tuple[Way, ...] = (
    Way("capabilities", ("system",), GET, None, ("metadata",), doc="Open to everybody."),
    Way("transaction", ("system",), ("POST",), None, affects=True),
    Way("batch", ("system",), ("POST",), None, affects=True),
    export("system", "export", "All that the client may read, as NDJSON files (Prefer: respond-async)."),
    Way(
        "export-status",
        ("system",),
        GET,
        None,
        ("$export", "*"),
        doc="How an export fares; once it is done, its manifest.",
    ),
    Way(
        "export-cancel", ("system",), ("DELETE",), None, ("$export", "*"), doc="Ends an export, or gives up its files."
    ),
    Way(
        "export-file",
        ("system",),
        GET,
        None,
        ("$export", "*", "*"),
        doc="A file of an export (application/fhir+ndjson).",
    ),
)
"""What is asked of the service as a whole."""

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition"
ON_EVERY_TYPE: tuple[Way, ...] = (
    Way(
        "$validate",
        ("type", "instance"),
        ("POST",),
        None,
        definition="http://hl7.org/fhir/OperationDefinition/Resource-validate",
        doc="What is wrong with a resource, all of it; by `mode` and `profile`. Nothing is stored.",
    ),
)
"""Operations that every type offers."""

COMPARTMENT = tuple(
    Way("search-compartment", ("instance",), methods, "r", tail, who=PARTIES)
    for methods, tail in ((GET, ("*",)), (("POST",), ("*", "_search")))
)
"""`Patient/{id}/{type}`: the search of that type by its patient."""


ROUTE = Way(
    "$route",
    ("type",),
    ("POST",),
    "r",
    who=("hospital", "platform"),
    definition="urn:yuanshe:operation:route",
    doc="Who would be offered this submission, and why; nothing is stored.",
)

TIMELINE = Way(
    "$timeline",
    ("instance",),
    GET,
    "r",
    who=PARTIES,
    definition="urn:yuanshe:operation:timeline",
    doc="Every event of a referral, and who must act next.",
)

SUGGEST_URL = "urn:yuanshe:operation:suggest"
SUGGEST = (
    Way(
        "$suggest",
        ("instance",),
        GET,
        "r",
        who=PARTIES,
        definition=SUGGEST_URL,
        doc="What screening suggests for a referral; nothing follows from a suggestion by itself.",
    ),
    Way(
        "$suggest",
        ("instance",),
        ("POST",),
        "u",
        affects=True,
        who=PARTIES,
        definition=SUGGEST_URL,
        doc="A person's decision on a suggestion: accepted, or dismissed with a reason.",
    ),
)

STATUS = Way(
    "$status",
    ("type", "instance"),
    (*GET, "POST"),
    "r",
    who=PARTIES,
    definition=f"{BACKPORT}/backport-subscription-status",
    doc="How subscriptions fare.",
)

EVENTS = Way(
    "$events",
    ("instance",),
    (*GET, "POST"),
    "r",
    who=PARTIES,
    definition=f"{BACKPORT}/backport-subscription-events",
    doc="What a subscription was to hear, delivered or not.",
)

EVERYTHING = Way(
    "$everything",
    ("instance",),
    (*GET, "POST"),
    "r",
    who=PARTIES,
    definition="http://hl7.org/fhir/OperationDefinition/Patient-everything",
    doc="All that the reader may see of this person, in pages; `_since`, `_type`, `_count`.",
)

SAFE_CONTACT_URL = "urn:yuanshe:operation:safe-contact"
SAFE_CONTACT = (
    Way(
        "$safe-contact",
        ("instance",),
        GET,
        "r",
        who=PARTIES,
        definition=SAFE_CONTACT_URL,
        doc="How this person may safely be contacted; a POST of the same parts says how from now on.",
    ),
    Way(
        "$safe-contact",
        ("instance",),
        ("POST",),
        "u",
        affects=True,
        who=PARTIES,
        definition=SAFE_CONTACT_URL,
        doc="Says how this person may safely be contacted from now on.",
    ),
)

ITS = "urn:yuanshe:operation"
VOLUNTEER: Sides = ("volunteer",)
DISCLOSURES = Way(
    "$disclosures",
    ("instance",),
    GET,
    "r",
    who=("hospital", "platform"),
    definition=f"{ITS}:disclosures",
    doc="Who saw what about this person: every opening, every look, every whole number shown; without what is sealed.",
)
REVEAL = Way(
    "$reveal",
    ("instance",),
    ("POST",),
    "r",
    affects=True,
    who=AGENCY,
    definition=f"{ITS}:reveal",
    doc="The whole citizen number of somebody disclosed to the agency, for a `reason`; logged, and told to the hospital.",
)
DECLARE_CONFLICT = Way(
    "$declare-conflict",
    ("instance",),
    ("POST",),
    "u",
    affects=True,
    who=AGENCY,
    definition=f"{ITS}:declare-conflict",
    doc="Whom this worker may not serve (`number`, `phone`, `name` with `birthDate`): kept as marks that nobody can read.",
)
VOLUNTEERING = (
    Way(
        "$volunteer",
        ("instance",),
        ("POST",),
        "u",
        affects=True,
        who=AGENCY,
        definition=f"{ITS}:volunteer",
        doc="Matches a `volunteer` to the person of this share `for` a type of service `at` a time; `callOff` ends a visit.",
    ),
    Way(
        "$visits",
        ("type",),
        GET,
        "r",
        who=VOLUNTEER,
        definition=f"{ITS}:visits",
        doc="A volunteer's own visits: given name, address, time, what for, and the social worker; all that a volunteer reads.",
    ),
)
"""A volunteer works under a named social worker, on a Task, with the person's consent."""
HAND_OVER = (
    Way(
        "$hand-over",
        ("instance",),
        ("POST",),
        "u",
        affects=True,
        who=("agency", "platform"),
        definition=f"{ITS}:hand-over",
        doc="All that names this person goes to a colleague in one act; `dryRun` only says what would.",
    ),
    Way(
        "$hand-over",
        ("instance",),
        GET,
        "r",
        who=("agency", "platform"),
        definition=f"{ITS}:hand-over",
        doc="A person's last hand-overs.",
    ),
    Way(
        "$come-back",
        ("instance",),
        ("POST",),
        "u",
        affects=True,
        who=("agency", "platform"),
        definition=f"{ITS}:come-back",
        doc="The person is back: what is still open and still with the colleague goes back.",
    ),
    Way(
        "$caseload",
        ("instance",),
        GET,
        "r",
        who=("agency", "platform"),
        definition=f"{ITS}:caseload",
        doc="All that is open and names this person, their own and that on which they are second.",
    ),
)
"""What is done with a person's work as a whole."""

CASE = Way(
    "$case",
    ("instance",),
    GET,
    "r",
    who=AGENCY,
    definition="urn:yuanshe:operation:case",
    doc="The agency's case of its share: its phase and history, what is in the file and what is missing, what is owed next.",
)

ADVANCE = Way(
    "$advance",
    ("instance",),
    ("POST",),
    "u",
    affects=True,
    who=AGENCY,
    definition="urn:yuanshe:operation:advance",
    doc="The case of a share goes on to another phase, or back; 409 with each document that is missing.",
)

APPROVE = Way(
    "$approve",
    ("instance",),
    ("POST",),
    "u",
    affects=True,
    who=AGENCY,
    definition="urn:yuanshe:operation:approve",
    doc="A supervisor signs the plan or the closure summary of a case as it stands.",
)

TIME = (
    Way(
        "$time",
        ("type", "instance"),
        ("POST",),
        "u",
        affects=True,
        who=AGENCY,
        definition=f"{ITS}:time",
        doc="Minutes spent on an activity, for this case or (of the type) for none; `entry` corrects one, with `void` takes it back.",
    ),
    Way(
        "$time",
        ("instance",),
        GET,
        "r",
        who=AGENCY,
        definition=f"{ITS}:time",
        doc="The time that was written down for a case.",
    ),
)
"""What time went into."""

VISIT_PLAN = (
    Way(
        "$visit-plan",
        ("instance",),
        ("POST",),
        "u",
        affects=True,
        who=AGENCY,
        definition=f"{ITS}:visit-plan",
        doc="The person is visited every so many days; who was not is told of. With `end`, no longer.",
    ),
    Way(
        "$visit-plan",
        ("instance",),
        GET,
        "r",
        who=AGENCY,
        definition=f"{ITS}:visit-plan",
        doc="How often the person is visited, and when next.",
    ),
)
"""Recurring visits."""

CASE_LIFE = (
    *TIME,
    *VISIT_PLAN,
    Way(
        "$transfer",
        ("instance",),
        ("POST",),
        "u",
        affects=True,
        who=AGENCY,
        definition=f"{ITS}:transfer",
        doc="The case goes to another worker; or a need of it to another agency, by an onward referral.",
    ),
    Way(
        "$co-work",
        ("instance",),
        ("POST",),
        "u",
        affects=True,
        who=AGENCY,
        definition=f"{ITS}:co-work",
        doc="A second worker on the case; with `end`, no longer.",
    ),
    Way(
        "$team",
        ("instance",),
        GET,
        "r",
        who=AGENCY,
        definition=f"{ITS}:team",
        doc="Who has the case and had it, and what goes on from it.",
    ),
    Way(
        "$reopen",
        ("instance",),
        ("POST",),
        "u",
        affects=True,
        who=WORKERS,
        definition=f"{ITS}:reopen",
        doc="A closed case is needed again: a new referral that goes on from it, for the agency that had it.",
    ),
)
"""What is done with a case beside its moves."""

MERGE = Way(
    "$merge",
    ("type",),
    ("POST",),
    "u",
    affects=True,
    who=HOSPITAL,
    definition="urn:yuanshe:operation:merge",
    doc="source-patient is absorbed by target-patient; all that was its is the other's, and it says so from now on.",
)

UNDO_MERGE = Way(
    "$undo-merge",
    ("instance",),
    ("POST",),
    "u",
    affects=True,
    who=HOSPITAL,
    definition="urn:yuanshe:operation:undo-merge",
    doc="Gives an absorbed Patient back exactly what its merge moved; `reason` says why.",
)

CARD = Way(
    "$card",
    ("instance",),
    GET,
    "r",
    who=PARTIES,
    definition=f"{ITS}:card",
    doc="A card for the person: who will call, from which number, how to stop; as a page (text/html) or as a Binary that holds it.",
)
