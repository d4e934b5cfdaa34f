"""The demo's programs and people: registered once for each database, and written to `demo.json`."""

import json
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from service.access import flow as access
from service.access.model import NewAccount, NewClient, operator
from service.db import Session
from service.directory import store as directory
from service.directory.model import Worker
from service.values import Id

ORGANIZATIONS = ("platform", "hospital-a", "hospital-b", "agency-a", "agency-b", "agency-c")

CLIENTS: dict[str, tuple[str, str, str]] = {
    "his-a": ("hospital-a", "hospital", "甲院信息系统"),
    "his-b": ("hospital-b", "hospital", "乙院信息系统"),
    "agency-a": ("agency-a", "agency", "甲机构业务系统"),
    "agency-b": ("agency-b", "agency", "乙机构业务系统"),
    "agency-c": ("agency-c", "agency", "丙机构业务系统"),
    "platform": ("platform", "platform", "协调平台"),
    "auditor": ("platform", "auditor", "审计"),
}
"""Name in `demo.json` → (organisation, role, working name)."""

PEOPLE: dict[str, tuple[str, str, str | None]] = {
    "nurse-a": ("hospital-a", "referrer", "林护士"),
    "worker-a": ("agency-a", "social_worker", None),
    "worker-a2": ("agency-a", "social_worker", None),
    "supervisor-a": ("agency-a", "supervisor", None),
    "worker-b": ("agency-b", "social_worker", None),
    "coordinator": ("platform", "coordinator", "周协调"),
    "bureau": ("platform", "auditor", "吴审计"),
    "admin": ("platform", "administrator", "郑管理"),
}
"""Login → (organisation, role, name); a social worker's name is that of a worker in the directory."""


async def register(session: Session, now: datetime) -> dict[str, Any]:
    """Make clients with lasting tokens, and accounts with random passwords; what `demo.json` says of them."""
    found = await directory.organizations_by_key(session, ORGANIZATIONS)
    ids = {key: found[key].id for key in ORGANIZATIONS}
    clients = {name: await _client(session, ids, name, now) for name in CLIENTS}
    staff = {key: await _staff(session, ids[key]) for key in ("agency-a", "agency-b")}
    people = {login: await _person(session, ids, staff, login, now) for login in PEOPLE}
    return {
        "organizations": {key: f"Organization/{id}" for key, id in ids.items()},
        "clients": clients,
        "people": people,
    }


async def _client(session: Session, ids: dict[str, Id], name: str, now: datetime) -> dict[str, Any]:
    organization, role, shown = CLIENTS[name]
    key = ECKey.generate_key("P-384", {"kid": secrets.token_urlsafe(8), "use": "sig", "alg": "ES384"}, private=True)
    jwks = {"keys": [key.as_dict(private=False)]}
    new = NewClient(ids[organization], role, shown, "system/*.cruds", jwks)
    client = await access.add_client(session, operator(), new, now)
    issued = await access.issue_lasting(session, operator(), client, now)
    return {
        "client_id": client.client_id, "organization": organization, "role": role, "scope": client.scope,
        "private_jwk": key.as_dict(private=True), "access_token": issued.token,
    }  # fmt: skip


async def _staff(session: Session, agency: Id) -> list[Worker]:
    return [worker for worker in await directory.list_workers(session, agency, Id(int=0), 100) if worker.grade]


async def _person(
    session: Session, ids: dict[str, Id], staff: dict[str, list[Worker]], login: str, now: datetime
) -> dict[str, Any]:
    organization, role, name = PEOPLE[login]
    worker = None
    if name is None:
        workers = staff[organization]
        worker = next(w for w in workers if w.supervisor == (role == "supervisor"))
        workers.remove(worker)
        name = worker.name
    password = secrets.token_urlsafe(12)
    new = NewAccount(login, role, ids[organization], name, worker.id if worker else None)
    await access.add_account(session, operator(), new, password, now)
    return {"login": login, "password": password, "role": role, "organization": organization, "name": name}


def read(file: Path) -> dict[str, Any] | None:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None


def write(file: Path, content: dict[str, Any]) -> None:
    """Replace the file as a whole; only its owner may read it."""
    beside = file.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream, ensure_ascii=False, indent=1)
    os.replace(beside, file)
