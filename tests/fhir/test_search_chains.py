"""Chains, `_has`, includes both ways, and the shapes of an answer: what they find, and that they show nobody more than a read would."""

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from adapters.fhir import shaping
from adapters.fhir.rows import Param
from adapters.fhir.surface import SURFACE
from service.access.model import Actor
from service.errors import Forbidden, Malformed
from service.patients.model import CITIZEN_NUMBER
from service.records.model import Record
from service.referrals.model import Task
from service.values import Id, new_id
from tests.fhir.asked import ask, ids, link, named
from tests.fhir.world import CITIZEN, NOW, PLACER, World, actor, body


async def wrote(world: World, by: Actor, type: str, share: Task | None = None, **elements: Any) -> Id:
    """A resource that an organisation wrote: of its own work on a share, or of its patient."""
    id = new_id()
    agency = by.organization if by.side == "agency" else None
    await world.keep(
        Record(id, 1, type, "work" if agency else "supporting", by.organization, body(resourceType=type, status="completed", **elements), NOW,
               hospital=world.hospital.organization, agency=agency, task=share.id if share else None,
               referral=share.referral if share else None, patient=None if agency else world.patient.id)
    )  # fmt: skip
    return id


async def test_a_chain_finds_by_what_a_reference_leads_to(world: World) -> None:
    referral, parent = await world.refer("N05")
    other, other_parent = await world.refer("N06", number="R-2")
    share = await world.offer(referral, world.a)
    answers = await wrote(
        world, world.hospital, "QuestionnaireResponse", subject={"reference": f"Patient/{world.patient.id}"}
    )
    seen = await wrote(
        world,
        world.hospital,
        "Observation",
        code={"text": "x"},
        derivedFrom=[{"reference": f"QuestionnaireResponse/{answers}"}],
    )
    every = named(parent, other_parent, share)
    for query, found in {
        f"Task?patient.identifier={CITIZEN_NUMBER}|{CITIZEN}": every,
        f"Task?subject.identifier={CITIZEN}": every,
        f"Task?patient:Patient.identifier={CITIZEN}": every,
        f"Task?patient:identifier={CITIZEN_NUMBER}|{CITIZEN}": every,
        "Task?patient.name=王&patient.gender=female": every,
        "Task?patient.gender:not=female": set(),
        f"Task?focus.identifier={PLACER}|R-2": named(other_parent),
        "Task?focus.status=active": every,
        "Task?focus.status:not=active": set(),
        "Task?focus.category=urn:yuanshe:need|N05": named(parent, share),
        "Task?focus.intent=filler-order": named(share),
        "Task?focus:ServiceRequest.intent=order": named(parent, other_parent),
        "Task?part-of.status=requested": named(share),
        "Task?part-of.identifier=T-R-1": named(share),
        f"Task?focus.based-on={referral.id}": named(share),
        "ServiceRequest?based-on.identifier=R-1": named(share.filler),
        f"ServiceRequest?patient.phone=13800000000&identifier={PLACER}|R-2": named(other),
        "Observation?derived-from.status=completed": named(seen),
        "Observation?derived-from:QuestionnaireResponse.status=completed": named(seen),
        "Observation?derived-from:Observation.status=completed": set(),
        f"Observation?derived-from.patient={world.patient.id}": named(seen),
        f"Patient?_has:Task:patient:status=requested&identifier={CITIZEN}": named(world.patient),
        "Patient?_has:Task:patient:status=completed": set(),
        "Patient?_has:Task:patient:status:not=completed": named(world.patient),
        "ServiceRequest?_has:Task:focus:status=requested": named(referral, other, share.filler),
        f"ServiceRequest?_has:Task:focus:owner={world.a.organization}": named(share.filler),
        "ServiceRequest?_has:Task:focus:identifier=T-R-2": named(other),
        f"ServiceRequest?_has:ServiceRequest:based-on:performer={world.a.organization}": named(referral),
        f"Task?_has:Task:part-of:owner={world.a.organization}": named(parent),
        "QuestionnaireResponse?_has:Observation:derived-from:status=completed": named(answers),
        "QuestionnaireResponse?_has:Observation:derived-from:status=final": set(),
        "Patient?_has:QuestionnaireResponse:patient:status=completed": named(world.patient),
    }.items():  # fmt: skip
        bundle = await ask(world, world.hospital, query, handling_strict=True, whole=False)
        assert (ids(bundle), bundle["total"]) == (found, len(found)), query


