"""A list of images as a table: a CSV, TSV or JSON-lines file, or Parquet -> its columns and rows."""

import contextlib
import csv
import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from indexer.errors import InvalidRequest, NotInstalled
from indexer.store.storage import Location

DELIMITERS: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_EXCEL_HINT: Final = "sep="
_ROWS_AT_ONCE: Final = 1 << 14

Row = dict[str, Any]
Rows = Iterator[tuple[int, Row]]
"""Line numbers, each with the row's values by column."""


@dataclass(frozen=True)
class Table:
    """A list whose rows are not read yet.

    Attributes
    ----------
    columns : list of str
        Their names in the file, without spaces around them.
    rows : callable
        Reads the file from its start. Raises InvalidRequest, with the line, if it is malformed.
    delimiter : str or None
        The sign between the cells of a text file.
    """

    columns: list[str]
    rows: Callable[[], Rows]
    delimiter: str | None = None


def open_table(source: Location) -> Table:
    """Read the columns of a list.

    Raises
    ------
    InvalidRequest
        It is malformed.
    NotInstalled
        It needs a package of an extra.
    """
    return READERS[source.suffix.lower()](source)


def _text(source: Location) -> Table:
    _, line = next(_from_header(source), (0, ""))
    delimiter = _delimiter(line)
    header = _cells(source, line, delimiter)
    return Table(header, lambda: _text_rows(source, header, delimiter), delimiter)


def _lines(source: Location) -> Iterator[tuple[int, str]]:
    try:
        with source.open("r", encoding="utf-8-sig", newline="") as file:
            yield from enumerate(file, start=1)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{source} is not UTF-8 ({error.reason}); save it as UTF-8") from error


def _from_header(source: Location) -> Iterator[tuple[int, str]]:
    """The line that names the columns and all lines after it. Blank ones stay, as a quoted cell may hold them."""
    return itertools.dropwhile(lambda line: _says_nothing(line[1]), _lines(source))


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lower().startswith(_EXCEL_HINT)


def _delimiter(header: str) -> str:
    """The delimiter that the header has most often outside of quotes; unquoted names of columns hold none."""
    outside = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _cells(source: Location, line: str, delimiter: str) -> list[str]:
    try:
        (cells,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
    except (csv.Error, ValueError) as error:
        raise InvalidRequest(f"{source}: its header is not CSV ({error})") from error
    while cells and not cells[-1].strip():  # a delimiter at the end of every line
        cells.pop()
    return [cell.strip() for cell in cells]


def _text_rows(source: Location, header: list[str], delimiter: str) -> Rows:
    lines = _from_header(source)
    before, _ = next(lines)
    reader = csv.reader((line for _, line in lines), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            number = before + reader.line_num
            if any(cell.strip() for cell in cells[len(header) :]):
                raise InvalidRequest(
                    f"{source}, line {number}: {len(cells)} cells, but the header names {len(header)} columns; put a "
                    f'cell that holds {DELIMITERS[delimiter]} in "quotes"'
                )
            if any(cell.strip() for cell in cells):
                yield number, dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise InvalidRequest(f"{source}, line {before + reader.line_num}: not CSV ({error})") from error


def _json(source: Location) -> Table:
    columns: dict[str, None] = {}
    for _, row in _json_rows(source):
        columns |= dict.fromkeys(row)
    return Table(list(columns), lambda: _json_rows(source))


def _json_rows(source: Location) -> Rows:
    for number, text in _lines(source):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:  # for numbers that are too long, and lists nested too deep
            raise InvalidRequest(f"{source}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise InvalidRequest(f"{source}, line {number}: every line must be an object with a 'path'")
        yield number, {name.strip(): value for name, value in row.items()}


def _parquet(source: Location) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise NotInstalled(f"{source}: reading Parquet needs pyarrow: install unitscope[lists]") from error

    def rows() -> Rows:
        number = 0
        with opened() as table:
            for batch in table.iter_batches(_ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {name.strip(): _named(value) for name, value in row.items()}

    @contextlib.contextmanager
    def opened() -> Iterator[Any]:
        with source.open("rb") as file:
            try:
                yield parquet.ParquetFile(file)
            except pyarrow.ArrowException as error:
                raise InvalidRequest(f"{source} is not Parquet ({str(error).splitlines()[0]})") from error

    with opened() as table:
        return Table([name.strip() for name in table.schema_arrow.names], rows)


def _named(value: Any) -> Any:
    """A value as it was meant: Parquet may keep whole numbers as floats if some are missing in the column."""
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else value


READERS: Final[dict[str, Callable[[Location], Table]]] = {
    ".csv": _text,
    ".tsv": _text,
    ".jsonl": _json,
    ".ndjson": _json,
    ".parquet": _parquet,
    ".pq": _parquet,
}
"""The function that opens a list, by the ending of its name."""
