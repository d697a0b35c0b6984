"""The help of every command."""

import re

import pytest
from typer.testing import CliRunner

from autorule.commands.cli import COMMANDS, app
from autorule.commands.late import load


def every_command():
    for late in COMMANDS:
        command = load(late)
        inner = getattr(command, "commands", {})
        yield from (((late.name, name), one) for name, one in inner.items())
        if not inner:
            yield (late.name,), command


@pytest.mark.parametrize(("path", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in every_command()])
def test_no_word_of_a_help_text_is_taken_for_markup(path, command):
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "400"})
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    texts = [command.help or "", *(param.help or "" for param in command.params if hasattr(param, "help"))]
    for bracket in {bracket for text in texts for bracket in re.findall(r"\\?\[[^\]]*\]", text)}:
        assert bracket.startswith("\\["), f"{bracket} is taken for markup: escape it"
        assert bracket[1:] in shown
