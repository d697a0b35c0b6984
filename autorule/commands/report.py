"""`autorule report`: a run as a page."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(report)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="run folder, such as outputs/RUN_ID")],
    out: Annotated[Path | None, typer.Option(help="folder to write (default: report/ in the run folder)")] = None,
) -> None:
    """Show a run as one HTML page, with its plots as SVG and PNG beside it."""
    from autorule.report.write import write_report

    typer.echo(f"report: {write_report(run, out)}")
