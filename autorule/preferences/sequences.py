"""Values of numpy, pandas, pyarrow and tensor libraries as Python has them, without any of these."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

CONVERTERS = ("to_pylist", "as_py", "tolist")
MISSING = {"NAType", "NaTType"}
"""Types by which pandas says that there is no value, beside NaN."""


def plain(value: Any) -> Any:
    """The value as a list, a dict, a text or a number where its library can tell it so; None for NaN. What can't be had
    as a value of Python stays as it is."""
    for name in CONVERTERS:
        if callable(getattr(type(value), name, None)):
            try:
                value = getattr(value, name)()
            except Exception:  # noqa: BLE001  # whatever the type of a value raises: zones, durations, keys
                return value
            break
    return None if is_missing(value) else value


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ in MISSING


def as_list(value: Any) -> list[Any] | None:
    """The items of a sequence, whatever library it comes from; None for what is none: text, mappings, sets, what has no
    length."""
    value = plain(value)
    if isinstance(value, list):
        return value
    if isinstance(value, (str, bytes, bytearray, Mapping, Set)) or not is_sized(value):
        return None
    return list(value if isinstance(value, Sequence) else _items(value))


def is_sized(value: Any) -> bool:
    """Whether it has a length, and items in an order."""
    kind = type(value)
    if not (hasattr(kind, "__len__") and (hasattr(kind, "__getitem__") or hasattr(kind, "__iter__"))):
        return False
    try:
        len(value)
    except TypeError:  # a number of a tensor library, or a loader of rows that nobody has counted
        return False
    return True


def _items(value: Any) -> Iterator[Any]:
    return iter(value) if hasattr(type(value), "__iter__") else (value[index] for index in range(len(value)))
