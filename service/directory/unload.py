"""SQL of the directory as plain files: the reverse of a load, so that what is written loads again and changes nothing."""

from service.db import Session
from service.directory.rows import COLUMNS

REGIONS = """
SELECT code, name_zh, name_en, valid_from::text, valid_to::text, superseded_by FROM region ORDER BY length(code), code
"""

ORGANIZATIONS = """
SELECT o.key, o.kind, whole.key AS part_of, o.name_zh, o.name_en, o.uscc, o.region, o.status,
       CASE WHEN o.ready THEN 'yes' ELSE 'no' END AS ready,
       CASE WHEN o.protection_qualified THEN 'yes' ELSE 'no' END AS protection_qualified, co.key AS co_supervised_by, o.phone, o.email,
       CASE WHEN o.active THEN 'yes' ELSE 'no' END AS active
FROM organization o LEFT JOIN organization whole ON whole.id = o.part_of LEFT JOIN organization co ON co.id = o.co_supervised_by
ORDER BY cardinality(o.lineage), o.key
"""

SERVICES = """
SELECT s.key, o.key AS agency, s.name_zh, s.name_en, array_to_string(s.service_types, ' ') AS service_types,
       array_to_string(s.needs, ' ') AS needs, array_to_string(s.regions, ' ') AS regions,
       array_to_string(s.populations, ' ') AS populations, array_to_string(s.languages, ' ') AS languages, s.capacity_status,
       s.places::text, to_char(s.confirmed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ') AS confirmed_at,
       CASE WHEN s.active THEN 'yes' ELSE 'no' END AS active
FROM agency_service s JOIN organization o ON o.id = s.agency_id ORDER BY s.key
"""

PARTNERSHIPS = """
SELECT h.key AS hospital, a.key AS agency, p.valid_from::text, p.valid_to::text, array_to_string(p.needs, ' ') AS needs,
       p.rank::text, p.mode,
       (SELECT string_agg(l.key || '=' || (l.value ->> 'minutes') || CASE WHEN (l.value ->> 'working')::bool THEN 'w' ELSE '' END, ' '
                          ORDER BY l.key) FROM json_each(p.reply_limits) AS l(key, value)) AS reply_limits,
       array_to_string(p.departments, ' ') AS departments
FROM partnership p JOIN organization h ON h.id = p.hospital_id JOIN organization a ON a.id = p.agency_id
ORDER BY h.key, a.key, p.valid_from
"""

WORKERS = """
SELECT w.key, o.key AS agency, w.name, w.grade, c.number AS certificate_no, w.licensed_from::text, w.licensed_to::text,
       CASE WHEN w.duty THEN 'yes' ELSE 'no' END AS duty, CASE WHEN w.supervisor THEN 'yes' ELSE 'no' END AS supervisor,
       CASE WHEN w.active THEN 'yes' ELSE 'no' END AS active
FROM worker w JOIN organization o ON o.id = w.agency_id LEFT JOIN worker_certificate c ON c.worker_id = w.id ORDER BY w.key
"""

ROSTERS = """
SELECT o.key AS organization, to_char(s.begins_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ') AS "from",
       to_char(s.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ') AS "to",
       s.first ->> 'name' AS first, one.key AS first_worker, s.first ->> 'email' AS first_email,
       s.first ->> 'webhook' AS first_webhook, s.first ->> 'phone' AS first_phone,
       s.second ->> 'name' AS second, two.key AS second_worker, s.second ->> 'email' AS second_email,
       s.second ->> 'webhook' AS second_webhook, s.second ->> 'phone' AS second_phone,
       CASE WHEN s.active THEN 'yes' ELSE 'no' END AS active
FROM duty_shift s JOIN organization o ON o.id = s.organization_id
LEFT JOIN worker one ON one.id = (s.first ->> 'worker')::uuid LEFT JOIN worker two ON two.id = (s.second ->> 'worker')::uuid
ORDER BY o.key, s.begins_at
"""


async def unload(session: Session) -> dict[str, list[dict[str, str]]]:
    """Table → its rows as a file would hold them: every column a string, empty where nothing is known."""
    statements = {
        "regions": REGIONS,
        "organizations": ORGANIZATIONS,
        "services": SERVICES,
        "partnerships": PARTNERSHIPS,
        "workers": WORKERS,
        "rosters": ROSTERS,
    }
    return {
        table: [
            {column: row[column] or "" for column in COLUMNS[table]} for row in await session.fetch(statements[table])
        ]
        for table in COLUMNS
    }
