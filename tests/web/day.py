"""An ordinary day at the demo's partners: referrals in every state, for looking at pages. Everybody in it is invented."""

from typing import Any

import msgspec

from service.values import new_id
from tests.http.filing import filled
from tests.http.loop import attempt, crisis, discharge, done, follow_ups, message, procedure
from tests.http.world import Referred, World, closed, output, reason

PEOPLE = (
    ("王秀兰", "female", "1948-05-02"), ("李国华", "male", "1959-11-20"), ("张小雨", "female", "1999-03-09"), ("刘建军", "male", "1972-07-31"),
    ("杨桂英", "female", "1951-01-18"), ("赵明", "male", "1966-09-05"), ("周玉珍", "female", "1939-12-01"), ("吴强", "male", "1980-04-23"),
    ("郑慧", "female", "1991-08-14"), ("孙福生", "male", "1945-02-27"),
)  # fmt: skip
WARDS = ("神经内科 3 病区", "骨科 1 病区", "儿科", "肿瘤科 2 病区", "老年科")


class Day(msgspec.Struct):
    """What came about, by what it shows."""

    offered: Referred
    urgent: Referred
    asked: Referred
    awaiting: Referred
    serving: Referred
    held: Referred
    left: Referred
    ended: Referred
    crisis: Referred
    nobody: Referred
    share: dict[str, Any]
    """The share that is being served, with notes."""
    follow_up: dict[str, Any]
    offer: dict[str, Any]
    """The newest offer, still to be answered."""
    draft: str
    """What nurse-a has begun to refer: somebody who is in hospital and has a referral for another need."""


async def a_day(world: World) -> Day:
    """Let a day come about over the FHIR surface, as the partners' programs would."""
    met = iter(range(len(PEOPLE)))

    async def refer(*needs: str, priority: str = "routine", text: str = "出院后需要帮助") -> Referred:
        n = next(met)
        name, gender, born = PEOPLE[n]
        return await world.refer(
            *needs, number=f"ZJ2026{n + 311:04}", mrn=f"ZY20261{n + 101:03}",
            patient={"name": [{"text": name}], "gender": gender, "birthDate": born},
            encounter={"location": [{"location": {"display": WARDS[n % len(WARDS)]}, "physicalType": {"coding": [{"code": "wa"}]}}]},
            request={"priority": priority, "note": [{"text": text}]},
        )  # fmt: skip

    agency, hospital = world.party("agency-a"), world.party("his-a")
    async with world.as_owner() as owner:
        worker = await owner.fetchval("SELECT worker_id FROM account WHERE login = 'worker-a'")
    mine = {"owner": {"reference": f"PractitionerRole/{worker}"}}

    async def begun(referred: Referred, **changes: Any) -> Any:
        return done(await agency.put(await world.accepted(referred), status="in-progress", **changes))

    serving = await refer("N05", "N09", text="独居，出院后无人照护，希望安排居家服务。")
    share = await begun(serving, **mine)
    await filled(world, share, "intake-form", "service-consent")
    for minutes, kind in ((40, "discharge-planning"), (25, "counselling"), (15, "resource-linkage")):
        code = {"coding": [{"system": "urn:yuanshe:service-type", "code": kind}]}
        made = await agency.post(
            "Procedure", procedure(share, code=code, note=[{"text": f"会谈约 {minutes} 分钟，情绪平稳。"}])
        )
        if made.status != 201:
            done(await agency.post("Procedure", procedure(share)))
    held = await refer("N02")
    paused = await begun(held, **mine)
    done(await agency.put(paused, status="on-hold", statusReason={"text": "服务对象外出就医，两周后恢复"}))
    left = await refer("N05")
    await begun(left, **mine)
    done(await discharge(world, left))
    follow_up = (await follow_ups(agency, left))[0]
    done(await agency.post("Communication", attempt(follow_up, reached=False)))
    ended = await refer("N04")
    done(await agency.put(await begun(ended), status="completed", statusReason=closed(), output=[output()]))
    awaiting = await refer("N03")
    await world.accepted(awaiting, consent=False)
    asked = await refer("N10")
    offer = await world.offer(asked)
    question = message("question", f"Task/{offer['id']}", payload=[{"contentString": "家里有电梯吗？需要轮椅进出。"}])
    done(await agency.post("Communication", question))
    raised = await refer("N03", priority="asap")
    await begun(raised)
    done(await hospital.post("Communication", crisis("raised", raised.request, "言语中流露轻生念头")))
    urgent = await refer("N12", priority="asap")
    nobody = await refer("N17")
    offered = await refer("N01", text="住院费用有困难，希望了解救助。")
    other = await world.refer("N05", patient={"name": [{"text": "钱立"}], "gender": "male", "birthDate": "1962-06-06"})
    done(await agency.put(await world.offer(other), status="rejected", statusReason=reason("no-capacity")))
    begins = {
        "number": ["ZY20261102"], "need": ["N01", "N05"], "urgency": ["urgent"], "reason": ["医保停缴，住院费已欠；家在四楼无电梯，术后下不了楼。"],
        "consent": ["yes"], "signer": ["self"], "agree_refer": ["1"], "agree_identity": ["1"], "how": ["written"],
        "agency": [world.organizations["agency-a"].split("/")[1]],
    }  # fmt: skip
    async with world.as_owner() as owner:
        draft = await owner.fetchval(
            "INSERT INTO referral_draft (id, hospital_id, account_id, content, created_at, changed_at)"
            " SELECT $1, organization_id, id, $2, now(), now() FROM account WHERE login = 'nurse-a' RETURNING id",
            new_id(), msgspec.json.encode(begins).decode(),
        )  # fmt: skip
    return Day(
        offered, urgent, asked, awaiting, serving, held, left, ended, raised, nobody,
        await agency.read(f"Task/{share['id']}"), await agency.read(f"Task/{follow_up['id']}"), await world.offer(offered),
        str(draft),
    )  # fmt: skip
