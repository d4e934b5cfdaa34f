"""The form as the transaction Bundle that a hospital's program would post: a ward's page and a program do the same."""

import uuid
from base64 import b32encode
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec

from adapters.web.refer.form import Form
from adapters.web.refer.plain import LANGUAGES
from adapters.web.speech import SPEECH
from service import codes
from service.access.model import Actor
from service.patients.model import CITIZEN_NUMBER
from service.referrals.draft_flow import Found
from service.safety.contact import ANY, ContactRules
from service.values import SHANGHAI, Id

Json = dict[str, Any]

PLACER = "urn:yuanshe:ward-referral"
"""System of the numbers that this page gives to referrals."""
LOINC = "http://loinc.org"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
WITNESS, SAFE_CONTACT = "urn:yuanshe:witness", "urn:yuanshe:safe-contact"


def number(draft: Id) -> str:
    """The number of the referral that a draft becomes, short enough to be read out on the telephone: the day on which the draft was
    begun, and eight letters and digits of its id. The same for the same draft, so that it is placed once."""
    millis = min(draft.int >> 80, 4_102_444_800_000)
    day = datetime.fromtimestamp(millis / 1000, UTC).astimezone(SHANGHAI)
    mark = b32encode(blake2b(draft.bytes, digest_size=5).digest()).decode()
    return f"{day:%y%m%d}-{mark[:4]}-{mark[4:]}"


