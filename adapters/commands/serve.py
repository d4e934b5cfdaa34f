"""`yuanshe serve`: answer HTTP until told to stop, or until the process that started it is gone."""

import asyncio
import errno
import gc
import socket

import click
import uvicorn

from adapters import app, settings
from adapters.lifeline import hold
from service.errors import SetupError


@click.command("serve")
@click.option("--lifeline", type=int, help="A pipe inherited from the supervisor: the service ends when it closes.")
def command(lifeline: int | None) -> None:
    """Answer HTTP at HOST and PORT: the FHIR surface, the token endpoint, the pages."""
    read = settings.read()
    listening = listen(read.host, read.port)
    with settings.databases(read) as found:
        asyncio.run(app.check(found.app))
        port = listening.getsockname()[1]
        built = app.create(read, found.app, base_url=settings.base_url(read, port), watching=True)
        server = Server(
            uvicorn.Config(
                built, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=10
            )
        )
        # What was imported and built stays for good: the collector need not walk it again and again.
        gc.freeze()
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(_serve(server, listening, lifeline))
        if not server.started:
            raise SetupError("The service did not start; the lines above say why.")


class Server(uvicorn.Server):
    """uvicorn, which would wait in vain for event streams to end by themselves when it leaves."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.news.end()  # pyright: ignore[reportFunctionMemberAccess, reportAttributeAccessIssue]
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else is started. Raises SetupError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise SetupError(f"Port {port} on {host} is taken by another program; set PORT to a free one.") from error
        raise SetupError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    listening.listen(1024)
    return listening


async def _serve(server: uvicorn.Server, listening: socket.socket, lifeline: int | None) -> None:
    if lifeline is not None:
        hold(asyncio.get_running_loop(), lifeline, lambda: setattr(server, "should_exit", True))
    await server.serve(sockets=[listening])
