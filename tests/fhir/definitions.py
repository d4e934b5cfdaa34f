"""Writes `adapters/fhir/definitions.txt` anew from the models of `fhir.resources`: `python -m tests.fhir.definitions`.

Its R4B models equal R4 for these types but for what is said here: two data types that R4 has not, two references that R4B lets
name more. They also shorten long lists of codes to a `+`, and know no profile of a data type; what is missing of those is
written here, from the R4 pages. A test compares the whole with HL7's own StructureDefinitions where a package brings them.
"""

import importlib
import typing
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

FILE = Path(__file__).parents[2] / "adapters/fhir/definitions.txt"

TYPES = (
    "Task ServiceRequest Patient Encounter Consent Condition Observation QuestionnaireResponse DocumentReference Procedure Goal CarePlan "
    "Communication Provenance RelatedPerson Location Coverage Organization HealthcareService PractitionerRole Practitioner Subscription "
    "CodeSystem Bundle Binary Group Device CareTeam Questionnaire AuditEvent SearchParameter OperationDefinition OperationOutcome Parameters"
)

HEAD = """\
# FHIR R4 (4.0.1) as far as this service speaks it: every element of every type, for adapters/fhir/definitions.py.
#
# Name : Base                      a resource, a data type, or an element with elements of its own
#   name min..max type             `= a b` the codes of a required binding, `(A B)` the types that a reference may name,
#                                  `name[x]` a choice of types; `*` is the open choice of an extension's value
#
# Written by `python -m tests.fhir.definitions`; a test compares.
"""

EVENTS = (
    "MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late NIGHT PHS HS WAKE C CM CD CV AC ACM ACD ACV "
    "PC PCM PCD PCV"
)
CLINICAL = "active recurrence relapse inactive remission resolved"
VERIFICATION = "unconfirmed provisional differential confirmed refuted entered-in-error"
ENCOUNTER = "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown"
BINDINGS = {
    "Task.status": "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed entered-in-error",
    "Encounter.status": ENCOUNTER,
    "Encounter.statusHistory.status": ENCOUNTER,
    "Observation.status": "registered preliminary final amended corrected cancelled entered-in-error unknown",
    "Device.udiCarrier.entryType": "barcode rfid manual card self-reported unknown",
    "Questionnaire.item.type": "group display boolean decimal integer date dateTime time string text url choice open-choice attachment "
    "reference quantity",
    "Quantity.comparator": "< <= >= >",
    "Age.comparator": "< <= >= >",
    "Count.comparator": "< <= >= >",
    "Distance.comparator": "< <= >= >",
    "Duration.comparator": "< <= >= >",
    "Expression.language": "",
    "Timing.repeat.when": EVENTS,
    "AuditEvent.action": "C R U D E",
    "AuditEvent.outcome": "0 4 8 12",
    "AuditEvent.agent.network.type": "1 2 3 4 5",
    "OperationOutcome.issue.code": "invalid structure required value invariant security login unknown expired forbidden suppressed processing "
    "not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly business-rule conflict "
    "transient lock-error no-store exception timeout incomplete throttled informational",
    "Condition.clinicalStatus": f"http://terminology.hl7.org/CodeSystem/condition-clinical {CLINICAL}",
    "Condition.verificationStatus": f"http://terminology.hl7.org/CodeSystem/condition-ver-status {VERIFICATION}",
}
"""Required bindings that the models shorten or leave out, and one that is not required. That of a CodeableConcept begins
with its code system."""

SIMPLE = {
    "Range.low", "Range.high", "SampledData.origin", "Observation.referenceRange.low", "Observation.referenceRange.high",
    "CarePlan.activity.detail.dailyAmount", "CarePlan.activity.detail.quantity", "Dosage.maxDosePerAdministration",
    "Dosage.maxDosePerLifetime", "Dosage.doseAndRate.doseQuantity", "Dosage.doseAndRate.rateQuantity", "Coverage.costToBeneficiary.valueQuantity",
}  # fmt: skip
"""Quantities that may have no comparator (SimpleQuantity)."""

TARGETS = {
    "Observation.subject": ["Device", "Group", "Location", "Patient"],
    "Group.member.entity": [
        "Device",
        "Group",
        "Medication",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Substance",
    ],
}
"""References that R4B lets name more than R4."""

