"""A preference file as pairs and rejected rows, and the seeded draw from them."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator
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


def draw(seed: int, *key: str) -> int:
    """A number of 64 bits fixed by the seed and the key: the same on every machine and for any order of rows."""
    return int.from_bytes(hashlib.sha256("\x1f".join((str(seed), *key)).encode()).digest()[:8])


def sample_pairs(pairs: Iterable[PreferencePair], limit: int | None, seed: int) -> Iterator[PreferencePair]:
    """`limit` pairs drawn by seed and pair id, in the order of their rows; all of them when limit is None.

    The draw does not depend on the label or on the order of the rows. Memory grows with the limit, not the file.
    """
    if limit is None:
        yield from pairs
        return
    drawn = heapq.nsmallest(limit, pairs, key=lambda pair: (draw(seed, "sample", pair.pair_id), pair.row))
    yield from sorted(drawn, key=lambda pair: pair.row)
