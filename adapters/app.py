"""The Litestar application: the FHIR surface, the token endpoint, health and metrics, over one database."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from adapters import api, figures, manners, oidc, pace, relay, smart, stream, web
from adapters.delivery.alarm import Alarms
from adapters.delivery.mail import mailing
from adapters.fhir import inside, outcomes
from adapters.fhir import routes as fhir
from adapters.fhir.media import FHIR_JSON
from adapters.hl7v2.parked import Parked
from adapters.oidc.provider import Provider
from adapters.settings import Settings
from adapters.web import door, shell
from service import db
from service.db import Scope, migrate
from service.db.address import connect
from service.errors import Issue, Unavailable
from service.jobs import flow as jobs
from service.notices import flow as notices
from service.practice import PLATFORM
from service.values import utc_now

METERED = Scope(PLATFORM, "platform", platform=True)
"""Whose rows the figures count: every organisation's."""
PATIENCE = 2.0
"""Seconds that the figures wait for a connection; a service under load is still to be measured."""


@get("/health/live", media_type=MediaType.TEXT)
async def live() -> str:
    """Say that the process is there, whatever the database does."""
    return "live"


@get("/health/ready", media_type=MediaType.TEXT)
async def ready(state: State) -> Response[str]:
    """200 only when the database answers and is at the schema of this version."""
    try:
        async with state.database.transaction(db.Scope(None, "client")) as session:
            at = await migrate.state(session.connection)
    except Unavailable:
        return Response("the database is away", status_code=503, headers={"Retry-After": "2"})
    if not isinstance(at, migrate.Current):
        return Response("the database is not at the schema of this version", status_code=503)
    return Response("ready")


@get("/health/workers", media_type=MediaType.TEXT)
async def workers(state: State) -> Response[str]:
    """200 while a worker was heard of within the limit of the alarm. For a probe from outside, beside `/health/ready`: without
    a worker everything is still answered, and nothing is delivered, reminded or called."""
    try:
        async with state.database.transaction(METERED) as session:
            found = await jobs.look(session, state.since, session.began)
    except Unavailable:
        return Response("the database is away", status_code=503, headers={"Retry-After": "2"})
    if found.silence.total_seconds() >= state.settings.alarm_after:
        return Response(f"no worker was heard of for {state.settings.alarm_after} seconds", status_code=503)
    return Response("a worker runs")


@get("/metrics", media_type=MediaType.TEXT)
async def metrics(state: State) -> Response[bytes]:
    """Figures of this process, and how many notices wait, in the Prometheus text format; no person's data.

    `yuanshe_request_seconds` counts and times requests by interaction and type, `yuanshe_refused_total` refusals by status,
    `yuanshe_token_total` exchanges of tokens, `yuanshe_deliveries` notices by state, `yuanshe_worker_silent_seconds` how long
    no worker was heard of (both NaN while the database is away).
    """
    counted: dict[str, int] | None = None
    silent = math.nan
    with contextlib.suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(PATIENCE), state.database.transaction(METERED) as session:
            counted = await notices.backlog(session)
            silent = (await jobs.look(session, state.since, session.began)).silence.total_seconds()
    figures.SILENT.set(silent)
    for name in notices.OPEN_STATES:
        figures.DELIVERIES.labels(name).set(counted.get(name, 0) if counted is not None else math.nan)
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def create(settings: Settings, dsn: str, *, base_url: str, size: int = 16, watching: bool = False) -> Litestar:
    """The application on `dsn`, known to others as `base_url` (no slash at its end). `watching`: it raises the alarm when no
    worker runs."""
    news = stream.News()
    provider = Provider(settings.oidc, base_url + oidc.BACK) if settings.oidc else None
    state = State(
        {
            "settings": settings, "base_url": base_url, "since": utc_now(), "fhir": partial(inside.ask, base_url=base_url),
            "hl7": Parked(settings.hl7), "provider": provider,
        }
    )  # fmt: skip

    @contextlib.asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with relay.Relay(dsn).running() as ringing, stream.listening(dsn, news):
            app.state.news = news
            app.state.database = await db.connect(
                dsn,
                size=size,
                practice=settings.practice,
                on_commit=ringing.ring,
                attachments=settings.attachments,
                scanner=settings.scanner,
            )
            watch = asyncio.create_task(_alarms(settings).watch(app.state.database)) if watching else None
            try:
                yield
            finally:
                if watch:
                    watch.cancel()
                    await asyncio.gather(watch, return_exceptions=True)
                await app.state.database.close()

    database: Callable[[], db.Database] = lambda: app.state.database  # noqa: E731
    app: Litestar = Litestar(
        route_handlers=[
            fhir.handler(
                database,
                lambda: base_url,
                settings.reach,
                settings.rate and pace.Pace(settings.rate),
                shared=bool(settings.cors_origins),
            ),
            stream.handler(database, lambda: news),
            *smart.route_handlers,
            *api.route_handlers,
            *web.route_handlers,
            *([_elsewhere(provider)] if provider else ()),
            *(web.docs_handlers if settings.docs else ()),
            live,
            ready,
            workers,
            metrics,
        ],
        state=state,
        lifespan=[lifespan],
        openapi_config=None,
        exception_handlers={HTTPException: _unroutable},
        logging_config=None,
    )
    # Around everything, what Litestar itself refuses included.
    app.asgi_handler = manners.Manners(app.asgi_handler, settings.cors_origins)
    return app


def _elsewhere(provider: Provider) -> Router:
    return oidc.router(
        provider,
        oidc.Door(
            local=shell.local, language=lambda request: shell.spoken(request).language, browser=door.machine, slow=door.slow,
            enter=door.enter, refuse=door.refused_elsewhere,
        ),
    )  # fmt: skip


def _alarms(settings: Settings) -> Alarms:
    return Alarms(
        to=settings.alarm_to, after=settings.alarm_after, mail=mailing(settings.smtp, settings.reach, settings.webhook_timeout),
        networks=settings.webhook_allow, timeout=settings.webhook_timeout, secret=settings.webhook_secret,
    )  # fmt: skip


def _unroutable(request: Request[Any, Any, Any], refused: HTTPException) -> Response[Any]:
    """What no route takes; beneath /fhir in the words of FHIR, for a browser as a page. The path is not repeated."""
    headers = refused.headers or {}
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/fhir"):
        return web.nowhere(request, refused)
    if request.url.path.startswith("/fhir"):
        issue = Issue(HTTPStatus(refused.status_code).phrase + ".", code="not-supported")
        body, kind = outcomes.outcome([issue]), f"{FHIR_JSON}; fhirVersion=4.0; charset=utf-8"
    else:
        body, kind = (
            {"status_code": refused.status_code, "detail": HTTPStatus(refused.status_code).phrase},
            "application/json",
        )
    headers = {"Cache-Control": "no-store", **headers}
    return Response(body, status_code=refused.status_code, headers=headers, media_type=kind)


async def check(dsn: str) -> None:
    """Refuse a database that is behind or ahead, and a role for which row security would not hold."""
    connection = await connect(dsn)
    try:
        await migrate.refuse_other_schema(connection)
        await migrate.refuse_unsafe_role(connection)
    finally:
        await connection.close()
