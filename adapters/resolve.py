"""What a host name stands for: asked when an endpoint is registered, and again each time before it is posted to."""

import asyncio
import socket


async def addresses(host: str, port: int) -> tuple[str, ...]:
    """Every address of the host, in the resolver's order. Raises OSError when there is none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
