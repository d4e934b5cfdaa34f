"""What a host name stands for: asked when an endpoint is registered, and again each time before it is posted to."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

THREADS = 96
"""Look-ups at once. More than the worker has posts in flight, so that names which nobody answers for keep no other
waiting; they sleep in the resolver and cost little. Threads of its own, for others need the loop's few."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolve")
_asking: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, "asyncio.Future[Any]"]] = WeakKeyDictionary()
"""Look-ups in flight, one for each host, however many wait for it."""


async def addresses(host: str, port: int) -> tuple[str, ...]:
    """Every address of the host, in the resolver's order. Raises OSError when there is none."""
    loop = asyncio.get_running_loop()
    asking = _asking.setdefault(loop, {})
    if (asked := asking.get(host)) is None:
        asked = loop.run_in_executor(_threads, _look_up, host, port)
        asking[host] = asked
        asked.add_done_callback(lambda done: _done(asking, host, done))
    # Who waits no longer leaves the look-up to the others.
    found = await asyncio.shield(asked)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _look_up(host: str, port: int) -> Any:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _done(asking: "dict[str, asyncio.Future[Any]]", host: str, done: "asyncio.Future[Any]") -> None:
    asking.pop(host, None)
    if not done.cancelled():
        done.exception()  # Seen, also where nobody waits any more.
