"""What the doctor found."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.markup import escape

from autorule.terminal.console import out


class Check(NamedTuple):
    name: str
    ok: bool | None
    """None: not there, and not needed."""
    detail: str


def print_checks(checks: Iterable[Check]) -> bool:
    """Prints the checks; whether none failed."""
    marks = {True: "[green]ok[/]", False: "[bold red]failed[/]", None: "[dim]absent[/]"}
    all_ok = True
    for check in checks:
        out.print(f"{marks[check.ok]:>6}  {check.name}: {escape(check.detail)}")
        all_ok = all_ok and check.ok is not False
    return all_ok
