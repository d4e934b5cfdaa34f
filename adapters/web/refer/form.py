"""The form to refer, as it was typed: what its fields say, and what is missing before it can be sent."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

import msgspec

from adapters.web.refer.plain import SEXES
from adapters.web.speech import SPEECH, noted
from service import codes
from service.patients import identity
from service.patients.model import CITIZEN_NUMBER, Identifier, Patient
from service.referrals.draft_flow import Found
from service.safety.contact import ContactRules, Hours
from service.safety.instruments import INSTRUMENTS, Instrument
from service.safety.scoring import Given, Scored, scored
from service.safety.screening import Answer, raises_crisis
from service.values import URGENCIES, Id, age_on, local_day

GUARDIAN_UNTIL = 14
"""Under this age a guardian signs (domain f-6)."""
LONGEST = 4000
PERSON = ("name", "birth", "sex", "phone", "citizen", "none", "language", "region", "address", "ward", "bed")
CONTACT = ("prohibited", "channel", "from", "to", "safe_number", "no_message", "asked_by")
KEPT_OUT = frozenset({"token", "once", "draft", "drawn", "shown"})
"""What a form carries and a draft does not."""

MISSING = {
    "who": noted("填写住院号，或姓名"),
    "name": noted("填写姓名；身份不明时请在下面选择没有证件号的原因"),
    "check": noted("找到了这个号码的病人：请先核对是不是本人，再发送"),
    "several": noted("这个号码对应几个人：请选择是哪一位"),
    "birth": noted("出生日期写成 年-月-日，例如 1952-03-15"),
    "born": noted("出生日期与身份证号不一致，或在将来：请核对"),
    "citizen": noted("身份证号不对：应为 18 位，最后一位是校验码。请核对"),
    "none": noted("没有住院号也没有身份证号时，请选择原因"),
    "need": noted("至少选择一项需求"),
    "other": noted("选择了“其他”：请用一句话说明需要什么"),
    "urgency": noted("选择紧急程度"),
    "long": noted("文字太长，请缩短到 4000 字以内"),
    "consent": noted("选择同意的情况：已取得，或尚未取得"),
    "refer": noted("没有本人（或监护人）同意转介的勾选；如还没有问过，请选“尚未取得”"),
    "agency": noted("同意披露身份，要写明给哪些机构：请勾选告知过的机构"),
    "how": noted("选择书面同意或口头同意"),
    "witness": noted("口头同意要有见证人：填写见证人姓名"),
    "guardian": noted("填写监护人姓名"),
    "minor": noted("不满 14 岁由监护人同意：请选择监护人并填写姓名"),
    "hours": noted("可以联系的时间要有开始和结束，两者不同"),
    "safe_number": noted("可以拨打的号码应有 5 到 20 位数字"),
    "phone": noted("电话应有 5 到 20 位数字；没有电话可不填"),
    "again": noted("已有相同需求的转介还在进行：请写明为什么仍要再转介，或打开原来那一条"),
}
"""What stops a form from being sent, in words that say how to mend it."""


class Form(msgspec.Struct, frozen=True):
    """The fields by name, each a list of what was typed or ticked."""

    fields: Mapping[str, list[str]] = {}

    def one(self, name: str) -> str:
        """What a field says, without blanks around; empty where it says nothing."""
        said = self.fields.get(name)
        return said[-1].strip() if said else ""

    def all(self, name: str) -> list[str]:
        return [each for each in dict.fromkeys(self.fields.get(name, ())) if each]

    def ticked(self, name: str) -> bool:
        return bool(self.one(name))

    @property
    def empty(self) -> bool:
        """Whether nobody has typed anything yet that is worth keeping."""
        beside = {"urgency", "known", "sex", "language", "how", "signer", "witness_role", "instrument", "consent"}
        return not any(self.one(name) for name in self.fields if name not in beside)

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(sorted(need for need in self.all("need") if codes.known(codes.NEED, need)))

    @property
    def urgency(self) -> str:
        return self.one("urgency") if self.one("urgency") in URGENCIES else "routine"

    @property
    def citizen(self) -> str:
        """The citizen number without blanks, its last letter a capital."""
        return re.sub(r"\s", "", self.one("citizen")).upper()

    @property
    def birth(self) -> date | None:
        """The birth date as typed, else as a valid citizen number states it."""
        said = self.one("birth")
        if not said:
            right = self.citizen and not identity.faults((Identifier(CITIZEN_NUMBER, self.citizen),), None, None)
            return identity.stated_birth((Identifier(CITIZEN_NUMBER, self.citizen),)) if right else None
        found = re.fullmatch(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?", said)
        try:
            return date(*(int(part) for part in found.groups())) if found else None
        except ValueError:
            return None

    @property
    def sex(self) -> str:
        return self.one("sex") if self.one("sex") in SEXES else "unknown"

    @property
    def language(self) -> str | None:
        return self.one("language") or None

    @property
    def region(self) -> str | None:
        said = self.one("region")
        return said if re.fullmatch(r"[1-9]\d{5,11}", said) else None

    def age(self, now: datetime) -> int | None:
        return age_on(self.birth, local_day(now)) if self.birth and self.birth <= local_day(now) else None

    def person(self, hospital: Id, id: Id, now: datetime) -> Patient:
        """The person as the form has them: what routing asks, and no more than that is used of it."""
        return Patient(
            id=id, hospital=hospital, version=0, identifiers=(), updated_at=now, birth_date=self.birth, gender=self.sex,
            region=self.region, language=self.language,
        )  # fmt: skip

    # ---- screening ----

    @property
    def instrument(self) -> Instrument | None:
        return INSTRUMENTS.get(self.one("instrument"))

    @property
    def answers(self) -> tuple[Answer, ...]:
        it = self.instrument
        if it is None:
            return ()
        found: list[Answer] = []
        for item in it.items:
            for said in self.all(f"item-{item.code}")[: None if item.repeats else 1]:
                if item.kind == "integer":
                    if said.isascii() and said.isdecimal():
                        found.append(Answer(item.code, score=int(said)))
                elif said in {choice.code for choice in it.choices[item.choices]}:
                    found.append(Answer(item.code, answer=said))
        return tuple(found)

    @property
    def signs_crisis(self) -> bool:
        return raises_crisis(self.answers)

    @property
    def score(self) -> Scored | None:
        """What the answers come to; None where nothing was answered."""
        it, answers = self.instrument, self.answers
        return scored(it, Given(answers, it.url)) if it and answers else None

    # ---- safe contact ----

    def rules(self, before: ContactRules) -> ContactRules:
        """How the person may be contacted, over what was known before; its further hours and supervision stay."""
        hours = _hours(self.one("from"), self.one("to"))
        return msgspec.structs.replace(
            before,
            prohibited=self.ticked("prohibited"),
            channels=tuple(each for each in self.all("channel") if codes.known(codes.CHANNEL, each)),
            times=(*((hours,) if hours else ()), *before.times[1:]),
            number=self.one("safe_number") or None,
            may_leave_message=not self.ticked("no_message"),
            asked_by=self.one("asked_by") or None,
            decisions=(),
        )


def _hours(begins: str, ends: str) -> Hours | None:
    try:
        return Hours(time.fromisoformat(begins), time.fromisoformat(ends)) if begins and ends else None
    except ValueError:
        return None


def typed(fields: Mapping[str, list[str]]) -> Form:
    """A form as it was sent, without what only its page needs."""
    return Form({name: values for name, values in fields.items() if name not in KEPT_OUT and any(values)})


def known(form: Form, found: Found, rules: ContactRules) -> Form:
    """The form with the person whom its number means: filled in when it finds somebody else than before, emptied when the number
    no longer means whom it was filled in for. What was corrected meanwhile stays."""
    before = form.one("known")
    if found.patient is None:
        if not before:
            return form
        return Form({name: said for name, said in form.fields.items() if name not in ("known", *PERSON, *CONTACT)})
    if before == str(found.patient.id):
        return form
    fields = {name: said for name, said in form.fields.items() if name not in (*PERSON, *CONTACT)}
    return Form(fields | {name: [said] for name, said in _of(found).items() if said} | _said(rules))


def _of(found: Found) -> dict[str, str]:
    """What is known of somebody, in the form's fields."""
    one, stay = found.patient, found.stay
    assert one is not None
    return {
        "known": str(one.id), "name": one.name or "", "birth": one.birth_date.isoformat() if one.birth_date else "",
        "sex": one.gender if one.gender in SEXES else "unknown", "phone": one.phone or "", "language": one.language or "",
        "region": found.region or "", "address": one.address or "", "ward": (stay.ward or stay.department or "") if stay else "",
        "bed": (stay.bed or "") if stay else "",
    }  # fmt: skip


