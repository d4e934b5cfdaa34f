"""A referral and its Tasks as stored, each as far along as a test wants it: what the reading half reads."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from service import db
from service.access.model import Actor
from service.consent import store as consents
from service.db import Session
from service.patients import store as patients
from service.patients.model import CITIZEN_NUMBER, Identifier, Patient
from service.practice import PLATFORM
from service.records import store as records
from service.records.model import Record
from service.referrals import store
from service.referrals.model import NextStep, Output, Receipt, Referral, Task
from service.values import Id, Reason, new_id, unlinkable_id

NOW = datetime(2026, 3, 2, 1, 30, 0, 250, tzinfo=UTC)
CITIZEN = "520502195203150020"
PLACER = "urn:his-a:placer"


def actor(organization: Id, role: str, *scopes: str) -> Actor:
    return Actor(new_id(), "client", organization, role, role, scopes or ("system/*.cruds",))


def body(**elements: Any) -> bytes:
    return msgspec.json.encode(elements)


class World:
    """One hospital, another one, two agencies; who reads, and what is stored. No directory: nothing here routes."""

    def __init__(self, database: db.Database) -> None:
        self.database = database
        self.hospital = actor(new_id(), "hospital")
        self.stranger = actor(new_id(), "hospital")
        self.a = actor(new_id(), "agency")
        self.b = actor(new_id(), "agency")
        self.platform = actor(PLATFORM, "platform")
        self.auditor = actor(new_id(), "auditor")
        self.patient = Patient(
            new_id(), self.hospital.organization, 1, (Identifier(CITIZEN_NUMBER, CITIZEN), Identifier("urn:his-a:mrn", "A-77")), NOW,
            name="王秀兰", phone="13800000000", birth_date=date(1952, 3, 15), gender="female", address="德溪路1号", region="520502001",
            language="zh",
        )  # fmt: skip
        self.received: dict[str, Any] = {}

    async def arrive(self) -> None:
        """The patient is stored as the hospital sent them."""
        self.received["Patient"] = {
            "resourceType": "Patient", "id": "from-his", "meta": {"versionId": "99", "profile": ["urn:his-a:profile"]},
            "identifier": [{"system": CITIZEN_NUMBER, "value": CITIZEN}, {"system": "urn:his-a:mrn", "value": "A-77"}],
            "name": [{"family": "王", "given": ["秀兰"]}], "extension": [{"url": "urn:his-a:colour", "valueString": "青"}],
        }  # fmt: skip
        async with self.database.transaction(self.hospital.scope) as session:
            await patients.save(session, self.patient)
            await records.keep(
                session,
                [Record(self.patient.id, 1, "Patient", "identity", self.hospital.organization, body(**self.received["Patient"]), NOW,
                        hospital=self.hospital.organization, patient=self.patient.id)],
            )  # fmt: skip

    async def refer(self, *needs: str, number: str = "R-1", at: datetime = NOW, **values: Any) -> tuple[Referral, Task]:
        """A placed request and its parent Task, as received."""
        id, parent = new_id(), new_id()
        referral = Referral(
            id, 1, self.hospital.organization, PLACER, number, self.patient.id, parent, "active", needs or ("N05",), "routine", "urgent",
            "60-74", "female", 1, at, at, region="520502001", language="zh", **values,
        )  # fmt: skip
        request = {
            "resourceType": "ServiceRequest", "id": "from-his", "status": "active", "intent": "order", "priority": "routine",
            "identifier": [{"system": PLACER, "value": number}], "authoredOn": "2026-03-02T09:00:00+08:00",
            "category": [{"coding": [{"system": "urn:yuanshe:need", "code": need, "extension": [{"url": "urn:his-a:x", "valueString": "王秀兰"}]}
                                     for need in referral.needs]}],
            "code": {"text": "出院安置"}, "subject": {"reference": "Patient/old", "display": "王秀兰"},
            "requester": {"reference": "Practitioner/doctor"}, "occurrenceDateTime": "2026-02-10T10:00:00+08:00", "note": [{"text": "住六楼", "authorString": "李医生"}],
            "supportingInfo": [{"reference": "Consent/00000000-0000-4000-8000-000000000000"}],
            "extension": [{"url": "urn:his-a:ward", "valueString": "心内科"}],
            "contained": [{"resourceType": "Patient", "id": "p", "name": [{"text": "王秀兰"}]}],
            "_authoredOn": {"extension": [{"url": "urn:his-a:by", "valueString": "李医生"}]},
        }  # fmt: skip
        task = {
            "resourceType": "Task", "id": "t", "status": "requested", "intent": "order", "code": {"text": "?"},
            "identifier": [{"system": "urn:his-a:task", "value": f"T-{number}"}], "authoredOn": "2026-03-02T09:00:00+08:00",
            "input": [{"type": {"text": "附加"}, "valueString": "轮椅"}], "extension": [{"url": "urn:his-a:floor", "valueInteger": 6}],
            "focus": {"reference": "ServiceRequest/old"}, "statusReason": {"text": "?"},
        }  # fmt: skip
        self.received |= {"ServiceRequest": request, "Task": task}
        whole = Task(
            parent, "parent", 1, id, self.hospital.organization, "requested", "urgent", referral.needs, at, at, patient=self.patient.id,
            received=1, business_status="offered", due_at=at + timedelta(hours=4),
        )  # fmt: skip
        step = NextStep(
            id, self.hospital.organization, None, "coordinator", PLATFORM, None, "place", parent, at, at + timedelta(hours=3), at + timedelta(hours=4)
        )  # fmt: skip
        async with self.database.transaction(self.hospital.scope) as session:
            await store.claim_number(session, self.hospital.organization, PLACER, number, b"x" * 32, id, ())
            await store.insert(session, referral, [whole], step)
            await store.add_populations(session, referral)
            await records.keep(
                session,
                [Record(one, 1, type, "request", self.hospital.organization, body(**content), at, hospital=self.hospital.organization,
                        patient=self.patient.id, referral=id, returned=True)
                 for one, type, content in ((id, "ServiceRequest", request), (parent, "Task", task))],
            )  # fmt: skip
        return referral, whole

    async def offer(self, referral: Referral, agency: Actor | None, at: datetime = NOW, **values: Any) -> Task:
        """A share on offer to an agency; to whoever is named in `open_to` when there is none."""
        open_to = values.pop("open_to", ())
        share = Task(
            new_id(), "share", 1, referral.id, referral.hospital, "requested", referral.effective_urgency, referral.needs, at, at,
            agency=agency.organization if agency else None, stand_in=unlinkable_id(), filler=new_id(), filler_version=1, filler_at=at,
            part_of=referral.parent, business_status="offered", region="520502001", language="zh", age_band="60-74", gender="female",
            due_at=at + timedelta(hours=4),
        )  # fmt: skip
        share = msgspec.structs.replace(share, **values)
        async with self.database.transaction(self.platform.scope) as session:
            await store.save_tasks(session, [share])
            await store.open_offer(session, share.id, [each.organization for each in open_to])
        return share

    async def follow_up(self, referral: Referral, agency: Actor | None, patient: Id | None) -> Task:
        task = Task(
            new_id(), "follow-up", 1, referral.id, referral.hospital, "accepted", "routine", referral.needs, NOW, NOW,
            agency=agency.organization if agency else None, patient=patient, window_from=NOW, window_to=NOW + timedelta(days=2),
        )  # fmt: skip
        async with self.database.transaction(self.platform.scope) as session:
            await store.save_tasks(session, [task])
        return task

    async def move(self, task: Task, at: datetime = NOW, **values: Any) -> Task:
        """The Task's next version; its filler request's too where that shows it."""
        moved = msgspec.structs.replace(task, version=task.version + 1, updated_at=at, **values)
        if moved.filler_face != task.filler_face:
            moved = msgspec.structs.replace(moved, filler_version=moved.filler_version + 1, filler_at=at)
        async with self.database.transaction(self.platform.scope) as session:
            assert await store.save_tasks(session, [moved])
        return moved

    async def disclose(self, share: Task, at: datetime = NOW) -> Task:
        """Identity opens: the grant row, and the share's next version that names the person."""
        async with self.database.transaction(self.platform.scope) as session:
            assert share.agency
            wanted = [consents.Wanted(share.agency, share.id, "consent", new_id())]
            await consents.disclose(session, share.referral, self.patient.id, share.hospital, wanted, at)
        return await self.move(
            share, at, status="accepted", business_status="accepted", patient=self.patient.id, accepted_at=at
        )

    async def end(self, share: Task, at: datetime = NOW) -> Task:
        """The share is completed and identity closes."""
        async with self.database.transaction(self.platform.scope) as session:
            assert share.agency
            await consents.disclose(session, share.referral, self.patient.id, share.hospital, [], at)
        done = await self.move(
            share, at, status="completed", business_status="closed", reason=Reason("goals-met", "已安置"), ended_at=at, due_at=None,
            outputs=(Output("resulting-activity", {"type": {"text": "结果"}, "valueString": "已入住"}),),
        )  # fmt: skip
        await self.keep(
            Record(new_id(), 1, "Communication", "message", share.agency, msgspec.json.encode(
                       Receipt(share.id, share.referral, Reason("goals-met", "已安置"), at)), at, hospital=share.hospital,
                   agency=share.agency, referral=share.referral, task=share.id, returned=True, status="completed", code="receipt"),
        )  # fmt: skip
        return done

    async def keep(self, *kept: Record) -> None:
        async with self.database.transaction(self.platform.scope) as session:
            await records.keep(session, kept)

    async def in_scope(self, who: Actor, run: Any) -> Any:
        """What `run(session)` answers in the reader's own row scope."""
        async with self.database.transaction(who.scope) as session:
            return await run(session)


def touched(session: Session) -> set[Id]:
    return session.patients
