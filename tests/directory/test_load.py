"""Loading the directory: every bad row is told with its file, line and reason, and nothing is half-loaded."""

import msgspec
import pytest
from stdnum.cn import uscc

from adapters import network
from service.access.model import operator
from service.db import Database
from service.directory import store
from service.directory.model import Organization, Table
from service.errors import Forbidden, Invalid
from service.values import Id
from tests.directory.network import agent, load, only_service, table


async def faults(pool: Database, *tables: Table) -> list[str]:
    with pytest.raises(Invalid) as refused:
        await load(pool, list(tables))
    return [f"{issue.at}: {issue.text}" for issue in refused.value.issues]


async def test_the_same_files_again_change_nothing(pool: Database, demo: dict[str, Organization]) -> None:
    for tally in await load(pool, network.read([network.DEMO])):
        assert (tally.added, tally.changed) == (0, 0)
        assert tally.unchanged > 0


async def test_the_demo_network_is_the_contracts(pool: Database, demo: dict[str, Organization]) -> None:
    numbers = [each.uscc for each in demo.values() if each.uscc]
    assert len(set(numbers)) == len(numbers) == 6
    assert all(uscc.is_valid(number) for number in numbers)
    assert [key for key, each in demo.items() if each.protection_qualified] == ["agency-a"]
    async with pool.transaction(operator().scope) as session:
        for key in ("agency-a", "agency-b", "agency-c"):
            service = await only_service(session, demo[key].id)
            assert service.places >= 200
            assert {"520502", "520502001", "520502002"} <= set(service.regions)
            staff = await store.list_workers(session, demo[key].id, Id(int=0), 50)
            assert sum(worker.grade is not None for worker in staff) >= 2
            assert any(worker.duty for worker in staff) and any(worker.supervisor for worker in staff)
        partnerships = await store.partnerships(session, demo["hospital-a"].id)
        assert [(each.agency, each.rank) for each in partnerships[:2]] == [
            (demo["agency-a"].id, 1),
            (demo["agency-b"].id, 2),
        ]
        assert [each.agency for each in await store.partnerships(session, demo["hospital-b"].id)] == [
            demo["agency-b"].id
        ]


async def test_a_changed_row_is_a_new_version_and_the_others_stay(
    pool: Database, demo: dict[str, Organization]
) -> None:
    tables = network.read([network.DEMO])
    organizations = next(each for each in tables if each.name == "organizations")
    rows = tuple(
        (line, cells | {"name_en": "Nuanguang"} if cells["key"] == "agency-b" else cells)
        for line, cells in organizations.rows
    )
    (_, tally, *_) = await load(pool, [msgspec.structs.replace(organizations, rows=rows)])
    assert (tally.table, tally.added, tally.changed, tally.unchanged) == ("organizations", 0, 1, 6)
    async with pool.transaction(operator().scope) as session:
        now = await store.organizations_by_key(session, demo)
    assert now["agency-b"].name_en == "Nuanguang"
    assert now["agency-b"].version == demo["agency-b"].version + 1
    assert now["agency-a"] == demo["agency-a"]


async def test_every_bad_row_is_told_with_file_line_and_reason(pool: Database, demo: dict[str, Organization]) -> None:
    told = await faults(
        pool,
        table(
            "regions", "code,name_zh,name_en\n520502003,甲街道,Jia\n5205,毕节市,\n520503000,乙,Yi\nabc,丙,Bing", "r.csv"
        ),
        table(
            "organizations",
            "key,kind,name_zh,name_en,uscc,region,part_of\n"
            "agency-x,agency,甲,X,52520502MJ0000018K,520502,\n"
            "agency-y,agency,乙,Y,52520502MJ0000018J,999999,\n"
            "agency-y,agency,乙,Y,52520502MJ0000018J,520502,\n"
            "east,campus,丙,E,,520502,agency-a\n"
            "hospital-a,agency,丁,H,52520502MJ0000018J,520502,\n"
            "other,platform,戊,P,,,",
            "o.csv",
        ),
        table(
            "services",
            "key,agency,name_zh,name_en,service_types,needs,regions,places\n"
            "s1,agency-z,甲,S,psych-support,N01,520502,5\n"
            "s2,agency-a,甲,S,reading,N01 N77,520509,-5",
            "s.csv",
        ),
        table(
            "partnerships",
            "hospital,agency,valid_from,valid_to,needs,rank,mode,reply_limits\n"
            "agency-a,agency-b,2026-01-01,,N01,1,,\n"
            "hospital-a,agency-b,2026-01-01,2025-01-01,N01,0,auction,soon=5\n"
            "hospital-a,agency-b,1.1.2026,,N01,1,,",
            "p.csv",
        ),
        table(
            "workers",
            "key,agency,name,grade,certificate_no,licensed_from,licensed_to\n"
            "w1,agency-a,林甲,certified,,,\n"
            "w2,agency-a,林乙,,,2026-01-01,\n"
            "worker-a,agency-b,林丙,master,1,2026-02-30,",
            "w.csv",
        ),
    )
    for expected in (
        "r.csv:3: name_en: is empty",
        "r.csv:4: code: '520503000' has zeros for levels left open: write 520503",
        "r.csv:5: code: 'abc' is not a region code",
        "o.csv:2: uscc: is not a unified social credit code",
        "o.csv:3: region: the region '999999' is not known",
        "o.csv:4: key: agency-y stands already at o.csv:3",
        "o.csv:5: part_of: a campus is part of a hospital",
        "o.csv:6: kind: hospital-a is a hospital and cannot become a agency",
        "o.csv:7: kind: there is one platform, and it is platform",
        "s.csv:2: agency: 'agency-z' is not the key of an agency",
        "s.csv:3: service_types: 'reading' is no code of urn:yuanshe:service-type",
        "s.csv:3: needs: 'N77' is no code of urn:yuanshe:need",
        "s.csv:3: regions: the region '520509' is not known",
        "s.csv:3: places: '-5' is not a number from 0 to 100000",
        "p.csv:2: hospital: 'agency-a' is not the key of a hospital",
        "p.csv:3: valid_to: 2025-01-01 lies before valid_from 2026-01-01",
        "p.csv:3: rank: '0' is not a number from 1 to 999",
        "p.csv:3: mode: 'auction' is none of sequence, broadcast, manual",
        "p.csv:3: reply_limits: 'soon=5' is not an urgency and minutes",
        "p.csv:4: valid_from: '1.1.2026' is not a date",
        "w.csv:2: licensed_from: a licensed worker has one",
        "w.csv:2: certificate_no: a licensed worker has one",
        "w.csv:3: grade: is empty, but there are dates of a licence",
        "w.csv:4: agency: worker-a belongs to another agency",
        "w.csv:4: grade: 'master' is none of",
        "w.csv:4: licensed_from: '2026-02-30' is not a date",
    ):
        assert any(line.startswith(expected) for line in told), expected
    assert not any("林" in line for line in told), "no name of a person stands in a report"
    lines = [(line.split(":")[0], int(line.split(":")[1])) for line in told]
    assert lines == sorted(lines, key=lambda at: ("rospw".index(at[0][0]), at[1]))


