"""The pages: the front door, which says what this is and where things are, the answers by link, and the list of routes."""

from collections.abc import Iterator
from importlib import import_module, resources
from typing import Any

import msgspec
from litestar import MediaType, Response, Router, get
from litestar.datastructures import State
from litestar.di import Provide

from adapters.settings import VERSION
from adapters.web import answer, door, duty, files, shell
from adapters.web.rendering import HEADERS, PAGES
from adapters.web.speech import ROOMS
from service.errors import Refusal


@get("/", media_type=MediaType.HTML, include_in_schema=False)
async def front(state: State) -> Response[str]:
    """Say what this is, in Chinese first."""
    page = PAGES.get_template("front.html").render(base=state.base_url, docs=state.settings.docs)
    return Response(page, headers=HEADERS)


def openapi(base_url: str) -> dict[str, Any]:
    """The routes beside the FHIR surface, in OpenAPI 3.1: written by hand, and held to the routes by a test.

    Litestar's own description knows neither streams nor bodies that are read as they come, nor what is refused how.
    """
    said = msgspec.json.decode(resources.files(__name__).joinpath("openapi.json").read_bytes())
    said["info"]["version"] = VERSION
    said["servers"] = [{"url": base_url}]
    return said


@get("/docs/openapi.json", media_type=MediaType.JSON)
async def description(state: State) -> dict[str, Any]:
    """The routes for programs."""
    return openapi(state.base_url)


@get("/docs", media_type=MediaType.HTML)
async def reference(state: State) -> Response[str]:
    """The routes as a page of our own: the usual viewers load their scripts from other hosts, which a hospital has not."""
    said = openapi(state.base_url)
    routes = [
        {"method": method.upper(), "path": path, "answers": [_answer(said, *one) for one in route["responses"].items()]}
        | {word: route.get(word, "") for word in ("summary", "description")}
        for path, methods in said["paths"].items()
        for method, route in methods.items()
    ]
    return Response(PAGES.get_template("reference.html").render(routes=routes), headers=HEADERS)


def _answer(said: dict[str, Any], status: str, answer: dict[str, Any]) -> dict[str, str]:
    if "$ref" in answer:
        answer = said["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return {"status": status, "kinds": ", ".join(answer["content"]), "description": answer["description"]}


def _rooms() -> Iterator[Any]:
    """Every group of pages that is there: a folder with templates is a room, and says what it serves."""
    for room in ROOMS:
        yield from import_module(f"{__name__}.{room}").route_handlers


pages = Router(
    "/",
    route_handlers=[*door.route_handlers, files.file, *_rooms()],
    dependencies={"who": Provide(shell.person)},
    exception_handlers={shell.Elsewhere: shell.elsewhere, Refusal: door.failed, Exception: door.broken},  # pyright: ignore[reportArgumentType]
    include_in_schema=False,
)
nowhere = door.nowhere
route_handlers = [front, *answer.route_handlers, *duty.route_handlers, pages]
docs_handlers = [reference, description]
"""Served where the setting DOCS asks for them."""
