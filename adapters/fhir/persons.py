"""Persons as FHIR Patients: the stand-in of an offer, and what an agency may see of somebody disclosed to it."""

from typing import Any

from service import codes
from service.patients import identity
from service.patients.model import CITIZEN_NUMBER, Patient
from service.referrals.model import Task

Json = dict[str, Any]

OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
SC_CODING = "http://hl7.org/fhir/StructureDefinition/iso21090-SC-coding"
LANGUAGES = "urn:ietf:bcp:47"
PSEUDONYMOUS: Json = {"system": OBSERVATION_VALUE, "code": "PSEUDED", "display": "pseudonymized"}
MASKED: Json = {"extension": [{"url": ABSENT, "valueCode": "masked"}]}
STREET = 9
"""Digits of a street in GB/T 2260 with GB/T 10114: an offer's region is never finer."""


def stand_in(share: Task, meta: Json) -> Json:
    """Who an offer is about: an id of its own, an age band, gender, street and language; nothing that identifies (T0)."""
    said: Json = {
        "resourceType": "Patient",
        "id": str(share.stand_in),
        "meta": meta | {"security": [PSEUDONYMOUS]},
        "name": [MASKED],
        "_birthDate": MASKED,
    }
    if share.age_band:
        said["extension"] = [{"url": codes.AGE_BAND, "valueCode": share.age_band}]
    if share.gender:
        said["gender"] = share.gender
    if share.region:
        said["address"] = [{"use": "home"} | district(share.region[:STREET])]
    if share.language and not share.safety:
        said["communication"] = [{"language": language(share.language)}]
    return said


def district(code: str) -> Json:
    """A region code as an address: in `district`, and again as the coding that R4 allows beside it."""
    coding = {"system": codes.REGION, "code": code}
    return {"district": code, "_district": {"extension": [{"url": SC_CODING, "valueCoding": coding}]}}


def language(code: str) -> Json:
    return {"coding": [{"system": LANGUAGES, "code": code}]}


def disclosed(patient: Patient, meta: Json, *, masked: bool) -> Json:
    """A person built from what the service reads (T1, domain f-7): name, telephone, address, gender, birth date, language;
    the citizen number only `masked` for an agency, other numbers not at all."""
    said: Json = {"resourceType": "Patient", "id": str(patient.id), "meta": meta, "gender": patient.gender}
    numbers = [
        {"system": i.system, "value": identity.mask(i.value) if masked else i.value}
        for i in patient.identifiers
        if i.system == CITIZEN_NUMBER or not masked
    ]
    if numbers:
        said["identifier"] = numbers
    if patient.name:
        said["name"] = [{"text": patient.name}]
    if patient.phone:
        said["telecom"] = [{"system": "phone", "value": patient.phone}]
    if patient.birth_date:
        said["birthDate"] = patient.birth_date.isoformat()
    if patient.address or patient.region:
        where = {"text": patient.address} if patient.address else {}
        said["address"] = [where | (district(patient.region) if patient.region else {})]
    if patient.language:
        said["communication"] = [{"language": language(patient.language)}]
    if patient.deceased:
        said["deceasedBoolean"] = True
    return said


def absorbed(patient: Patient) -> Json:
    """What a record says that another one of the same person took in: that it is out of use, and which one answers for it."""
    if patient.merged_into is None:
        return {}
    other = {"reference": f"Patient/{patient.merged_into}"}
    return {"active": False, "link": [{"other": other, "type": "replaced-by"}]}


def without_numbers(value: Any) -> Any:
    """The same with every citizen number in it masked: in identifiers, and in words that somebody wrote."""
    if isinstance(value, str):
        return identity.without_numbers(value)
    if isinstance(value, dict):
        return {key: without_numbers(inner) for key, inner in value.items()}
    return [without_numbers(inner) for inner in value] if isinstance(value, list) else value


NECESSARY = "urn:yuanshe:necessary"
"""Extension of a Condition, valueBoolean: the hospital says that the agency must know the diagnosis itself."""
DIAGNOSIS_PARTS = (
    "clinicalStatus",
    "verificationStatus",
    "category",
    "severity",
    "subject",
    "encounter",
    "recordedDate",
)


def diagnosis(body: Json) -> Json:
    """A hospital's Condition as an agency reads it: of which chapter of ICD-10 (domain f-7). What is a need and no disease (a
    code of chapter XXI that we map) is read as it is, and what the hospital says is necessary."""
    if any(e.get("url") == NECESSARY and e.get("valueBoolean") is True for e in body.get("extension") or ()):
        return body
    said = {name: body[name] for name in DIAGNOSIS_PARTS if name in body}
    codings = [c for c in (body.get("code") or {}).get("coding") or () if isinstance(c, dict) and c.get("code")]
    if any(codes.needs_of(c.get("system") or "", c["code"]) for c in codings):
        return said | {"code": body["code"]}
    found = [chapter for c in codings if (chapter := codes.diagnosis_chapter(c.get("system") or "", c["code"]))]
    if not found:
        return said | {"code": {"text": "诊断"}}
    coding = [{"system": codes.DIAGNOSIS_CHAPTER, "code": code, "display": codes.label(codes.DIAGNOSIS_CHAPTER, code)}
              for code in dict.fromkeys(found)]  # fmt: skip
    return said | {"code": {"coding": coding}}


STAY_PARTS = ("status", "class", "type", "serviceType", "subject", "period", "length", "hospitalization", "location")


def stay(body: Json) -> Json:
    """A hospital's Encounter as an agency reads it: where the person lies and when they leave. Why they are there is a diagnosis;
    numbers, staff and narrative are the hospital's own."""
    said: Json = {name: body[name] for name in STAY_PARTS if name in body}
    places = [
        {name: one[name] for name in ("resourceType", "id", "name", "physicalType", "address") if name in one}
        for one in body.get("contained") or ()
        if isinstance(one, dict) and one.get("resourceType") in ("Location", "Organization")
    ]
    if places:
        said["contained"] = places
    ours = [e for e in body.get("extension") or () if str(e.get("url", "")).startswith("urn:yuanshe:")]
    return said | {"extension": ours} if ours else said


SAFE_CONTACT = "urn:yuanshe:safe-contact"


def without_why(body: Json) -> Json:
    """As received, but for why a person is to be contacted so: that is sealed, and read by the organisation that gave it alone."""
    changed = body
    if any(each.get("url") == SAFE_CONTACT for each in body.get("extension", ())):
        changed = changed | {"extension": [_without_why(each) for each in body["extension"]]}
    if any(each.get("extension") for each in body.get("contained", ())):
        changed = changed | {"contained": [without_why(each) for each in body["contained"]]}
    return changed


def _without_why(extension: Json) -> Json:
    if extension.get("url") != SAFE_CONTACT:
        return extension
    return extension | {"extension": [part for part in extension.get("extension", ()) if part.get("url") != "why"]}