def _said(rules: ContactRules) -> dict[str, list[str]]:
    hours = rules.times[0] if rules.times else None
    said: dict[str, list[str]] = {
        "prohibited": ["1"] if rules.prohibited else [],
        "channel": list(rules.channels),
        "from": [f"{hours.begins:%H:%M}"] if hours else [],
        "to": [f"{hours.ends:%H:%M}"] if hours else [],
        "safe_number": [rules.number] if rules.number else [],
        "no_message": [] if rules.may_leave_message else ["1"],
        "asked_by": [rules.asked_by] if rules.asked_by else [],
    }
    return {name: values for name, values in said.items() if values}


def faults(form: Form, found: Found, now: datetime, *, again: bool, checked: bool) -> list[tuple[str, str]]:
    """What is missing or wrong, (field, words) each, in the order of the page. `again`: something like it is open already;
    `checked`: the person that is found was there to be looked at when it was sent."""
    wrong: list[tuple[str, str]] = []
    if found.several:
        wrong.append(("pick", MISSING["several"]))
    elif found.patient is not None:
        if not checked:
            wrong.append(("number", MISSING["check"]))
    else:
        wrong += _nobody_known(form)
    wrong += _born(form, now)
    held = (found.patient.phone or "") if found.patient else ""
    # What the hospital's own record says is not the ward's to mend before it may refer.
    if form.one("phone") not in ("", held) and not _dialled(form.one("phone")):
        wrong.append(("phone", MISSING["phone"]))
    if again and not form.one("again"):
        wrong.append(("again", MISSING["again"]))
    if not form.needs:
        wrong.append(("need", MISSING["need"]))
    if codes.OTHER_NEED in form.needs and not form.one("other"):
        wrong.append(("other", MISSING["other"]))
    if form.one("urgency") not in URGENCIES:
        wrong.append(("urgency", MISSING["urgency"]))
    wrong += [(name, MISSING["long"]) for name in ("reason", "other", "again") if len(form.one(name)) > LONGEST]
    if bool(form.one("from")) != bool(form.one("to")) or (form.one("from") and form.one("from") == form.one("to")):
        wrong.append(("from", MISSING["hours"]))
    if form.one("safe_number") and not _dialled(form.one("safe_number")):
        wrong.append(("safe_number", MISSING["safe_number"]))
    return wrong + _consent(form, now)


