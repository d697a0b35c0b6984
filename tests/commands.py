"""Commands in the process of the test: quicker than a process for each, which takes seconds to load what it runs."""

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest

from autorule.commands.cli import main


def run_command(monkeypatch, capsys, *arguments):
    """(exit code, what was written to stdout, to stderr)."""
    monkeypatch.setattr(sys, "argv", ["autorule", *map(str, arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    return ended.value.code, shown.out, shown.err


def autorule(*arguments, cwd, code=0):
    """What a command in the folder `cwd` writes to stdout; to stderr where it is to end with another code than 0."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["autorule", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == code, err.getvalue()[-2000:]
    return out.getvalue() if code == 0 else err.getvalue()
