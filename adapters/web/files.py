"""`/static/<name>`: what pages load. An address carries the mark of its content, so a browser keeps it for good."""

from litestar import Response, get
from litestar.params import FromPath

from adapters.web.shell import FILES
from service.errors import NotFound


@get("/static/{name:str}", include_in_schema=False)
async def file(name: FromPath[str]) -> Response[bytes]:
    """A style, a script or the sheet of icons."""
    found = FILES.get(name)
    if found is None:
        raise NotFound("There is no such file.")
    headers = {
        "Content-Type": found.media_type,
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(found.content, headers=headers)
