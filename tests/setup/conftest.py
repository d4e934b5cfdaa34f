"""Homes of their own for tests that start and stop servers, and other processes that hold one."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.db import embedded

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from pathlib import Path
from service.db.embedded import attach
held = attach(Path(sys.argv[1]))
print(held.data.joinpath("postmaster.pid").read_text().splitlines()[0], flush=True)
sys.stdin.read()
held.leave()
"""


class Holder:
    """Another process that attaches, says the server's process number, and leaves when told."""

    def __init__(self, home: Path, **how: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(home)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **how,
        )

    def server(self) -> int:
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.stderr.read())
        return int(line)

    def leave(self) -> None:
        self.process.stdin.close()
        assert self.process.wait(60) == 0, self.process.stderr.read()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="yuanshe-"))
    folder.chmod(0o711)
    yield folder / "home"
    if (folder / "home").exists():
        embedded.discard(folder / "home")
    shutil.rmtree(folder)


@pytest.fixture
def hold(home: Path) -> Iterator[Callable[..., Holder]]:
    held: list[Holder] = []

    def start(**how: object) -> Holder:
        held.append(Holder(home, **how))
        return held[-1]

    yield start
    for each in held:
        if each.process.poll() is None:
            each.kill()
        for pipe in (each.process.stdin, each.process.stdout, each.process.stderr):
            pipe.close()


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can drop privileges")
