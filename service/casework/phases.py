"""The phases of a case as one table: what each needs before it is left, who signs, where it may go back to; pure.

The sequence 接案–预估–计划–介入–评估–结案 is that of MZ/T 094—2017; documents and limits are domain b-2's, the limits our own
defaults (D). The gate, the completeness score, `docs/casework.md` and the next due item all read this table.
"""

from datetime import timedelta

import msgspec

from service.case_codes import CASE_DOCUMENT
from service.casework.model import CaseFile, Lack, Phase, Standing
from service.codes import CASE_PHASE, label
from service.errors import Conflict, Invalid, Issue

TO = "Parameters.parameter"
"""Where a move of phases says where to."""
SUPERVISION_EVERY = timedelta(days=30)
"""Domain b-2: at least one supervision note for each 30 days of intervention."""


class Stage(msgspec.Struct, frozen=True):
    """One phase: `documents` that the file holds before the phase is left, `signed` the one of them that a supervisor has
    signed as it stands, `back` the phases to which it may return, `item` what its worker owes next, `limit` by which limit of
    `service/practice.py`."""

    phase: Phase
    documents: tuple[str, ...] = ()
    signed: str | None = None
    back: tuple[Phase, ...] = ()
    item: str | None = None
    limit: str | None = None


PHASES: dict[Phase, Stage] = {
    stage.phase: stage
    for stage in (
        Stage("intake", ("intake-form", "service-consent", "risk-screen"), item="first-contact", limit="first_contact"),
        Stage("assessment", ("needs-assessment", "problem-list"), item="assessment", limit="assessment"),
        Stage("plan", ("service-plan", "client-agreement"), signed="service-plan", back=("assessment",), item="plan", limit="plan"),
        Stage("intervention", ("process-note", "supervision-note"), back=("assessment", "plan"), item="review", limit="review"),
        Stage("evaluation", ("evaluation",), back=("plan",), item="evaluation", limit="evaluation"),
        Stage("closure", ("closure-summary", "receipt"), signed="closure-summary", item="closure", limit="closure"),
        Stage("follow-up", ("follow-up-record",)),
        Stage("archive"),
    )
}  # fmt: skip
"""In the order of the work. `follow-up-record` is asked for where follow-ups were the agency's, `receipt` where it completed."""

ORDER: tuple[Phase, ...] = tuple(PHASES)
WORKED: frozenset[Phase] = frozenset({"plan", "intervention", "evaluation", "closure"})
"""Phases that a case enters while its share is in progress."""
AFTERWARDS: frozenset[Phase] = frozenset({"follow-up", "archive"})
"""Phases that a case enters once its share has ended."""


class How(msgspec.Struct, frozen=True):
    """What counts as a document, and how it is supplied: `form`: a response to the service's own form of that name, or a file
    (DocumentReference) typed with its code; `instruments`: a response to one of these screening instruments, the agency's or
    the referring hospital's; else `type` of resource.
    `by_supervisor`: a supervisor writes it, and nobody else changes it."""

    zh: str
    en: str
    form: bool = False
    instruments: tuple[str, ...] = ()
    type: str | None = None
    by_supervisor: bool = False


def _form(zh: str = "", en: str = "", *, instruments: tuple[str, ...] = (), by_supervisor: bool = False) -> How:
    return How(
        f"提交该表单的 QuestionnaireResponse，或以 {CASE_DOCUMENT} 标注类型的 DocumentReference{zh}",
        f"post a QuestionnaireResponse of its form, or a DocumentReference typed with its code of {CASE_DOCUMENT}{en}",
        form=True, instruments=instruments, by_supervisor=by_supervisor,
    )  # fmt: skip