def bundle(form: Form, found: Found, draft: Id, actor: Actor, system: str, now: datetime) -> Json:
    """What is placed. `system`: the one of the hospital's own numbers of persons."""
    person, request = _urn(), _urn()
    entries: list[Json] = []
    brought = _patient(form, found, system)
    if brought is not None:
        entries.append(_entry(person, brought))
    elif found.patient is not None:
        person = f"Patient/{found.patient.id}"
    stay = None
    if found.stay is not None:
        stay = f"Encounter/{found.stay.id}"
        if found.stay_body and _moved(form, found):
            entries.append(_entry(stay, _leading(found, form.region or "")))
    entries.append(_entry(request, _request(form, found, draft, actor, person, stay, now)))
    entries += _consents(form, actor, person, request, now)
    if form.answers:
        entries.append(_entry(_urn(), _screening(form, person, now)))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def _entry(name: str, resource: Json) -> Json:
    """An entry that others reference by this name: something new by its urn, something known by its own address."""
    if name.startswith("urn:"):
        return {"fullUrl": name, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
    return {"resource": resource, "request": {"method": "PUT", "url": name}}


# ---- the person and where they will be --------------------------------------------------------------------------------


def _patient(form: Form, found: Found, system: str) -> Json | None:
    """The Patient to bring along: somebody new, or somebody known of whom something was corrected; else None."""
    if found.patient is None:
        numbers = [{"system": system, "value": form.one("number")}] if form.one("number") else []
        numbers += [{"system": CITIZEN_NUMBER, "value": form.citizen}] if form.citizen else []
        made: Json = {"resourceType": "Patient"} | ({"identifier": numbers} if numbers else {})
        if not numbers:
            made["extension"] = [{"url": "urn:yuanshe:no-identifier-reason", "valueCode": form.one("none")}]
        return _with(
            made, form, dict.fromkeys(("name", "birth", "sex", "phone", "language", "address", "region"), True)
        )
    changed = corrections(form, found)
    if not any(changed.values()) or not found.body:
        return None
    held = msgspec.json.decode(found.body)
    return _with({name: said for name, said in held.items() if name not in ("id", "meta", "text")}, form, changed)


def corrections(form: Form, found: Found) -> dict[str, bool]:
    """Which of the known person's data the form says otherwise. Of a region the stay's destination speaks, if there is a stay."""
    one = found.patient
    assert one is not None
    return {
        "name": form.one("name") not in ("", one.name or ""),
        "birth": form.birth is not None and form.birth != one.birth_date,
        "sex": form.sex != "unknown" and form.sex != one.gender,
        "phone": form.one("phone") not in ("", one.phone or ""),
        "language": form.language is not None and form.language != one.language,
        "address": form.one("address") not in ("", one.address or ""),
        "region": _moved(form, found) and found.stay_body is None,
    }


def _moved(form: Form, found: Found) -> bool:
    return form.region is not None and form.region != found.region


def _with(held: Json, form: Form, say: dict[str, bool]) -> Json:
    """The Patient with what the form says in place of what was held."""
    if say["name"] and form.one("name"):
        others = [name for name in held.get("name", ()) if name.get("use") not in (None, "official", "usual")]
        held["name"] = [{"use": "official", "text": form.one("name")}, *others]
    if say["birth"] and form.birth:
        held["birthDate"] = form.birth.isoformat()
    if say["sex"]:
        held["gender"] = form.sex
    if say["phone"] and form.one("phone"):
        others = [each for each in held.get("telecom", ()) if each.get("system") not in ("phone", "sms")]
        held["telecom"] = [{"system": "phone", "value": form.one("phone")}, *others]
    if say["language"] and form.language:
        spoken = {"coding": [{"system": "urn:ietf:bcp:47", "code": form.language, "display": LANGUAGES.get(form.language, form.language)}]}  # fmt: skip
        held["communication"] = [{"language": spoken, "preferred": True}]
    if (say["address"] and form.one("address")) or (say["region"] and form.region):
        # Where somebody lives now stands before where they live else, and takes nothing away.
        others = [each for each in held.get("address", ()) if each.get("use") != "temp"]
        lives = {"text": form.one("address")} if form.one("address") else {}
        where = {"district": form.region} if form.region else {}
        held["address"] = [{"use": "temp" if others else "home"} | lives | where, *others]
    return held


def _leading(found: Found, region: str) -> Json:
    """The stay with the destination that the ward names, in place of where it was to lead."""
    assert found.stay is not None and found.stay_body is not None
    stay: Json = {
        name: said for name, said in msgspec.json.decode(found.stay_body).items() if name not in ("meta", "text")
    }
    stay["id"] = str(found.stay.id)
    leads = stay.get("hospitalization", {}).get("destination", {})
    goes = {"reference": "#destination"} | ({"display": leads["display"]} if "display" in leads else {})
    stay["hospitalization"] = stay.get("hospitalization", {}) | {"destination": goes}
    others = [each for each in stay.get("contained", ()) if each.get("id") != "destination"]
    stay["contained"] = [
        *others,
        {"resourceType": "Location", "id": "destination", "address": {"use": "temp", "district": region}},
    ]
    return stay


# ---- what is asked ----------------------------------------------------------------------------------------------------


def _request(
    form: Form, found: Found, draft: Id, actor: Actor, person: str, stay: str | None, now: datetime
) -> Json:  # fmt: skip
    zh = SPEECH["zh"]
    said: Json = {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order", "priority": form.urgency,
        "identifier": [{"system": PLACER, "value": number(draft)}],
        "category": [
            {"coding": [{"system": codes.NEED, "code": need, "display": zh.code(codes.NEED, need)}],
             "text": form.one("other") if need == codes.OTHER_NEED else zh.code(codes.NEED, need)}
            for need in form.needs
        ],
        "subject": {"reference": person}, "authoredOn": _instant(now),
        "requester": {"reference": f"Organization/{actor.organization}", "display": actor.name},
    }  # fmt: skip
    if stay:
        said["encounter"] = {"reference": stay}
    elif form.one("ward") or form.one("bed"):
        said["locationReference"] = [{"display": " ".join(filter(None, (form.one("ward"), form.one("bed"))))}]
    if form.one("reason"):
        said["reasonCode"] = [{"text": form.one("reason")}]
    if form.one("again"):
        said["note"] = [{"text": form.one("again")}]
    if form.one("preferred"):
        said["performer"] = [{"reference": f"Organization/{form.one('preferred')}"}]
    contact = _contact(form, found.rules)
    if contact:
        said["extension"] = [{"url": SAFE_CONTACT, "extension": contact}]
    return said


def _contact(form: Form, before: ContactRules) -> list[Json]:
    """How the person may be contacted, where the form says something else than was known."""
    rules = form.rules(before)
    if rules == msgspec.structs.replace(before, decisions=()) or rules == ANY == before:
        return []
    parts: list[Json] = [{"url": "prohibited", "valueBoolean": rules.prohibited}]
    parts += [{"url": "supervised", "valueBoolean": True}] if rules.supervised else []
    parts += [{"url": "channel", "valueCode": channel} for channel in rules.channels]
    for hours in rules.times:
        days = [
            {"url": "day", "valueCode": ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day - 1]}
            for day in hours.days
        ]
        clock: list[Json] = [{"url": name, "valueTime": f"{at:%H:%M:%S}"} for name, at in (("begins", hours.begins), ("ends", hours.ends))]  # fmt: skip
        parts.append({"url": "time", "extension": [*days, *clock]})
    parts += [{"url": "number", "valueString": rules.number}] if rules.number else []
    parts.append({"url": "message", "valueBoolean": rules.may_leave_message})
    parts += [{"url": "asked-by", "valueCode": rules.asked_by}] if rules.asked_by else []
    return parts


