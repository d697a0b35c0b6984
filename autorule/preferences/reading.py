"""Rows of one file or of several as one sequence, and a preference file as pairs and rejected rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import read_rows
from autorule.preferences.rows import BadRow, Row, Used
from autorule.records import PreferencePair, Record, RejectedRow
from autorule.runs.input_files import files_of, names_of

ReadRow = TypeVar("ReadRow", bound=Record)


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


def read_files(path: Path, used: Used) -> Iterator[FileRow]:
    """Every row of a file, or of all files that a pattern matches. Raises InputError as files_of and read_rows do."""
    files = files_of(path)
    before = 0
    for file, name in zip(files, names_of(files), strict=True):
        number = 0
        for row in read_rows(file, used):
            number = row.number
            yield FileRow(row._replace(number=before + number), file, name if len(files) > 1 else None, number)
        before += number


def read_pairs(path: Path, field_map: FieldMap) -> Iterator[PreferencePair | RejectedRow]:
    """Every row of the file, or of the files of a pattern, in order, as a pair or as a rejected row with its reasons.

    Raises InputError when a file is unreadable or has no preference columns.
    """
    checked = None
    for one in read_files(path, field_map.used):
        if isinstance(one.row, BadRow):
            yield one.rejected(one.row)
            continue
        if checked != one.file:
            field_map.check_layout(str(one.file), one.row)
            checked = one.file
        yield one.named(field_map.read_pair(one.row))