async def test_a_chain_of_two_steps_is_ignored_or_refused_when_strict(world: World) -> None:
    _, parent = await world.refer("N05")
    for query in ("Task?focus.patient.identifier=1", "Patient?_has:Task:patient:focus.status=x", "Patient?_has:Task:patient:_has:Task:part-of:status=x",
                  "Task?focus.colour=x", "Task?status.code=x", "Patient?_has:Task:owner:status=x", "Patient?_has:Colour:patient:status=x",
                  "Task?owner:Patient.name=x", "Patient?_has:Task:patient", "Task?output.status=x"):  # fmt: skip
        ignored = await ask(world, world.hospital, query)
        assert ids(ignored) == (named(parent) if query.startswith("Task") else named(world.patient)), query
        assert "?" not in (link(ignored, "self") or "?")
        with pytest.raises(Malformed) as refused:
            await ask(world, world.hospital, query, handling_strict=True)
        assert query.partition("?")[2].partition("=")[0] in refused.value.issues[0].text


async def test_a_modifier_that_there_is_not_is_refused_by_its_name(world: World) -> None:
    for query, modifier in {
        "Task?status:exact=requested": ":exact", "Task?patient:Group=x": ":Group", "Task?patient:colour=x": ":colour", "CodeSystem?url:below=urn:": ":below",
        "Task?_lastUpdated:not=2026": ":not", "Patient?name:text=x": ":text", "Task?patient.name:in=x": ":in", "Patient?_has:Task:patient:status:in=x": ":in",
        "Task?_id:above=x": ":above", "Task?status:=requested": "", "Patient?identifier:of-type=x|y|z": ":of-type",
    }.items():  # fmt: skip
        if modifier:
            with pytest.raises(Malformed) as refused:
                await ask(world, world.hospital, query)
            assert modifier in refused.value.issues[0].text, query


async def test_a_chain_needs_the_scope_of_the_type_at_its_other_end(world: World) -> None:
    referral, parent = await world.refer("N05")
    narrow = actor(world.hospital.organization, "hospital", "system/Task.rs")
    assert ids(await ask(world, narrow, f"Task?focus=ServiceRequest/{referral.id}")) == named(parent)
    for query in (
        "Task?focus.status=active",
        "Task?patient.gender=female",
        f"Task?patient:identifier={CITIZEN}",
        "Task?owner.name=x",
    ):
        with pytest.raises(Forbidden):
            await ask(world, narrow, query)
    narrow = actor(world.hospital.organization, "hospital", "system/Patient.rs")
    with pytest.raises(Forbidden):
        await ask(world, narrow, "Patient?_has:Task:patient:status=requested")


def _steps() -> list[tuple[str, Param]]:
    """Every parameter of every type by which one could come upon a person: those of Patient, and every reference."""
    return [
        (name, param) for name, type in SURFACE.items() if type.room in ("task", "request", "patient", "record", "group") and "search-type" in type.interactions
        for param in type.params if param.kind == "reference" or name == "Patient"
    ]  # fmt: skip


