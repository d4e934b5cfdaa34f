"""docs/screening.md and docs/safety.md say what the data says."""

import re
from pathlib import Path

from service.safety.duties import TABLE
from service.safety.instruments import INSTRUMENTS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_safety_has_the_table_of_duties_rule_by_rule() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| ([\w-]+) \| (.+) \|$", (DOCS / "safety.md").read_text(), re.M)
    assert rows == [(rule.code, rule.colour, rule.report, ", ".join(rule.channels) or "–") for rule in TABLE.rules]


def test_the_page_of_screening_has_each_instrument_with_its_codes_bands_and_thresholds() -> None:
    page = (DOCS / "screening.md").read_text()
    rows = {row[1].strip("` "): row for row in (line.split("|")[1:-1] for line in page.splitlines()) if len(row) == 7}
    for key, form in INSTRUMENTS.items():
        _, _, loinc, total, reads, suggests, words = (cell.strip() for cell in rows[key])
        assert loinc == (f"panel {form.panel}" if form.panel else "–"), key
        if form.total and form.total.loinc:
            assert f"`{form.total.code}`" in total
        if form.total:
            ranged = re.search(r"\d+–\d+", form.total.zh)
            assert ranged and ranged.group() in total, key
        for band in form.bands[1:]:
            assert f"{band.at} {band.en.lower()}" in reads, (key, band)
        for rule in form.rules:
            assert f"≥ {rule.at} " in suggests, (key, rule)
        assert words == ("as published" if form.wording == "published" else "captions of ours"), key
