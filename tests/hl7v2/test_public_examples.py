"""Messages that were not written for us are acknowledged, or refused with the place and the reason; docs/hl7v2.md says which."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.hl7v2.ward import HIS_A, NUMBERS, Acked, ward
from tests.http.world import World

HERE = Path(__file__).parents[2]
DATA = HERE.parent / "shared" / "data" / "hl7v2"
PAGE = HERE / "docs" / "hl7v2.md"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the public examples are not here (shared/data/hl7v2)")

ANYBODY = msgspec.structs.replace(HIS_A, application=None, facility=None, identifiers={"MR": NUMBERS})
HEAD = "| example | how it was sent | answer | place | why |\n"


def ways(path: Path) -> Iterator[tuple[str, bytes]]:
    """The message; then with what its family has wrong set right, one thing after another."""
    raw = path.read_bytes()
    yield "as it is", raw
    # All of the family carry one message id: the same id on another message is refused for that.
    own = raw.replace(b"MSG00001", path.stem.encode(), 1)
    if own != raw:
        yield "with an id of its own", own
    coded = own.replace(b"MSG00001", path.stem.encode()).replace(path.stem.encode(), path.stem.encode() + b"-C", 1)
    coded = coded.replace(b"|Admitted as Inpatient^Sample^ACR|", b"|01|", 1)
    if b"ACR|22&Homes" in own:
        yield "… and a code in PV1-36", coded
    if b"|T|2.3|" in raw:
        yield "as a production system sends it", raw.replace(b"|T|2.3|", b"|P|2.3|", 1)


def row(path: Path, how: str, said: Acked) -> str:
    place = f"`{said.place}`" if said.place else ""
    old = said.error.raw(1)  # of versions before 2.5
    return f"| {path.stem} | {how} | {said.code} | {place or (f'`{old}`' if old else '')} | {said.why or (said.text if old else '')} |"


async def test_each_is_acknowledged_or_refused_by_name_and_the_page_says_which(world: World) -> None:
    rows: list[str] = []
    async with ward(world, his=ANYBODY) as his:
        for path in sorted(DATA.glob("*.hl7")):
            for how, raw in ways(path):
                said = await his.send(raw)
                assert said.code in ("AA", "AE", "AR"), said
                assert said.code == "AA" or said.condition or said.error.raw(1), said
                rows.append(row(path, how, said))
    page = PAGE.read_text()
    begins = page.index(HEAD)
    ends = page.index("\n\n", begins) + 1
    should = page[:begins] + HEAD + "|---|---|---|---|---|\n" + "\n".join(rows) + "\n" + page[ends:]
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(should)
        return
    changed = "\n".join(difflib.unified_diff(page.splitlines(), should.splitlines(), lineterm="", n=0))
    assert not changed, f"docs/hl7v2.md says otherwise; WRITE_DOCS=1 writes its table anew:\n{changed}"
