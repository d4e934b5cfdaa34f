"""The directory of the small town, written row by row: whom a test needs, and nobody else."""

from datetime import date, datetime

from service import db
from service.access.model import clock_actor
from service.practice import PLATFORM
from service.values import Id, new_id

ORGANIZATIONS = {
    "platform": "platform",
    "hospital-a": "hospital",
    "hospital-b": "hospital",
    "agency-a": "agency",
    "agency-b": "agency",
}
WORKERS = {
    "worker-a": ("agency-a", None, True),
    "worker-a2": ("agency-a", None, False),
    "expired-a": ("agency-a", date(2025, 3, 9), False),
    "worker-b": ("agency-b", None, True),
}
"""Key → agency, last day of the licence, on duty."""
NEEDS = {
    "agency-a": ["N01", "N03", "N05", "N11", "N12", "N13"],
    "agency-b": ["N01", "N03", "N05", "N06"],
}
PLACES = 20


async def settle_in(pool: db.Database, now: datetime) -> tuple[dict[str, Id], dict[str, Id]]:
    """Write the town's directory; the ids of its organisations and workers by key."""
    organizations = {key: PLATFORM if key == "platform" else new_id() for key in ORGANIZATIONS}
    workers = {key: new_id() for key in WORKERS}
    async with pool.transaction(clock_actor(PLATFORM).scope) as session:
        await session.executemany(
            "INSERT INTO region (code, name_zh, name_en) VALUES ($1, $1, $1) ON CONFLICT DO NOTHING",
            [("52",), ("5205",), ("520502",), ("520502001",)],
        )
        await session.executemany(
            "INSERT INTO organization (id, key, kind, lineage, name_zh, name_en, region, status, protection_qualified, updated_at)"
            " VALUES ($1::uuid, $2, $3, ARRAY[$1::uuid], $2, $2, '520502', $4, $5, $6)",
            [
                (organizations[key], key, kind, "accredited" if kind == "agency" else None, key == "agency-a", now)
                for key, kind in ORGANIZATIONS.items()
            ],
        )
        await session.executemany(
            "INSERT INTO worker (id, key, agency_id, name, grade, licensed_from, licensed_to, duty, updated_at)"
            " VALUES ($1, $2, $3, $2, 'certified', '2024-01-01', $4, $5, $6)",
            [
                (workers[key], key, organizations[agency], ends, duty, now)
                for key, (agency, ends, duty) in WORKERS.items()
            ],
        )
        for rank, (agency, needs) in enumerate(NEEDS.items(), 1):
            service = new_id()
            await session.execute(
                "INSERT INTO agency_service (id, key, agency_id, name_zh, name_en, service_types, needs, regions, populations, languages,"
                " capacity_status, places, confirmed_at, updated_at) VALUES ($1, $2, $3, $2, $2, ARRAY['companionship'], $4, ARRAY['520502'],"
                " '{}', '{}', 'capacity', $5, $6, $6)",
                service, agency, organizations[agency], needs, PLACES, now,
            )  # fmt: skip
            await session.execute("INSERT INTO place SELECT $1, generate_series(1, $2::int)", service, PLACES)
            await session.execute(
                "INSERT INTO partnership (id, hospital_id, agency_id, valid_from, needs, rank, mode, departments, updated_at)"
                " VALUES ($1, $2, $3, '2025-01-01', $4, $5, 'sequence', '{}', $6)",
                new_id(), organizations["hospital-a"], organizations[agency], needs, rank, now,
            )  # fmt: skip
    return organizations, workers
