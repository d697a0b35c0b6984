"""Rows of one file or of several as one sequence, and a preference file as pairs and rejected rows."""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

from autorule.errors import InputError
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import is_table, read_rows
from autorule.preferences.rows import BadRow, Row, Used
from autorule.records import PreferencePair, Record, RejectedRow
from autorule.runs.input_files import files_of, names_of

ReadRow = TypeVar("ReadRow", bound=Record)
MOST_WITHOUT_COLUMNS = 1000
"""Rows of a file in which no two need have the same columns: where none of the first has ours, none is looked for."""


class FileRow(NamedTuple):
    row: Row | BadRow
    """Numbered through all files: no two rows of a run have one number."""
    file: Path
    name: str | None
    """Of the file, where there are several."""
    number: int
    """In its file."""

    def named(self, record: ReadRow) -> ReadRow:
        """With the file in its own id; of a row without one, with its number there."""
        if self.name is None:
            return record
        own = getattr(record, "source_id", None) or self.number
        return record.model_copy(update={"source_id": f"{self.name}:{own}"})

    def rejected(self, row: BadRow) -> RejectedRow:
        return self.named(RejectedRow(row=row.number, reasons=(row.reason,)))


def read_files(path: Path, used: Used, source_id: str) -> Iterator[FileRow]:
    """Every row of a file, or of all files that a pattern matches. Raises InputError as files_of and read_rows do."""
    files = files_of(path)
    before = 0
    for file, name in zip(files, names_of(files), strict=True):
        number = 0
        for row in read_rows(file, used, source_id):
            number = row.number
            yield FileRow(row._replace(number=before + number), file, name if len(files) > 1 else None, number)
        before += number


def read_records(
    rows: Iterator[FileRow],
    check: Callable[[Path, Row], None],
    read: Callable[[Row], ReadRow | RejectedRow],
) -> Iterator[ReadRow | RejectedRow]:
    """What `read` makes of every row. `check` raises InputError for a row without the columns that a file needs; the
    file is refused with that where none of its first rows has them, which in a table is the first."""
    for file, of_file in groupby(rows, key=lambda one: one.file):
        held: list[ReadRow | RejectedRow] = []
        fault: InputError | None = None
        checked = False
        for one in of_file:
            if not checked and isinstance(one.row, Row):
                try:
                    check(file, one.row)
                    checked, fault = True, None
                except InputError as error:
                    fault = fault or error
            held.append(one.rejected(one.row) if isinstance(one.row, BadRow) else one.named(read(one.row)))
            if fault is None:
                yield from held
                held.clear()
            elif is_table(file) or len(held) == MOST_WITHOUT_COLUMNS:
                raise fault
        if fault is not None:
            raise fault


def read_pairs(path: Path, field_map: FieldMap) -> Iterator[PreferencePair | RejectedRow]:
    """Every row of the file, or of the files of a pattern, in order, as a pair or as a rejected row with its reasons.

    Raises InputError when a file is unreadable or has no preference columns.
    """
    rows = read_files(path, field_map.used, field_map.source_id)
    return read_records(rows, lambda file, row: field_map.check_layout(str(file), row), field_map.read_pair)