def _dialled(number: str) -> bool:
    return 5 <= sum(letter.isdigit() for letter in number) <= 20


def _nobody_known(form: Form) -> list[tuple[str, str]]:
    wrong: list[tuple[str, str]] = []
    unnamed = form.one("none") in ("unidentified", "newborn")
    if not form.one("name") and not unnamed:
        nothing = not form.one("number") and not form.citizen
        wrong.append(("number", MISSING["who"]) if nothing else ("name", MISSING["name"]))
    if form.citizen and identity.faults((Identifier(CITIZEN_NUMBER, form.citizen),), None, None):
        wrong.append(("citizen", MISSING["citizen"]))
    if not form.one("number") and not form.citizen and not codes.known(codes.NO_IDENTIFIER_REASON, form.one("none")):
        wrong.append(("none", MISSING["none"]))
    return wrong


def _born(form: Form, now: datetime) -> list[tuple[str, str]]:
    if form.one("birth") and form.birth is None:
        return [("birth", MISSING["birth"])]
    if form.birth is None:
        return []
    number = (Identifier(CITIZEN_NUMBER, form.citizen),) if form.citizen else ()
    right = not number or bool(identity.faults(number, None, None)) or not identity.faults(number, form.birth, None)
    return [] if right and form.birth <= local_day(now) else [("birth", MISSING["born"])]


def _consent(form: Form, now: datetime) -> list[tuple[str, str]]:
    if form.one("consent") == "later":
        return []
    if form.one("consent") != "yes":
        return [("consent", MISSING["consent"])]
    wrong: list[tuple[str, str]] = []
    if not form.ticked("agree_refer"):
        wrong.append(("agree_refer", MISSING["refer"]))
    if form.ticked("agree_identity") and not form.all("agency"):
        wrong.append(("agency", MISSING["agency"]))
    age = form.age(now)
    guardian = form.one("signer") == "guardian"
    if age is not None and age < GUARDIAN_UNTIL and not guardian:
        wrong.append(("signer", MISSING["minor"]))
    elif guardian and not form.one("guardian"):
        wrong.append(("guardian", MISSING["guardian"]))
    if form.one("how") not in ("written", "spoken"):
        wrong.append(("how", MISSING["how"]))
    elif form.one("how") == "spoken" and not form.one("witness"):
        wrong.append(("witness", MISSING["witness"]))
    return wrong


FIELDS = {
    "name": "name", "birthDate": "birth", "gender": "sex", "identifier": "number", "telecom": "phone", "address": "region",
    "category": "need", "code": "need", "performer": "signer", "provision.actor": "agency", "actor": "agency", "number": "safe_number",
    "time": "from", "channel": "channel", "asked-by": "asked_by", "destination": "region", "replaces": "again",
}  # fmt: skip
"""Where the service finds fault with what is sent → the field of this form."""


def summary(form: Form, language: str) -> str:
    """What a list of drafts calls one: name or number, and what is needed; of its own author's typing, shown to them alone."""
    speech: Any = SPEECH["en" if language == "en" else "zh"]
    who = form.one("name") or form.one("number")
    needs = speech.gettext("、").join(speech.code(codes.NEED, need) for need in form.needs[:3])
    return " · ".join(filter(None, (who, needs)))
