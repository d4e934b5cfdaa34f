"""Where base R4 defines its search parameters: by a type of their own, or once for several types (search-parameters.json)."""

BASE = "http://hl7.org/fhir/SearchParameter"

SHARED: dict[str, tuple[str, frozenset[str]]] = {
    "patient": ("clinical", frozenset(
        {"CarePlan", "CareTeam", "Condition", "Consent", "DocumentReference", "Encounter", "Goal", "Observation", "Procedure", "ServiceRequest"})),
    "code": ("clinical", frozenset({"Condition", "Observation", "Procedure", "ServiceRequest"})),
    "date": ("clinical", frozenset({"CarePlan", "CareTeam", "Consent", "Encounter", "Observation", "Procedure"})),
    "encounter": ("clinical", frozenset({"DocumentReference", "Observation", "Procedure", "ServiceRequest"})),
    "identifier": ("clinical", frozenset(
        {"CarePlan", "CareTeam", "Condition", "Consent", "DocumentReference", "Encounter", "Goal", "Observation", "Procedure", "ServiceRequest"})),
    "type": ("clinical", frozenset({"DocumentReference", "Encounter"})),
    "birthdate": ("individual", frozenset({"Patient", "RelatedPerson"})),
    "gender": ("individual", frozenset({"Patient", "Practitioner", "RelatedPerson"})),
    "phone": ("individual", frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"})),
    "email": ("individual", frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"})),
    "telecom": ("individual", frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson"})),
    "address": ("individual", frozenset({"Patient", "Practitioner", "RelatedPerson"})),
    "family": ("individual", frozenset({"Patient", "Practitioner"})),
    "given": ("individual", frozenset({"Patient", "Practitioner"})),
    **dict.fromkeys(("url", "name", "status", "title", "version", "description", "publisher"), (
        "conformance", frozenset({"CodeSystem", "OperationDefinition", "SearchParameter"}))),
}  # fmt: skip
"""Parameters that several types share: name → the family that defines them, and the types here that have them from it."""

CANONICAL = frozenset({("QuestionnaireResponse", "questionnaire")})
"""Parameters over a canonical URL that R4 calls references; their values are those URLs."""


def definition(type: str, name: str) -> str:
    """The canonical URL of a base parameter: `http://hl7.org/fhir/SearchParameter/clinical-patient`."""
    if name.startswith("_"):
        return f"{BASE}/Resource-{name[1:]}"
    family, types = SHARED.get(name, (type, frozenset[str]()))
    return f"{BASE}/{family if type in types else type}-{name}"
