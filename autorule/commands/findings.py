"""Files that commands write what they found to."""

from errno import EISDIR
from pathlib import Path
from tempfile import TemporaryFile

import typer

from autorule.errors import ConfigError
from autorule.storage import write_text


def check_place(out: Path | None) -> None:
    """Raises ConfigError for a place that can't be written: before the work is paid for, not after."""
    if out is None:
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out.parent):
            pass
        if out.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
    except OSError as error:
        raise ConfigError(f"{out} can't be written: {error.strerror}; give another place with --out") from error


def write_findings(out: Path | None, text: str, quiet: bool) -> None:
    """Writes the findings before anything is judged by them, so that a failing gate leaves its evidence."""
    if out is None:
        return
    try:
        write_text(out, text + "\n")
    except OSError as error:
        raise ConfigError(f"{out} can't be written: {error.strerror}; give another place with --out") from error
    if not quiet:
        typer.echo(f"findings: {out}")