R4B_ONLY = {"CodeableReference", "RatioRange"}
BASES = {
    "Element": ("id", "extension"),
    "BackboneElement": ("id", "extension", "modifierExtension"),
    "Resource": ("id", "meta", "implicitRules", "language"),
    "DomainResource": (
        "id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension",
    ),
}  # fmt: skip
PRIMITIVES = {"bool": "boolean", "EncodedBytes": "base64Binary", "UuidVersion": "uuid"}


def _leaf(annotation: Any) -> Any:
    args = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        return args[1]
    return _leaf(next(a for a in args if a is not type(None))) if args else annotation


class Writer:
    def __init__(self) -> None:
        self.names: dict[Any, str] = {}
        self.blocks: dict[str, list[str]] = {}
        self.every: list[str] = []

    def name_of(self, model: Any, path: str) -> str:
        """A data type by its own name, a part of something by its path; and see that it is written."""
        if model not in self.names:
            whole = model.__module__.rpartition(".")[2] == model.__name__.lower()
            self.names[model] = model.__name__ if whole else path
            self.write(model, self.names[model])
        return self.names[model]

    def write(self, model: Any, name: str) -> None:
        lines: list[str] = []
        self.blocks[name] = lines
        base = next(base.__name__ for base in model.__mro__[1:] if base.__name__ in BASES)
        lines.append(f"{name} : {base}")
        choices: dict[str, list[str]] = {}
        for key in model.elements_sequence():
            if key in BASES[base]:
                continue
            field = next(f for n, f in model.model_fields.items() if (f.alias or n) == key)
            said = field.json_schema_extra or {}
            leaf = _leaf(field.annotation)
            if str(getattr(leaf, "_model_klass", "")).rpartition(".")[2] in R4B_ONLY:
                continue
            kind = self.kind(leaf, f"{name}.{key}", said)
            if group := said.get("one_of_many"):
                if group not in choices:
                    choices[group] = [f"{int(bool(said.get('one_of_many_required')))}..1"]
                    lines.append(group)
                choices[group].append(kind)
                continue
            many = "List" in str(field.annotation)
            least = field.is_required() or said.get("element_required")
            lines.append(f"  {key} {int(bool(least))}..{'*' if many else '1'} {kind}")
        for position, line in enumerate(lines):
            if line in choices:
                cardinality, *kinds = choices[line]
                if len(kinds) > 40:
                    self.every, kinds = kinds, ["*"]
                lines[position] = f"  {line}[x] {cardinality} {' | '.join(kinds)}"

    def kind(self, leaf: Any, path: str, said: dict[str, Any]) -> str:
        model_path = getattr(leaf, "_model_klass", None)
        if model_path:
            module, _, cls = str(model_path).rpartition(".")
            if cls == "Resource":
                return "Resource"
            model = getattr(importlib.import_module(module), cls)
            kind = self.name_of(model, path)
            if kind == "Reference":
                targets = TARGETS.get(path) or said.get("enum_reference_types", ["Resource"])
                return kind if targets == ["Resource"] else f"Reference({' '.join(sorted(targets))})"
            if kind == "Quantity" and path in SIMPLE:
                return "SimpleQuantity"
        else:
            kind = leaf.__name__ if isinstance(leaf, type) else type(leaf).__name__
            kind = PRIMITIVES.get(kind, kind[0].lower() + kind[1:])
        codes = BINDINGS.get(path, " ".join(said.get("enum_values", ())))
        return f"{kind} = {codes}" if codes else kind


def text() -> str:
    writer = Writer()
    writer.blocks["Element"] = ["Element", "  id 0..1 string", "  extension 0..* Extension"]
    writer.blocks["BackboneElement"] = ["BackboneElement : Element", "  modifierExtension 0..* Extension"]
    writer.blocks["Resource"] = [
        "Resource",
        "  id 0..1 id",
        "  meta 0..1 Meta",
        "  implicitRules 0..1 uri",
        "  language 0..1 code",
    ]
    writer.blocks["DomainResource"] = [
        "DomainResource : Resource", "  text 0..1 Narrative", "  contained 0..* Resource", "  extension 0..* Extension",
        "  modifierExtension 0..* Extension",
    ]  # fmt: skip
    writer.blocks["SimpleQuantity"] = ["SimpleQuantity : Quantity"]
    for type in ("Meta", "Extension", "Narrative", *TYPES.split()):
        writer.name_of(get_fhir_model_class(type), type)
    return (
        HEAD
        + "\n* "
        + " | ".join(writer.every)
        + "\n\n"
        + "\n\n".join("\n".join(block) for block in writer.blocks.values())
        + "\n"
    )


if __name__ == "__main__":
    FILE.write_text(text())
