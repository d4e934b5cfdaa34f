"""A consent that is given, or withdrawn, after the referral was sent: the fields of the form as FHIR resources, kept as a program's would be."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.web.speech import noted
from service.access.model import Actor
from service.values import Id

Json = dict[str, Any]

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
WITNESS = "urn:yuanshe:witness"

MISSING = {
    "agency": noted("请选择同意书写明的机构"),
    "guardian": noted("请写监护人的姓名"),
    "witness": noted("口头同意要有见证人：请写见证人的姓名"),
    "agree": noted("请确认已向签署人说明，并得到同意"),
}


def lacking(said: Mapping[str, str], agencies: Sequence[str], prefix: str) -> list[tuple[str, str]]:
    """What the form lacks: field and words each, in the order of the form."""
    found: list[tuple[str, str]] = []
    if not agencies:
        found.append((f"{prefix}-agency", MISSING["agency"]))
    if said.get("signer") == "guardian" and not said.get("guardian", "").strip():
        found.append((f"{prefix}-guardian", MISSING["guardian"]))
    if said.get("how") == "spoken" and not said.get("witness", "").strip():
        found.append((f"{prefix}-witness", MISSING["witness"]))
    if said.get("agree") != "yes":
        found.append((f"{prefix}-agree", MISSING["agree"]))
    return found


def bundle(
    said: Mapping[str, str], agencies: Sequence[str], patient: Id, referral: Id, actor: Actor, now: datetime
) -> Json:
    """The consent to disclose with whoever signed and heard it, as one transaction."""
    person, entries = f"Patient/{patient}", list[Json]()
    signer = person
    if said.get("signer") == "guardian":
        signer = f"urn:uuid:{uuid.uuid4()}"
        related: Json = {
            "resourceType": "RelatedPerson", "patient": {"reference": person}, "name": [{"text": said["guardian"].strip()}],
            "relationship": [{"text": said.get("relation", "").strip() or "监护人"}],
        }  # fmt: skip
        entries.append(_entry(signer, related))
    how: Json = {"sourceAttachment": {"title": "知情同意书（纸质，存病历）"}}
    if said.get("how") == "spoken":
        named = said["witness"].strip()
        # Staff of the ward are in no directory of ours: the consent itself says who it was.
        heard: Json = {"reference": f"Practitioner/{uuid.uuid4()}", "display": named}
        if said.get("witness_role") == "relative":
            heard = {"reference": f"urn:uuid:{uuid.uuid4()}", "display": named}
            relative = {"resourceType": "RelatedPerson", "patient": {"reference": person}, "name": [{"text": named}]}
            entries.append(_entry(heard["reference"], relative))
        verified = {
            "verified": True,
            "verifiedWith": {"reference": signer},
            "verificationDate": now.isoformat(timespec="seconds"),
        }
        how = {"verification": [verified | {"extension": [{"url": WITNESS, "valueReference": heard}]}]}
    role = {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}
    consent: Json = {
        "resourceType": "Consent", "status": "active", "scope": {"coding": [{"system": SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": ACT_CODE, "code": "IDSCL"}], "text": "同意披露身份"}], "patient": {"reference": person},
        "dateTime": now.isoformat(timespec="seconds"), "performer": [{"reference": signer}],
        "organization": [{"reference": f"Organization/{actor.organization}"}],
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTIN"}]},
        "provision": {
            "type": "permit", "actor": [{"role": role, "reference": {"reference": f"Organization/{agency}"}} for agency in agencies],
            "data": [{"meaning": "related", "reference": {"reference": f"ServiceRequest/{referral}"}}],
        },
    }  # fmt: skip
    entries.append(_entry(f"urn:uuid:{uuid.uuid4()}", consent | how))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _entry(url: str, resource: Json) -> Json:
    return {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}


def basis(kind: str, agency: str, text: str, referral: Id, now: datetime) -> Json:
    """A lawful basis in place of a consent, opened to one agency."""
    return {
        "resourceType": "Provenance", "target": [{"reference": f"ServiceRequest/{referral}"}],
        "recorded": now.isoformat(timespec="seconds"),
        "reason": [{"coding": [{"system": ACT_REASON, "code": kind}]} | ({"text": text} if text else {})],
        "agent": [{"who": {"reference": f"Organization/{agency}"}}],
    }  # fmt: skip
