"""The screening instruments and the forms of a case's documents as FHIR R4 Questionnaires, in Chinese with English translations."""

import uuid
from typing import Any

from service import case_codes, codes
from service.casework import forms
from service.casework.forms import FORMS, Form
from service.safety import reporting
from service.safety.instruments import INSTRUMENTS, Choice, Instrument, Item
from service.safety.reporting import Question
from service.values import Id

Json = dict[str, Any]

LOINC = "http://loinc.org"
TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
MIN_VALUE = "http://hl7.org/fhir/StructureDefinition/minValue"
MAX_VALUE = "http://hl7.org/fhir/StructureDefinition/maxValue"
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"


def questionnaires() -> dict[Id, Json]:
    """Every form, by the id under which it is read."""
    found = {(id := _id(each.url)): questionnaire(each, id) for each in INSTRUMENTS.values()}
    found |= {(id := _id(each.url)): template(each, id) for each in FORMS.values()}
    return found | {(id := _id(reporting.URL)): report(id)}


def _id(url: str) -> Id:
    return uuid.uuid5(uuid.NAMESPACE_URL, url)


def template(it: Form, id: Id) -> Json:
    """The form of one document of a case; its code is the document's."""
    zh, en = it.title
    items: list[Json] = (
        [{"linkId": "lead", "type": "display", **_words("text", it.lead_zh, it.lead_en)}] if it.lead_zh else []
    )
    return {
        "resourceType": "Questionnaire",
        "id": str(id),
        "language": "zh-CN",
        "url": it.url,
        "version": it.version,
        "name": "Case" + "".join(word.capitalize() for word in it.document.split("-")),
        **_words("title", zh, en),
        "status": "active",
        "experimental": False,
        "subjectType": ["Patient"],
        "publisher": "Yuanshe",
        "code": [{"system": case_codes.CASE_DOCUMENT, "code": it.document, "display": zh}],
        "item": items + [_asked(item, str(number)) for number, item in enumerate(it.items, 1)],
    }


def _asked(item: forms.Item, prefix: str) -> Json:
    said: Json = {"linkId": item.code, "prefix": prefix, **_words("text", item.zh, item.en), "type": item.type}
    if item.required:
        said["required"] = True
    if item.repeats:
        said["repeats"] = True
    if item.options:
        said["answerOption"] = [
            {"valueCoding": {"system": system, "code": each.code, **_words("display", each.zh, each.en)}}
            for system, each in item.options
        ]
    return said


def report(id: Id) -> Json:
    """The form of a mandatory report."""
    return {
        "resourceType": "Questionnaire",
        "id": str(id),
        "language": "zh-CN",
        "url": reporting.URL,
        "version": "1.0",
        "name": "MandatoryReport",
        **_words("title", *reporting.TITLE),
        "status": "active",
        "experimental": False,
        "subjectType": ["Patient"],
        "publisher": "Yuanshe",
        "item": [_reported(each, str(number)) for number, each in enumerate(reporting.QUESTIONS, 1)],
    }


def _reported(it: Question, prefix: str) -> Json:
    said: Json = {"linkId": it.code, "prefix": prefix, **_words("text", it.zh, it.en), "type": it.type}
    for name in ("required", "repeats"):
        if getattr(it, name):
            said[name] = True
    if it.list:
        said["answerOption"] = [
            {"valueCoding": {"system": it.list, "code": each.code, **_words("display", each.zh, each.en)}}
            for each in codes.LISTS[it.list].concepts
        ]
    return said


def questionnaire(it: Instrument, id: Id) -> Json:
    """One form. The link id of a question is its LOINC code; responses name the form by `url`, with or without `|version`."""
    items: list[Json] = [{"linkId": "lead", "type": "display", **_words("text", it.lead_zh, it.lead_en)}]
    items += [_question(it, item, str(number)) for number, item in enumerate(it.items, 1)]
    if it.total:
        items.append(_item(it, it.total) | {"type": "integer", "readOnly": True})
    loinc: Json = {}
    if it.panel:
        loinc = {
            "identifier": [{"system": LOINC, "value": it.panel}],
            "derivedFrom": [f"{LOINC}/q/{it.panel}"],
            "code": [{"system": LOINC, "code": it.panel, "display": it.title_en}],
        }
    return {
        "resourceType": "Questionnaire",
        "id": str(id),
        "language": "zh-CN",
        "url": it.url,
        "version": it.version,
        "name": it.name,
        **_words("title", it.title_zh, it.title_en),
        "status": "active",
        "experimental": False,
        "subjectType": ["Patient"],
        "publisher": "Yuanshe",
        "copyright": it.copyright,
        **loinc,
        "item": items,
    }


def _question(it: Instrument, item: Item, prefix: str) -> Json:
    said = _item(it, item) | {"prefix": prefix, "type": item.kind}
    if item.kind == "choice":
        said["answerOption"] = [{"valueCoding": _option(it, choice)} for choice in it.choices[item.choices]]
    else:
        said["extension"] = [
            {"url": MIN_VALUE, "valueInteger": 0},
            {"url": MAX_VALUE, "valueInteger": item.highest or 0},
        ]
    if item.repeats:
        said["repeats"] = True
    return said | ({"required": True} if item.scored else {})


def _item(it: Instrument, item: Item) -> Json:
    said: Json = {"linkId": item.code}
    if item.loinc:
        # Where the words are captions of ours they are not LOINC's for the code, and do not pass for them.
        named = {"display": item.en} if it.wording == "published" else {}
        said["code"] = [{"system": LOINC, "code": item.code, **named}]
    return said | _words("text", item.zh, item.en)


def _option(it: Instrument, choice: Choice) -> Json:
    system = LOINC if choice.code.startswith("LA") else it.url
    said: Json = {"system": system, "code": choice.code, **_words("display", choice.zh, choice.en)}
    if choice.score is not None:
        said["extension"] = [{"url": ORDINAL, "valueDecimal": choice.score}]
    return said


def _words(element: str, zh: str, en: str) -> Json:
    """A text with its translation beside it."""
    said = [{"url": "lang", "valueCode": "en"}, {"url": "content", "valueString": en}]
    return {element: zh, f"_{element}": {"extension": [{"url": TRANSLATION, "extension": said}]}}
