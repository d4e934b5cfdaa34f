"""The content of attachments on disk: one file for each content, named by its SHA-256, whole or not there."""

import hashlib
import os
import tempfile
from pathlib import Path


def _place(folder: Path, digest: bytes) -> Path:
    name = digest.hex()
    return folder / name[:2] / name


def write(folder: Path, content: bytes) -> bytes:
    """Keep the content and return its SHA-256. When this returns, it is on the disk; a crash leaves it whole or not there.

    What no row comes to name (its transaction failed) stays until it is swept; it harms nobody. Raises OSError.
    """
    digest = hashlib.sha256(content).digest()
    target = _place(folder, digest)
    if target.exists():
        return digest
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
