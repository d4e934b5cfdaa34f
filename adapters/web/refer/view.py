"""What the page to refer shows of a form as it stands: the person found, what is open of them, who would receive it, what is promised."""

from datetime import datetime
from typing import Any

import msgspec

from adapters.web.refer import form as forms
from adapters.web.refer import plain
from adapters.web.refer.form import Form
from adapters.web.sentence import Sentence, sentence
from adapters.web.shell import Person
from adapters.web.speech import Speech
from service.db import Session
from service.practice import Limit
from service.referrals import draft_flow, flow
from service.referrals.draft_flow import Already, Choices, Found
from service.referrals.model import NewReferral
from service.routing.model import Candidate, Decision, RuleResult
from service.routing.words import question
from service.safety import duties
from service.safety.urgency import effective
from service.values import Id, as_id, local_day

NONE = Choices((), ())
ASKED_AT = {"coarse": "region", "no-region": "region", "uncoded": "need"}
"""Question of routing → the field that answers it."""


class Rule(msgspec.Struct, frozen=True):
    """One hard rule of one agency in words."""

    name: str
    result: str
    said: str
    why: str


class Line(msgspec.Struct, frozen=True):
    """One agency in the ranking: `place` is its turn, None where it is not offered; `why` the one reason that tells most."""

    agency: Id
    name: str
    place: int | None
    unknown: bool
    why: str
    rules: tuple[Rule, ...]


class Ranking(msgspec.Struct, frozen=True):
    """Who would receive it. `asked`: there is a need, so that routing could be asked; `questions`: what nobody knows yet."""

    asked: bool
    says: str
    lines: tuple[Line, ...] = ()
    questions: tuple[tuple[str, str | None], ...] = ()
    """Each with the field of the form that answers it, where one does."""
    agreed: dict[str, Limit] | None = None
    """Within which time the first one is to answer, where its partnership says so."""


class Open(msgspec.Struct, frozen=True):
    """An open referral of the same person. `same`: for one of the same needs."""

    id: Id
    needs: tuple[str, ...]
    sentence: Sentence
    same: bool


class Spot(msgspec.Struct, frozen=True):
    """What to do there and then: the signal's colour and its words."""

    colour: str
    words: str
    report: bool


class View(msgspec.Struct, frozen=True):
    """Everything that the page draws of one form."""

    draft: Id
    form: Form
    found: Found
    choices: Choices
    ranking: Ranking
    open: tuple[Open, ...]
    spot: tuple[Spot, ...]
    urgency: str
    promise: str
    limits: dict[str, str]
    """What each urgency promises, in short."""
    consent_limit: str
    """Within which consent is obtained once an agency has accepted."""
    score: dict[str, Any] | None
    child: bool
    age: int | None

    @property
    def same(self) -> tuple[Open, ...]:
        return tuple(each for each in self.open if each.same)


async def look(
    session: Session, who: Person, draft: Id, typed: Form, now: datetime, *, drawn: str | None = None
) -> View:  # fmt: skip
    """The form with the person that its number means, and what follows from it; nothing is stored. `drawn`: the number whose
    person stands on the page already, so that what the page can choose from need not be asked again; None: draw everything."""
    speech, actor = who.speech, who.actor
    draft_flow.permit(actor)
    found = await draft_flow.find(session, actor, typed.one("number"), typed.citizen, as_id(typed.one("pick")))
    form = forms.known(typed, found, found.rules)
    same = drawn is not None and drawn == form.one("number") and form.one("known") == typed.one("known")
    choices = NONE if same else await draft_flow.choices(session, actor, now, form.region)
    already = await draft_flow.already(session, actor, found.patient.id) if found.patient else None
    ranking = await _ranking(session, who, draft, form, now)
    urgency = effective(form.urgency, form.needs, form.signs_crisis)
    age = form.age(now)
    return View(
        draft=draft, form=form, found=found, choices=choices, ranking=ranking, open=_open(already, form, who, now),
        spot=spot(form, speech, now), urgency=urgency, promise=plain.promise(urgency, session.practice, speech, now, ranking.agreed),
        limits={code: plain.short(code, session.practice, speech) for code in plain.URGENCY},
        consent_limit=plain.limit(session.practice.consent, session.practice, speech),
        score=_score(form, speech), child=age is not None and age < forms.GUARDIAN_UNTIL, age=age,
    )  # fmt: skip


# ---- the ranking ------------------------------------------------------------------------------------------------------


async def _ranking(session: Session, who: Person, draft: Id, form: Form, now: datetime) -> Ranking:
    if not form.needs:
        return Ranking(False, who.speech.gettext("选择需求后，这里会列出谁会收到、为什么，以及其他机构为什么收不到。"))
    new = NewReferral(
        id=draft, task=draft, placer_system="", placer_value="", patient=draft, needs=form.needs, urgency=form.urgency, body=b"",
        authored_at=now, region=form.region, language=form.language, preferred=as_id(form.one("preferred")), signs_crisis=form.signs_crisis,
    )  # fmt: skip
    decision = await flow.dry_run(session, who.actor, new, form.person(who.actor.organization, draft, now), now)
    named = await draft_flow.organizations(session, [candidate.agency for candidate in decision.candidates])
    names = {id: who.speech.name(each) for id, each in named.items()}
    places = _places(decision)
    lines = tuple(_line(candidate, names, places, who.speech) for candidate in decision.candidates)
    asked = tuple((question(key, who.speech.language), ASKED_AT.get(key)) for key in decision.questions)
    agreed = decision.offers[0].reply_limits if decision.offers else None
    return Ranking(True, _says(decision, names, who.speech), lines, asked, agreed)


