"""Tables that lose nothing: wide where no terminal shows them, and each row in lines of its own where one is narrow."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autorule.terminal.console import WIDE, out

LEAST_TEXT = 24
"""Below so many columns, text in a table is too narrow to read."""
BESIDE_CELLS = 3
"""Columns that borders and padding take beside each cell."""


class Column(NamedTuple):
    name: str
    is_text: bool = False
    """Text is folded; a figure never is."""


def print_rows(title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None) -> None:
    """Cells are markup. `width`: columns of the terminal, looked up when left out."""
    cells = [[Text.from_markup(cell) for cell in row] for row in rows]
    needed = 1 + sum(BESIDE_CELLS + _width(column, [row[i] for row in cells]) for i, column in enumerate(columns))
    width = width or (out.width if out.is_terminal else max(WIDE, needed))
    console = Console(width=width, highlight=False)
    if needed > width:
        for line in (Text.from_markup(f"[italic]{title}[/]"), *_stacked(columns, cells, width)):
            console.print(line)
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        justify = "left" if column.is_text else "right"
        table.add_column(column.name, justify=justify, no_wrap=not column.is_text, overflow="fold")  # type: ignore[arg-type]
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _width(column: Column, cells: Sequence[Text]) -> int:
    widest = max([cell.cell_len for cell in cells] + [len(column.name)])
    return min(widest, LEAST_TEXT) if column.is_text else widest


def _stacked(columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> Iterator[Text]:
    """Of each row its first text, then all else with its names: as many to a line as fit."""
    for row in rows:
        named = list(zip(columns, row, strict=True))
        texts, figures = ([both for both in named if both[0].is_text is is_text] for is_text in (True, False))
        yield texts[0][1]
        line = Text("  ")
        for column, cell in (*texts[1:], *figures):
            if not cell:
                continue
            item = Text.assemble(f"{column.name} ", cell)
            if line.plain.strip() and line.cell_len + item.cell_len + 2 > width:
                yield line
                line = Text("  ")
            line = Text.assemble(line, ", " if line.plain.strip() else "", item)
        yield line
