"""The pages: for now the front door, which says what this is and where things are, and the list of routes."""

from typing import Any

import jinja2
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.openapi.plugins import OpenAPIRenderPlugin

PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("adapters.web", "pages"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing is loaded from anywhere, and no script runs."""


@get("/", media_type=MediaType.HTML, summary="The front door", include_in_schema=False)
async def front(state: State) -> Response[str]:
    """Say what this is, in Chinese first."""
    page = PAGES.get_template("front.html").render(base=state.base_url, docs=state.settings.docs)
    return Response(page, headers=HEADERS)


class Reference(OpenAPIRenderPlugin):
    """The routes as a page of our own: the usual viewers load their scripts from other hosts, which a hospital has not."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        routes = [
            {
                "method": method.upper(),
                "path": path,
                "summary": said.get("summary", ""),
                "description": said.get("description", ""),
            }
            for path, methods in sorted(openapi_schema.get("paths", {}).items())
            for method, said in methods.items()
        ]
        return PAGES.get_template("reference.html").render(routes=routes).encode()


route_handlers = [front]