def _level(candidate: Candidate) -> tuple[object, ...]:
    """Those that are equal in this take turns by a lot that is drawn when the referral is made."""
    return candidate.preferred, candidate.rank, candidate.prefix, candidate.load or 0.0


def _places(decision: Decision) -> dict[Id, int]:
    """Whose turn comes when: in a broadcast everybody's at once, and the same for those between whom only the lot decides."""
    offers = decision.offers
    if decision.mode == "broadcast":
        return {candidate.agency: 1 for candidate in offers}
    levels = [_level(candidate) for candidate in offers]
    return {candidate.agency: levels.index(_level(candidate)) + 1 for candidate in offers}


def _says(decision: Decision, names: dict[Id, str], speech: Speech) -> str:
    _ = speech.gettext
    offers = decision.offers
    if decision.mode == "sequence":
        first = [names.get(each.agency, "") for each in offers if _level(each) == _level(offers[0])]
        if len(first) > 1:
            return _("提交后先派给其中一家：%(agencies)s（条件相同，轮流）。") % {"agencies": _("、").join(first)}
        return _("提交后先派给%(agency)s。") % {"agency": first[0]}
    if decision.mode == "broadcast":
        return _("提交后同时派给 %(count)s 家机构，先接单的承接。") % {"count": len(offers)}
    if decision.mode == "manual":
        return _("有符合条件的机构，按协议由协调员人工派单。")
    return _("现在没有机构能直接收到：提交后由协调员派单，转介不会丢失。")


def _line(candidate: Candidate, names: dict[Id, str], places: dict[Id, int], speech: Speech) -> Line:
    rules = tuple(_rule(rule, speech) for rule in candidate.rules)
    place = places.get(candidate.agency)
    against = [rule for rule in rules if rule.result == "fail"] or [rule for rule in rules if rule.result == "unknown"]
    why = against[0].why if against else _for(candidate, place, speech)
    return Line(candidate.agency, names.get(candidate.agency, ""), place, candidate.verdict.open, why, rules)


def _for(candidate: Candidate, place: int | None, speech: Speech) -> str:
    """What put an agency where it stands: chosen, the agreement's rank, how near it serves, how free it is."""
    _ = speech.gettext
    if candidate.preferred:
        return _("您指定的机构，条件都符合")
    said = [_("合作顺位第 %(rank)s") % {"rank": candidate.rank}]
    said.append(_("服务到街道") if candidate.prefix >= 9 else _("服务到区县"))
    if candidate.load is not None:
        said.append(_("名额已用 %(share)s%%") % {"share": round(candidate.load * 100)})
    if place is None:
        said.append(_("由协调员派单"))
    return _("，").join(said)


def _rule(rule: RuleResult, speech: Speech) -> Rule:
    _ = speech.gettext
    return Rule(
        _(plain.RULES.get(rule.name, rule.name)), rule.result, _(plain.RESULTS[rule.result]), rule.why(speech.language)
    )


# ---- what else the page says ------------------------------------------------------------------------------------------


def _open(already: Already | None, form: Form, who: Person, now: datetime) -> tuple[Open, ...]:
    if already is None:
        return ()
    return tuple(
        Open(
            referral.id,
            referral.needs,
            sentence(
                step, who.actor, already.organizations.get(step.organization), already.workers.get(step.worker) if step.worker else None,
                who.speech, now,
            ),
            not set(referral.needs).isdisjoint(form.needs),
        )
        for step, referral in already.rows
    )  # fmt: skip


def spot(form: Form, speech: Speech, now: datetime) -> tuple[Spot, ...]:
    """What safety asks of whoever is with the person, by the table of duties (domain b-4)."""
    known = duties.facts(
        form.needs, birth=form.birth, today=local_day(now), gender=form.sex,
        signs=frozenset({duties.ITEM_9}) if form.signs_crisis else frozenset(),
    )  # fmt: skip
    return told(duties.owed(known), speech)


def told(owed: tuple[duties.Duty, ...], speech: Speech) -> tuple[Spot, ...]:
    return tuple(
        Spot(duty.colour, duty.zh if speech.language == "zh" else duty.en, duty.report in ("at-once", "promptly"))
        for duty in owed
    )


def _score(form: Form, speech: Speech) -> dict[str, Any] | None:
    """What the answers so far come to, as the service scores them."""
    found, it = form.score, form.instrument
    if found is None or it is None:
        return None
    band = next((band for band in it.bands if band.code == found.band), None)
    suggests = [rule for rule in it.rules if found.total is not None and found.total >= rule.at]
    return {
        "total": found.total, "left": len(found.missing), "crisis": found.signs_crisis,
        "band": (band.zh if speech.language == "zh" else band.en) if band else "",
        "needs": [rule.code for rule in suggests if rule.kind == "need" and rule.code not in form.needs],
        "title": it.name, "summed": it.total is not None,
        "urgency": next((rule.code for rule in suggests if rule.kind == "urgency"), ""),
    }  # fmt: skip