DOCUMENTS: dict[str, How] = {
    "intake-form": _form(),
    "service-consent": _form(),
    "risk-screen": _form(
        "，或筛查量表（PHQ-9、GAD-7、心理痛苦温度计、PRAPARE、AHC-HRSN）的应答，医院转介时所做的亦可",
        ", or a response to PHQ-9, GAD-7, the distress thermometer, PRAPARE or AHC-HRSN, the hospital's too",
        instruments=("phq-9", "gad-7", "dt", "prapare", "ahc-hrsn"),
    ),
    "needs-assessment": _form(),
    "problem-list": How(
        "提交带需求代码（urn:yuanshe:need）的 Condition，或该表单的 QuestionnaireResponse",
        "post a Condition with a code of urn:yuanshe:need, or a QuestionnaireResponse of its form",
        form=True,
        type="Condition",
    ),
    "service-plan": How(
        "提交 CarePlan：status=active，goal 指向带衡量标准的 Goal，并有复核日期（period.end 或扩展 urn:yuanshe:review）",
        "post a CarePlan with status active, goals that say by what one will know, and a review date (period.end, or the extension urn:yuanshe:review)",
        type="CarePlan",
    ),
    "client-agreement": _form(),
    "process-note": How(
        "每次接触后提交 status=completed 的 Procedure", "post a Procedure with status completed for each contact", type="Procedure"
    ),
    "supervision-note": _form("，author 为督导，介入期每 30 天至少一份", ", its author a supervisor: one for each 30 days of intervention", by_supervisor=True),
    "evaluation": _form(),
    "closure-summary": _form(),
    "receipt": How("结案（Task status=completed）时由系统生成", "the service writes it when the Task is completed", type="Communication"),
    "follow-up-record": _form("，或随访 Task 上的一次联系记录", ", or an attempt on a follow-up Task"),
}  # fmt: skip
"""By code of urn:yuanshe:case-document."""

SIGN = How("请督导签批：Task/{id}/$approve", "have a supervisor sign it as it stands: Task/{id}/$approve")


def before(phase: Phase) -> tuple[Phase, ...]:
    """The phases that come before this one."""
    return ORDER[: ORDER.index(phase)]


def reached(file: CaseFile) -> Phase:
    """How far the file is measured: to the phase of a case that goes on; of one whose share was completed past its closure; of
    one that ended otherwise, to where it had come."""
    case = file.case
    if case.closed_at is None or case.phase in AFTERWARDS:
        return case.phase
    if case.ending == "complete":
        return "follow-up"
    return ORDER[max((ORDER.index(step.phase) for step in file.steps if step.at < case.closed_at), default=0)]


def standing(file: CaseFile) -> Standing:
    """The file's completeness by the phase that it has reached (domain row 15)."""
    required: list[tuple[Phase, str]] = [
        (phase, code) for phase in before(reached(file)) for code in PHASES[phase].documents if asked(file, code)
    ]
    lacks = tuple(Lack(phase, code) for phase, code in required if not has(file, code))
    return Standing(len(required), len(required) - len(lacks), lacks)


def lacking(file: CaseFile, to: Phase) -> tuple[Lack, ...]:
    """What is missing before the case may be in phase `to`: every document of the phases before it, and of the phases that it
    leaves now the signatures."""
    lacks = [Lack(phase, code) for phase in before(to) for code in PHASES[phase].documents if asked(file, code) and not has(file, code)]  # fmt: skip
    for phase in ORDER[ORDER.index(file.case.phase) : ORDER.index(to)]:
        signed = PHASES[phase].signed
        if signed and has(file, signed) and not approved(file, signed):
            lacks.append(Lack(phase, signed, signature=True))
    return tuple(lacks)


def asked(file: CaseFile, document: str) -> bool:
    """Whether this file needs the document at all."""
    match document:
        case "follow-up-record":
            return file.follow_ups > 0
        case "receipt":
            return file.case.ending in (None, "complete")
        case _:
            return True


def has(file: CaseFile, document: str) -> bool:
    """Whether the file holds it."""
    held = sum(filed.document == document for filed in file.documents)
    return held >= (_supervisions(file) if document == "supervision-note" else 1)


