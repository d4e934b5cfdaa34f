"""Routing over the demo network: who is offered what, and what is kept of the decision."""

import pytest

from service.access.model import Actor, operator
from service.db import Database
from service.directory import steps as places
from service.directory import store as directory
from service.directory.flow import set_capacity
from service.directory.model import Organization
from service.routing import flow, steps
from service.routing.model import Decision, Need
from service.values import Id, new_id, utc_now
from tests.directory.network import agent, load, only_service, table

Network = dict[str, Organization]


def named(demo: Network, agency: Id) -> str:
    return next(key for key, each in demo.items() if each.id == agency)


async def route(pool: Database, demo: Network, hospital: str = "hospital-a", **said: object) -> Decision:
    asked = Need(**({"hospital": demo[hospital].id, "needs": ("N05",), "region": "520502001"} | said))  # type: ignore[arg-type]
    async with pool.transaction(agent(demo["hospital-a"], "hospital").scope) as session:
        return await steps.route(session, asked, new_id(), utc_now())


def offered(demo: Network, decision: Decision) -> list[str]:
    return [named(demo, each.agency) for each in decision.offers]


@pytest.mark.parametrize(
    ("needs", "safety", "agencies"),
    [
        (("N05",), False, ["agency-a", "agency-b"]),
        (("N06",), False, ["agency-b"]),
        (("N04",), False, ["agency-a"]),
        (("N17",), False, []),
        (("N04", "N06"), False, []),
        (("N11",), True, ["agency-a"]),
    ],
)
async def test_the_demo_network_routes_as_the_contract_says(
    pool: Database, demo: Network, needs: tuple[str, ...], safety: bool, agencies: list[str]
) -> None:
    decision = await route(pool, demo, needs=needs, safety=safety)
    assert offered(demo, decision) == agencies
    assert {named(demo, each.agency) for each in decision.candidates} == {"agency-a", "agency-b", "agency-c"}
    expired = decision.of(demo["agency-c"].id)
    assert expired is not None and not expired.passes("partnership")
    assert decision.questions == ()


async def test_who_had_its_turn_is_passed_over(pool: Database, demo: Network) -> None:
    tried = frozenset({demo["agency-a"].id})
    assert offered(demo, await route(pool, demo, exclude=tried)) == ["agency-b"]


async def test_a_campus_is_served_by_the_partners_of_its_hospital(pool: Database, demo: Network) -> None:
    assert offered(demo, await route(pool, demo, "hospital-a-east")) == ["agency-a", "agency-b"]
    assert offered(demo, await route(pool, demo, "hospital-b")) == ["agency-b"]


async def test_an_unknown_region_is_asked_for(pool: Database, demo: Network) -> None:
    decision = await route(pool, demo, region=None)
    assert (decision.mode, decision.questions) == ("none", ("no-region",))


async def test_an_old_region_code_is_read_as_the_one_that_took_its_place(pool: Database, demo: Network) -> None:
    await load(
        pool,
        [table("regions", "code,name_zh,name_en,valid_to,superseded_by\n522401,毕节市,Bijie,2011-10-01,520502")],
    )
    decision = await route(pool, demo, region="522401")
    assert offered(demo, decision) == ["agency-a", "agency-b"]
    assert decision.need.region == "520502"


async def test_a_full_agency_is_passed_over_and_one_that_says_so_too(pool: Database, demo: Network) -> None:
    async with pool.transaction(operator().scope) as session:
        service = await only_service(session, demo["agency-a"].id)
        await set_capacity(session, operator(), service.id, None, 1, utc_now())
        assert await places.take_place(session, service.id, new_id())
        other = await only_service(session, demo["agency-b"].id)
        await set_capacity(session, operator(), other.id, "waitlist", None, utc_now())
    decision = await route(pool, demo)
    assert offered(demo, decision) == []
    said = {named(demo, each.agency): {rule.name: rule.key for rule in each.rules} for each in decision.candidates}
    assert (said["agency-a"]["capacity"], said["agency-b"]["capacity"]) == ("full", "waitlist")


async def test_a_licence_counts_on_its_days(pool: Database, demo: Network) -> None:
    await load(
        pool,
        [
            table(
                "workers",
                "key,agency,name,grade,certificate_no,licensed_from,licensed_to\n"
                "worker-a,agency-a,林知行,certified,1,2020-01-01,2020-12-31\n"
                "worker-a2,agency-a,周明远,certified,2,2098-01-01,\n"
                "supervisor-a,agency-a,许静安,,,,",
            )
        ],
    )
    decision = await route(pool, demo)
    assert offered(demo, decision) == ["agency-b"]
    unlicensed = decision.of(demo["agency-a"].id)
    assert unlicensed is not None and not unlicensed.passes("worker")


async def test_among_equals_the_less_loaded_comes_first(pool: Database, demo: Network) -> None:
    await load(
        pool,
        [
            table(
                "partnerships",
                "hospital,agency,valid_from,needs,rank\nhospital-a,agency-b,2025-01-01,N05,1",
            )
        ],
    )
    async with pool.transaction(operator().scope) as session:
        service = await only_service(session, demo["agency-a"].id)
        assert await places.take_place(session, service.id, new_id())
    decision = await route(pool, demo)
    assert offered(demo, decision) == ["agency-b", "agency-a"]
    assert [dict(each.parts)["load"] for each in decision.offers] == [0, 1 / 500]


async def test_a_decision_is_kept_as_it_was_made_for_the_hospital_and_the_platform(
    pool: Database, demo: Network
) -> None:
    referral, now = new_id(), utc_now()
    decision = await route(pool, demo)
    agency = agent(demo["agency-a"])
    async with pool.transaction(agency.scope) as session:  # An agency's decline is what asks for the next one.
        await steps.keep(session, referral, decision, agency, now)
        assert await flow.decisions(session, referral) == []

    async def read(actor: Actor) -> list[Decision]:
        async with pool.transaction(actor.scope) as session:
            return [kept.decision for kept in await flow.decisions(session, referral)]

    assert await read(agent(demo["hospital-a"], "hospital")) == [decision]
    assert await read(agent(demo["platform"], "platform")) == [decision]
    assert await read(agent(demo["hospital-b"], "hospital")) == []


async def test_a_campus_is_served_by_the_partnerships_of_its_hospital(pool: Database, demo: Network) -> None:
    decision = await route(pool, demo, "hospital-a-east", region="520502002")
    assert offered(demo, decision) == ["agency-a", "agency-b"]


async def test_a_partnerships_own_reply_limits_come_with_the_candidate(pool: Database, demo: Network) -> None:
    await load(
        pool,
        [
            table(
                "partnerships",
                "hospital,agency,valid_from,needs,rank,reply_limits\nhospital-a,agency-a,2025-01-01,N05,1,stat=10 urgent=60w",
            )
        ],
    )
    limits = (await route(pool, demo)).offers[0].reply_limits
    assert limits is not None
    assert (limits["stat"].minutes, limits["urgent"].working) == (10, True)
    async with pool.transaction(operator().scope) as session:
        (first, *_) = await directory.partnerships(session, demo["hospital-a"].id)
    assert first.reply_limits == limits
