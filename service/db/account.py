"""The user that the embedded server runs as, and what that user may reach; no mode of an existing directory is changed."""

import os
import pwd
import stat
from pathlib import Path

import msgspec

from service.errors import SetupError

UNPRIVILEGED = "nobody"


class Account(msgspec.Struct, frozen=True):
    """The user that the server runs as."""

    uid: int
    gid: int
    dropped: bool


def current() -> Account:
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), dropped=False)
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise SetupError(
            f"PostgreSQL does not run as root, and there is no user `{UNPRIVILEGED}` to run it as: "
            "start as an ordinary user, or set DATABASE_URL."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid, dropped=True)


def reachable(path: Path, account: Account) -> bool:
    """Whether the account may pass every directory down to `path`, and `path` itself, as far as it exists."""
    for step in [*reversed(path.resolve().parents), path.resolve()]:
        try:
            found = step.stat()
        except FileNotFoundError:
            return True
        if found.st_uid == account.uid:
            allowed = stat.S_IXUSR
        elif found.st_gid == account.gid:
            allowed = stat.S_IXGRP
        else:
            allowed = stat.S_IXOTH
        if not found.st_mode & allowed:
            return False
    return True


def own_directory(path: Path, uid: int, gid: int, mode: int) -> None:
    """Make `path` for one owner, or verify that what stands there is a real directory of that owner and mode."""
    try:
        path.mkdir(mode=mode)
        path.chmod(mode)  # The umask may have taken bits away; it is ours, just made.
        os.chown(path, uid, gid)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) & ~mode:
            raise SetupError(
                f"{path} stands already, and is not a directory of mode {mode:o} of the user who runs the database; "
                "remove it, or set YUANSHE_HOME to another directory."
            ) from None


def write_private(path: Path, text: str, account: Account | None) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        if account and account.dropped:
            os.fchown(file.fileno(), account.uid, account.gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
