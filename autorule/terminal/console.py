"""Where commands write, in how many columns; tables, paragraphs, JSON and errors."""

import json
import os
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from autorule.errors import printable

if TYPE_CHECKING:
    from pydantic import BaseModel

WIDE = 160
"""Columns where nobody says how many there are: in a file or a pipe."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def shown_width() -> int:
    """Columns of what stdout goes to."""
    if out.is_terminal:
        return out.width
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else WIDE


def fits(table: Table) -> bool:
    """Whether the table can be shown with no cell in two lines."""
    return out.measure(table, options=out.options.update(width=10_000)).maximum <= shown_width()


def print_table(table: Table) -> None:
    """The table, with cells folded that are too long; a column that is not to be folded is never cut."""
    _folding().print(table)


def print_folded(text: str, indent: int = 0) -> None:
    """A paragraph in the width that there is."""
    _folding().print(Padding(text, (0, 0, 0, indent), expand=False))


def _folding() -> Console:
    return Console(highlight=False, width=shown_width(), file=out.file)


def print_json(value: Any) -> None:
    """JSON in ASCII, which does no harm in any terminal."""
    print(json.dumps(value, indent=2))


def print_record(record: "BaseModel") -> None:
    print_json(json.loads(record.model_dump_json()))


def shown_text(text: str) -> str:
    """Text of others, without markup and control characters."""
    return escape(printable(text))


def print_error(message: str) -> None:
    err.print(f"[bold red]Error:[/] {shown_text(message)}")
