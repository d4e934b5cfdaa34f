"""A pipe inherited from the supervisor: when its other end closes, the supervisor is gone and so are we."""

import asyncio
import os
from collections.abc import Callable


def hold(loop: asyncio.AbstractEventLoop, lifeline: int, gone: Callable[[], None]) -> None:
    """Call `gone` once the pipe closes. Nobody writes into it: that it can be read means that it is closed."""

    def readable() -> None:
        if not os.read(lifeline, 1):
            loop.remove_reader(lifeline)
            gone()

    loop.add_reader(lifeline, readable)
