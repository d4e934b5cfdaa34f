"""Asking a program of the operator's whether a file is harmful: beside the event loop, for so long and no longer."""

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

Verdict = Literal["unasked", "clean", "infected", "pending"]
"""`unasked`: no scanner is set; `pending`: the scanner could not say."""

AT_ONCE = 4
"""Scans at the same time in one process; who waits for a turn spends their own time."""
PLACE = "{}"
"""Stands in a command for the file's path; without it the path comes last."""
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""All that the scanner sees of our environment: the rest holds secrets."""

_turns: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


async def scanned(command: Sequence[str], content: bytes, seconds: float) -> Verdict:
    """What the scanner says of a file: it ends with 0 for nothing found, 1 for something, anything else for that it could not
    say; so does one that is not done in time, or cannot be started."""
    if not command:
        return "unasked"
    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    path = await asyncio.to_thread(_written, content)
    try:
        async with asyncio.timeout(seconds), turn:
            code = await _run([part.replace(PLACE, str(path)) for part in _with_place(command)])
    except (TimeoutError, OSError) as fault:
        log.warning("the scanner could not say: %s", type(fault).__name__)
        return "pending"
    finally:
        await asyncio.to_thread(_gone, path)
    if code not in (0, 1):
        log.warning("the scanner could not say: it ended with %d", code)
    return "clean" if code == 0 else "infected" if code == 1 else "pending"


def _with_place(command: Sequence[str]) -> Sequence[str]:
    return command if any(PLACE in part for part in command) else [*command, PLACE]


async def _run(command: Sequence[str]) -> int:
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    program = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        return await program.wait()
    except BaseException:
        # It and whatever it started: nobody waits for what they would say.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        await asyncio.shield(program.wait())
        raise


def _written(content: bytes) -> Path:
    # Of mode 0600, in a folder of the system's: what was not scanned yet never lies among what was.
    descriptor, name = tempfile.mkstemp(prefix="yuanshe-scan-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return Path(name)


def _gone(path: Path) -> None:
    path.unlink(missing_ok=True)