def _supervisions(file: CaseFile) -> int:
    """How many supervision notes the intervention has asked for so far: one for each 30 days, and one at least."""
    ends = [*(step.at for step in file.steps[1:]), file.case.closed_at or file.at]
    spent = sum(
        (end - step.at for step, end in zip(file.steps, ends, strict=False) if step.phase == "intervention"),
        timedelta(),
    )
    return max(spent // SUPERVISION_EVERY, 1)


def approved(file: CaseFile, document: str) -> bool:
    """Whether a supervisor has signed the newest resource that is this document, as it stands."""
    newest = next((filed for filed in reversed(file.documents) if filed.document == document), None)
    return newest is not None and any(
        (each.document, each.subject, each.subject_version) == (document, newest.id, newest.version)
        for each in file.approvals
    )


def goes_back(file: CaseFile, to: Phase) -> bool:
    """Whether the case would go back to `to` (True) or forward (False). Raises Invalid `illegal-move` where neither is a way."""
    here = file.case.phase
    if to in PHASES[here].back and file.case.closed_at is None:
        return True
    if ORDER.index(to) <= ORDER.index(here):
        back = ", ".join(PHASES[here].back) or "nowhere"
        raise Invalid(f"From {here} a case goes forward, or back to {back}.", at=TO, key="illegal-move")
    return False


def check(file: CaseFile, to: Phase, status: str, *, waived: bool) -> None:
    """Raise unless the case may go forward to `to` now: Conflict `documents-missing` with an issue for each document and
    signature, then Invalid `illegal-move` where its share, which is in `status`, is not where the phase belongs."""
    lacks = () if waived else lacking(file, to)
    if lacks:
        names = "、".join(label(CASE_DOCUMENT, code) for code in dict.fromkeys(lack.document for lack in lacks))
        raise Conflict(
            f"缺少必备文书：{names}。Required documents are missing.",
            key="documents-missing",
            issues=[issue(lack) for lack in lacks],
        )
    if to in WORKED and status != "in-progress":
        raise Invalid(
            "A case enters this phase while its Task is in progress: start or resume it first.",
            at=TO,
            key="illegal-move",
        )
    if to in AFTERWARDS and status in ("accepted", "in-progress", "on-hold"):
        raise Invalid("The Task goes on: complete it first.", at=TO, key="illegal-move")
    if to == "assessment" and status == "accepted":
        raise Invalid(
            "The case enters its assessment when the Task starts: set it in progress.", at=TO, key="illegal-move"
        )


def issue(lack: Lack) -> Issue:
    """One thing that is missing, in Chinese and English, and how to supply it."""
    names = label(CASE_DOCUMENT, lack.document), label(CASE_DOCUMENT, lack.document, "en")
    phases = label(CASE_PHASE, lack.phase), label(CASE_PHASE, lack.phase, "en")
    how = SIGN if lack.signature else DOCUMENTS[lack.document]
    what = ("未经督导签批", "is not signed by a supervisor as it stands") if lack.signature else ("缺少", "is missing")
    return Issue(
        f"{phases[0]}：{what[0]}{names[0]}（{lack.document}）——{how.zh}。 {phases[1]}: the {names[1].lower()} {what[1]}: {how.en}.",
        TO,
        "business-rule",
    )


def table() -> str:
    """The table for the docs, in Markdown; a test compares."""
    rows = [
        "| phase | 阶段 | needed before it is left | signed by a supervisor | back to | owed next, by which limit |",
        "|---|---|---|---|---|---|",
    ]
    for stage in PHASES.values():
        needed = ", ".join(f"`{code}` {label(CASE_DOCUMENT, code)}" for code in stage.documents) or "–"
        owed = f"`{stage.item}`, `{stage.limit}`" if stage.item else "–"
        back = ", ".join(f"`{phase}`" for phase in stage.back) or "–"
        signed = f"`{stage.signed}`" if stage.signed else "–"
        rows.append(f"| `{stage.phase}` | {label(CASE_PHASE, stage.phase)} | {needed} | {signed} | {back} | {owed} |")
    return "\n".join(rows) + "\n"
