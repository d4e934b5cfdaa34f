"""The directory as plain files: reading any, and the invented network of the demo, which stands beside this module."""

import csv
from collections.abc import Sequence
from pathlib import Path

from service.directory.model import Table
from service.directory.rows import COLUMNS, SURPLUS
from service.errors import Invalid, Issue, SetupError

DEMO = Path(__file__).parent
"""Folder of the demo's files (`organizations.csv`, …)."""


def read(paths: Sequence[Path]) -> list[Table]:
    """Read CSV files (UTF-8, first line the columns), or those of a directory; a file's name says its table.

    Raises SetupError where there is nothing to read, Invalid with one issue for each file that is no such CSV.
    """
    faults: list[Issue] = []
    tables: list[Table] = []
    for file in [file for path in paths for file in _files(path)]:
        try:
            tables.append(_table(file))
        except UnicodeDecodeError:
            faults.append(Issue("is not UTF-8", at=f"{file}:1"))
        except OSError as error:
            raise SetupError(f"{file} cannot be read ({error.strerror}).") from error
        except Invalid as refusal:
            faults += refusal.issues
    if faults:
        raise Invalid("Some files cannot be read; nothing was loaded.", issues=faults, key="faulty-files")
    return sorted(tables, key=lambda table: list(COLUMNS).index(table.name))


def _table(file: Path) -> Table:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        try:
            columns = tuple(name.strip() for name in next(reader, []))
            rows = tuple((reader.line_num, _cells(columns, row)) for row in reader if any(row))
        except csv.Error as error:
            raise Invalid(
                "This is no CSV.", issues=[Issue(f"is not CSV: {error}", at=f"{file}:{reader.line_num}")]
            ) from error
    return Table(file.stem, str(file), columns, rows)


def _cells(columns: tuple[str, ...], row: list[str]) -> dict[str, str]:
    cells = dict(zip(columns, row, strict=False))
    return cells | {SURPLUS: " ".join(row[len(columns) :])} if len(row) > len(columns) else cells


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for name in COLUMNS if (file := path / f"{name}.csv").is_file()]
        if not found:
            raise SetupError(f"{path} holds none of {', '.join(f'{name}.csv' for name in COLUMNS)}.")
        return found
    if path.stem not in COLUMNS or path.suffix != ".csv":
        raise SetupError(f"{path} is none of {', '.join(f'{name}.csv' for name in COLUMNS)}: its name says its table.")
    if not path.is_file():
        raise SetupError(f"There is no file {path}.")
    return [path]
