"""Commands of which the list is known, and the code loaded when one is called.

The list of all commands is shown, and a mistyped name refused, without the seconds that the code of some of them takes.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class LateCommand(NamedTuple):
    name: str
    module: str
    """Its `register` adds the command to an app."""
    help: str
    """What the list says of it: the first paragraph of its own help."""


class LateGroup(TyperGroup):
    late: ClassVar[Sequence[LateCommand]] = ()

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands.update({late.name: TyperCommand(late.name, help=late.help) for late in self.late})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is called, loaded."""
        name, command, rest = super().resolve_command(ctx, args)
        late = next((late for late in self.late if late.name == name), None)
        return name, load(late) if late else command, rest


def load(late: LateCommand) -> Any:
    """The whole command."""
    part = typer.Typer()
    import_module(f"autorule.commands.{late.module}").register(part)
    return get_group(part).commands[late.name]
