"""`/static/<name>`: what pages load. An address carries the mark of its content, so a browser keeps it for good."""

import gzip
from functools import cache
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from adapters.manners import takes_gzip
from adapters.web.shell import FILES
from service.errors import NotFound


@get("/static/{name:str}", include_in_schema=False)
async def file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """A style, a script or the sheet of icons, packed once and as small as it gets."""
    found = FILES.get(name)
    if found is None:
        raise NotFound("There is no such file.")
    headers = {
        "Content-Type": found.media_type,
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    if takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(_packed(name), headers=headers | {"Content-Encoding": "gzip"})
    return Response(found.content, headers=headers)


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(FILES[name].content, 9, mtime=0)
