"""The content of attachments on disk: one file for each content, named by its SHA-256, whole or not there."""

import hashlib
import os
import re
import tempfile
from pathlib import Path


def _place(folder: Path, digest: bytes) -> Path:
    name = digest.hex()
    return folder / name[:2] / name


def write(folder: Path, content: bytes) -> bytes:
    """Keep the content and return its SHA-256. When this returns, it is on the disk; a crash leaves it whole or not there.

    What no row comes to name (its transaction failed) stays until it is `swept`; it harms nobody. Raises OSError.
    """
    digest = hashlib.sha256(content).digest()
    target = _place(folder, digest)
    try:
        # From now on it is not old any more: who sweeps what no row names leaves it (see `swept`).
        os.utime(target)
        return digest
    except FileNotFoundError:
        pass
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    # The name is not safe before its folder is.
    for place in (target.parent, folder):
        _sync(place)
    return digest


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path, digest: bytes) -> bytes:
    """The content of this SHA-256. Raises OSError, also for a file that is no longer what was written."""
    content = _place(folder, digest).read_bytes()
    if hashlib.sha256(content).digest() != digest:
        raise OSError("a file is not what its name says")
    return content


def old(folder: Path, before: float) -> list[bytes]:
    """The contents that nobody has written since `before` (seconds of the epoch), by SHA-256; what a crash left half written
    before that is taken away."""
    found: list[bytes] = []
    for place in sorted(folder.glob("[0-9a-f][0-9a-f]/*")):
        try:
            if place.stat().st_mtime >= before:
                continue
            if _NAME.fullmatch(place.name):
                found.append(bytes.fromhex(place.name))
            elif place.name.startswith((".part-", _GOING)):
                place.unlink()
        except FileNotFoundError:
            continue
    return found


_NAME = re.compile("[0-9a-f]{64}")
_GOING = ".going-"


def swept(folder: Path, digest: bytes, before: float) -> bool:
    """Take away a content that no row names; False when somebody has come to want it meanwhile.

    Its name goes first. Who writes the same content either came before that, and its time is new: then it gets its name back;
    or comes after, finds no such name and writes it anew.
    """
    place = _place(folder, digest)
    going = place.with_name(_GOING + place.name)
    try:
        place.rename(going)
        if going.stat().st_mtime >= before:
            going.replace(place)
            return False
        going.unlink()
    except FileNotFoundError:
        return False
    return True


def destroy(folder: Path, digest: bytes) -> None:
    """Take away a content that is harmful, whoever names it."""
    _place(folder, digest).unlink(missing_ok=True)
