"""A preference file as pairs and rejected rows."""

from collections.abc import Iterator
from pathlib import Path

from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import BadRow, read_rows
from autorule.records import PreferencePair, RejectedRow


def read_pairs(path: Path, field_map: FieldMap) -> Iterator[PreferencePair | RejectedRow]:
    """Every row of the file, in order, as a pair or as a rejected row with its reasons.

    Raises InputError when the file is unreadable or has no preference columns.
    """
    checked = False
    for row in read_rows(path):
        if isinstance(row, BadRow):
            yield RejectedRow(row=row.number, reasons=(row.reason,))
            continue
        if not checked:
            field_map.check_layout(str(path), row)
            checked = True
        yield field_map.read_pair(row)