async def test_nothing_is_half_loaded(pool: Database, demo: dict[str, Organization]) -> None:
    await faults(
        pool,
        table("regions", "code,name_zh,name_en\n520502003,甲街道,Jia"),
        table("workers", "key,agency,name\nw1,nobody,林甲"),
    )
    async with pool.transaction(operator().scope) as session:
        assert await store.regions(session, ["520502003"]) == {}


async def test_columns_that_lack_or_that_nobody_knows_are_told_once(pool: Database) -> None:
    told = await faults(pool, table("regions", "code,name_zh,colour\n52,贵州,red\n5205,毕节,blue"))
    assert told == [
        "regions.csv:1: the first line lacks the columns name_en",
        "regions.csv:1: the first line has unknown columns: colour",
    ]


async def test_organisations_cannot_be_part_of_one_another_in_a_circle(pool: Database) -> None:
    told = await faults(
        pool,
        table(
            "organizations",
            "key,kind,part_of,name_zh,name_en\nx,station,y,甲,X\ny,station,x,乙,Y\nz,station,z,丙,Z",
        ),
    )
    assert [line for line in told if "circle" in line] == [
        "organizations.csv:2: part_of: goes round in a circle",
        "organizations.csv:3: part_of: goes round in a circle",
    ]
    assert "organizations.csv:4: part_of: is the organisation itself" in told


async def test_one_code_belongs_to_one_organisation(pool: Database, demo: dict[str, Organization]) -> None:
    told = await faults(
        pool,
        table("organizations", f"key,kind,name_zh,name_en,uscc\nnew,agency,甲,New,{demo['agency-a'].uscc}"),
    )
    assert told == ["organizations.csv:2: uscc: belongs to agency-a already"]


async def test_a_newer_word_of_the_agency_on_its_capacity_outlives_an_older_file(
    pool: Database, demo: dict[str, Organization]
) -> None:
    from service.directory import flow
    from service.values import utc_now

    def services(places: int, confirmed_at: str) -> Table:
        return table(
            "services",
            "key,agency,name_zh,name_en,service_types,needs,regions,places,confirmed_at\n"
            f"agency-b-msw,agency-b,甲,B,companionship,N01,520502,{places},{confirmed_at}",
        )

    async with pool.transaction(agent(demo["agency-b"]).scope) as session:
        service = await only_service(session, demo["agency-b"].id)
        await flow.set_capacity(session, agent(demo["agency-b"]), service.id, "waitlist", 7, utc_now())
    await load(pool, [services(90, "2025-01-01")])
    async with pool.transaction(operator().scope) as session:
        old_file = await only_service(session, demo["agency-b"].id)
    await load(pool, [services(90, "2099-01-01")])
    async with pool.transaction(operator().scope) as session:
        new_file = await only_service(session, demo["agency-b"].id)
    assert (old_file.places, old_file.capacity_status, old_file.needs) == (7, "waitlist", ("N01",))
    assert (new_file.places, new_file.capacity_status) == (90, "capacity")


async def test_only_the_platform_loads(pool: Database, demo: dict[str, Organization]) -> None:
    with pytest.raises(Forbidden):
        await load(pool, network.read([network.DEMO]), agent(demo["agency-a"]))


async def test_the_number_of_a_certificate_is_read_by_its_own_agency_alone(
    pool: Database, demo: dict[str, Organization]
) -> None:
    async def staff(reader: str) -> list[str | None]:
        async with pool.transaction(agent(demo[reader]).scope) as session:
            found = await store.list_workers(session, demo["agency-a"].id, Id(int=0), 10)
            assert len(found) == 3
            return [worker.certificate for worker in found]

    assert all(await staff("agency-a"))
    assert not any(await staff("agency-b"))


async def test_a_division_that_was_renamed_leads_to_its_successor(
    pool: Database, demo: dict[str, Organization]
) -> None:
    await load(
        pool,
        [
            table(
                "regions",
                "code,name_zh,name_en,valid_to,superseded_by\n522401,毕节市,Bijie,2011-10-01,522402\n"
                "522402,乙,Yi,2012-10-01,520502",
            )
        ],
    )
    async with pool.transaction(operator().scope) as session:
        assert await store.successor(session, "522401") == "520502"
        assert await store.successor(session, "520502") is None
        assert await store.successor(session, "999999") is None
