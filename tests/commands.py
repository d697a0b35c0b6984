"""Commands in the process of the test: quicker than a process for each."""

import sys

import pytest

from autorule.cli import main


def run_command(monkeypatch, capsys, *arguments):
    """(exit code, what was written to stdout, to stderr)."""
    monkeypatch.setattr(sys, "argv", ["autorule", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    return ended.value.code, shown.out, shown.err