def _screening(form: Form, person: str, now: datetime) -> Json:
    it = form.instrument
    assert it is not None
    items: list[Json] = []
    for item in it.items:
        given = [answer for answer in form.answers if answer.item == item.code]
        if not given:
            continue
        if item.kind == "integer":
            said: list[Json] = [{"valueInteger": int(answer.score or 0)} for answer in given]
        else:
            said = [
                {"valueCoding": {"system": LOINC if (answer.answer or "").startswith("LA") else it.url, "code": answer.answer}}
                for answer in given
            ]  # fmt: skip
        items.append({"linkId": item.code, "answer": said})
    return {
        "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": it.url, "subject": {"reference": person},
        "authored": _instant(now), "item": items,
    }  # fmt: skip


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


# ---- what was agreed to -----------------------------------------------------------------------------------------------


def _consents(form: Form, actor: Actor, person: str, request: str, now: datetime) -> list[Json]:
    """Two ticks, two Consents: to be referred, which opens nothing, and to let these agencies know who the person is."""
    if form.one("consent") != "yes":
        return []
    entries: list[Json] = []
    signer = person
    if form.one("signer") == "guardian":
        signer = _urn()
        related: Json = {
            "resourceType": "RelatedPerson", "patient": {"reference": person}, "name": [{"text": form.one("guardian")}],
            "relationship": [{"text": form.one("relation") or "监护人"}],
        }  # fmt: skip
        if form.one("guardian_phone"):
            related["telecom"] = [{"system": "phone", "value": form.one("guardian_phone")}]
        entries.append(_entry(signer, related))
    how: Json = {"sourceAttachment": {"title": "知情同意书（纸质，存病历）"}}
    if form.one("how") == "spoken":
        heard = _urn()
        witness: Json = {"resourceType": "Practitioner", "name": [{"text": form.one("witness")}]}
        if form.one("witness_role") == "relative":
            witness = {"resourceType": "RelatedPerson", "patient": {"reference": person}, "name": [{"text": form.one("witness")}]}  # fmt: skip
        entries.append(_entry(heard, witness))
        how = {
            "verification": [
                {"verified": True, "verifiedWith": {"reference": signer}, "verificationDate": _instant(now),
                 "extension": [{"url": WITNESS, "valueReference": {"reference": heard}}]}
            ]
        }  # fmt: skip

    def consent(scope: str, category: Json, provision: Json) -> Json:
        return {
            "resourceType": "Consent", "status": "active", "scope": {"coding": [{"system": SCOPE, "code": scope}]},
            "category": [category], "patient": {"reference": person}, "dateTime": _instant(now), "performer": [{"reference": signer}],
            "organization": [{"reference": f"Organization/{actor.organization}"}],
            "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTIN"}]}, "provision": provision,
        } | how  # fmt: skip

    related_to = [{"meaning": "related", "reference": {"reference": request}}]
    if form.ticked("agree_refer"):
        about = {"coding": [{"system": LOINC, "code": "59284-0"}], "text": "同意转介"}
        entries.append(_entry(_urn(), consent("treatment", about, {"type": "permit", "data": related_to})))
    if form.ticked("agree_identity"):
        role = {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}
        shown = [{"role": role, "reference": {"reference": f"Organization/{agency}"}} for agency in form.all("agency")]
        about = {"coding": [{"system": ACT_CODE, "code": "IDSCL"}], "text": "同意披露身份"}
        entries.append(
            _entry(_urn(), consent("patient-privacy", about, {"type": "permit", "actor": shown, "data": related_to}))
        )
    return entries