async def test_behaviour_38_an_agency_comes_upon_nobody_who_is_not_disclosed_to_it_by_any_way_round(
    world: World,
) -> None:
    referral, parent = await world.refer("N05")
    share = await world.offer(referral, world.a)
    hidden = named(world.patient, referral, parent)
    for type in (
        "Condition",
        "Observation",
        "Consent",
        "Encounter",
        "DocumentReference",
        "QuestionnaireResponse",
        "Coverage",
        "RelatedPerson",
    ):
        subject = {"reference": f"Patient/{world.patient.id}"}
        about = [{"reference": f"ServiceRequest/{referral.id}"}]
        hidden |= named(
            await wrote(
                world, world.hospital, type, subject=subject, patient=subject, beneficiary=subject, basedOn=about
            )
        )
    # What the hospital wrote to the agency names nobody to it, whatever the hospital wrote.
    message = new_id()
    await world.keep(
        Record(message, 1, "Communication", "message", world.hospital.organization, body(
                   resourceType="Communication", status="completed", subject={"reference": f"Patient/{world.patient.id}"},
                   identifier=[{"system": CITIZEN_NUMBER, "value": CITIZEN}], about=[{"reference": f"Task/{share.id}"}, {"reference": f"ServiceRequest/{referral.id}"}],
                   recipient=[{"reference": f"Patient/{world.patient.id}"}], sender={"reference": f"Patient/{world.patient.id}"}), NOW,
               hospital=world.hospital.organization, agency=world.a.organization, referral=referral.id, task=share.id)
    )  # fmt: skip
    assert ids(await ask(world, world.a, "Communication", whole=False)) == named(message)
    patient, request = world.patient.id, referral.id
    for query in (f"identifier={CITIZEN}", f"recipient=Patient/{patient}", f"recipient={patient}", f"sender=Patient/{patient}", f"sender={patient}",
                  "identifier:missing=false", f"subject={patient}", f"about:identifier={CITIZEN}", "about.identifier=R-1"):  # fmt: skip
        assert not ids(await ask(world, world.a, f"Communication?{query}", whole=False)), query
    assert ids(await ask(world, world.a, "Communication?identifier:missing=true", whole=False)) == named(message)
    for name in ("王", "秀兰", "王秀兰"):
        assert not ids(await ask(world, world.a, f"Patient?name={name}")) | ids(
            await ask(world, world.a, f"Task?patient.name={name}")
        )
    asked: list[tuple[str, set[str]]] = []
    for name, param in _steps():
        if name == "Patient":
            values = {
                "name": "王",
                "birthdate": "1952-03-15",
                "phone": "13800000000",
                "gender": "female",
                "identifier": CITIZEN,
            }
            said = values.get(param.name, "ge2000" if param.kind == "date" else str(patient))
            asked.append((f"Patient?{param.name}={said}", set()))
            for source, type in SURFACE.items():
                for leading in type.params:
                    if (
                        leading.kind == "reference"
                        and "Patient" in leading.targets
                        and "search-type" in type.interactions
                    ):
                        asked.append((f"{source}?{leading.name}.{param.name}={said}", set()))
        for target, id in (("Patient", patient), ("ServiceRequest", request), ("Task", parent.id)):
            if target in param.targets:
                # An agency knows the number of the parent Task from its share, and what leads to it from there.
                own = named(share) if (name, param.name) == ("Task", "part-of") else set[str]()
                asked.append((f"{name}?{param.name}={target}/{id}", own))
                asked.append((f"{name}?{param.name}={id}", own))
                asked.append((f"{target}?_has:{name}:{param.name}:_lastUpdated=ge2000&_id={id}", set()))
                asked.append((f"{target}?_has:{name}:{param.name}:_lastUpdated=ge2000", named(share.filler, share)))
    assert len(asked) > 100
    for query, own in asked:
        type = query.partition("?")[0]
        if world.a.side not in SURFACE[type].who:
            continue
        bundle = await ask(world, world.a, query, whole=False)
        assert not ids(bundle) & hidden and not ids(bundle) & named(message), query
        if "_has" not in query:
            assert (ids(bundle), bundle["total"]) == (own, len(own)), query
        assert not ids(await ask(world, world.b, query, whole=False)), query


async def test_behaviour_38_no_include_shows_an_agency_what_a_read_would_not(world: World) -> None:
    referral, _ = await world.refer("N05")
    share = await world.offer(referral, world.a)
    subject = {"reference": f"Patient/{world.patient.id}"}
    condition = await wrote(world, world.hospital, "Condition", subject=subject)
    for name, type in SURFACE.items():
        if world.a.side not in type.who or "search-type" not in type.interactions:
            continue
        includes = "&".join(f"_include={name}:{include}" for include in type.includes)
        leading = "&".join(
            f"_revinclude={source}:{include}" for source, each in SURFACE.items() for include in each.includes
            if (param := each.param(include)) and name in param.targets
        )  # fmt: skip
        bundle = await ask(world, world.a, f"{name}?{includes}&{leading}", handling_strict=True)
        assert not (ids(bundle) | ids(bundle, "include")) & named(world.patient, referral, condition), name
    bundle = await ask(
        world, world.a, "Task?_include=Task:*&_revinclude=ServiceRequest:based-on", handling_strict=False
    )
    assert ids(bundle, "include") == named(share.filler, share.stand_in)
    await world.disclose(share)
    bundle = await ask(
        world,
        world.a,
        f"Patient?_id={world.patient.id}&_revinclude=Task:patient&_revinclude=Condition:patient&_revinclude=ServiceRequest:patient",
        whole=False,
    )
    assert ids(bundle, "include") == named(share, referral, share.filler, condition)


async def test_behaviour_27_includes_come_along_both_ways_once_and_are_not_counted(world: World) -> None:
    referral, parent = await world.refer("N05")
    share = await world.offer(referral, world.a)
    for query, matched, included in (
        ("Task?_include=Task:focus", named(parent, share), named(referral, share.filler)),
        ("Task?_include=Task:focus:ServiceRequest", named(parent, share), named(referral, share.filler)),
        ("Task?_include=Task:focus:Patient", named(parent, share), set()),
        (f"Task?_id={share.id}&_include=Task:*", named(share), named(share.filler, share.stand_in, parent)),
        (f"Task?_id={share.id},{parent.id}&_include=Task:part-of", named(share, parent), set()),
        ("ServiceRequest?_revinclude=Task:focus", named(referral, share.filler), named(parent, share)),
        (f"ServiceRequest?_id={referral.id}&_revinclude=Task:focus&_revinclude=ServiceRequest:based-on", named(referral), named(parent, share.filler)),
        (f"ServiceRequest?_id={referral.id}&_revinclude=Task:focus:ServiceRequest&_include=ServiceRequest:patient", named(referral), named(parent, world.patient)),
        (f"Patient?_id={world.patient.id}&_revinclude=Task:patient", named(world.patient), named(parent, share)),
        (f"Task?_id={new_id()}&_include=Task:focus&_revinclude=Task:part-of", set(), set()),
    ):  # fmt: skip
        bundle = await ask(world, world.hospital, query, handling_strict=True)
        assert (ids(bundle), ids(bundle, "include"), bundle["total"]) == (matched, included, len(matched)), query
        whole = [entry["fullUrl"] for entry in bundle.get("entry", ())]
        assert len(whole) == len(set(whole))
    narrow = actor(world.hospital.organization, "hospital", "system/ServiceRequest.rs")
    bundle = await ask(world, narrow, "ServiceRequest?_revinclude=Task:focus&_include=ServiceRequest:patient")
    assert ids(bundle, "include") == set()
    for query in ("Task?_include:iterate=Task:focus", "ServiceRequest?_revinclude:iterate=Task:focus"):
        with pytest.raises(Malformed):
            await ask(world, world.hospital, query)
    for query in (
        "Task?_include=ServiceRequest:focus",
        "Task?_revinclude=Task:focus",
        "Task?_include=Task:colour",
        "ServiceRequest?_revinclude=*",
    ):
        with pytest.raises(Malformed):
            await ask(world, world.hospital, query, handling_strict=True)


async def test_what_comes_along_is_bounded_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from adapters.fhir import including

    monkeypatch.setattr(including, "MOST", 2)
    for n in range(3):
        await world.refer("N05", number=f"R-{n}")
    bundle = await ask(world, world.hospital, f"Patient?_id={world.patient.id}&_revinclude=Task:patient")
    assert len(ids(bundle, "include")) == 2 and bundle["total"] == 1
    assert [e["resource"]["issue"][0]["code"] for e in bundle["entry"] if e["search"]["mode"] == "outcome"] == [
        "incomplete"
    ]


async def test_a_summary_holds_what_fhir_calls_one_and_says_that_it_is_a_part(world: World) -> None:
    _, parent = await world.refer("N05")
    whole = (await ask(world, world.hospital, f"Task?_id={parent.id}"))["entry"][0]["resource"]
    for query, kept in {
        "_summary=true": {"resourceType", "id", "meta", "status", "intent", "code", "focus", "for", "requester", "owner", "businessStatus", "lastModified"},
        "_summary=text": {"resourceType", "id", "meta", "status", "intent"},
        "_summary=data": set(whole) - {"text"},
        "_elements=for,owner": {"resourceType", "id", "meta", "status", "intent", "for", "owner"},
        "_elements=Task.for&_elements=colour": {"resourceType", "id", "meta", "status", "intent", "for"},
    }.items():  # fmt: skip
        bundle = await ask(world, world.hospital, f"Task?_id={parent.id}&{query}", handling_strict=True)
        part = bundle["entry"][0]["resource"]
        assert set(part) == kept & set(whole), query
        assert part["meta"]["tag"][-1]["code"] == "SUBSETTED"
        assert {name: part[name] for name in part if name != "meta"} == {
            name: whole[name] for name in part if name != "meta"
        }
        assert query.split("&")[0] in (link(bundle, "self") or "")
    bundle = await ask(world, world.hospital, f"Task?_id={parent.id}&_summary=false")
    assert bundle["entry"][0]["resource"] == whole
    bundle = await ask(
        world, world.hospital, f"Task?_id={parent.id}&_elements=status&_include=Task:focus&_include=Task:patient"
    )
    request = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "ServiceRequest")
    assert "category" in request and "tag" not in request["meta"]
    with pytest.raises(Malformed):
        await ask(world, world.hospital, "Task?_summary=short")
    assert not any("tag" in e["resource"]["meta"] for e in (await ask(world, world.hospital, "Task"))["entry"])


@pytest.mark.parametrize("type", SURFACE)
def test_the_table_of_summaries_agrees_with_fhirs_own(type: str) -> None:
    summary, mandatory = shaping.ELEMENTS[type]
    model: Any = get_fhir_model_class(type)
    choices = {
        field.alias or name: (field.json_schema_extra or {}).get("one_of_many")
        for name, field in model.model_fields.items()
    }
    wanted = {f"{choices[name]}[x]" if choices.get(name) else name for name in model.summary_elements_sequence()}
    assert set(summary) == wanted - shaping.ALWAYS
    needed = {
        f.alias or name
        for name, f in model.model_fields.items()
        if f.is_required() or (f.json_schema_extra or {}).get("element_required")
    }
    assert set(mandatory) == needed
