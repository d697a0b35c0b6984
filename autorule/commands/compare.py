"""`autorule compare`: rule sets, or verifiers, against each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autorule.commands.findings import check_place, write_findings
from autorule.commands.options import AsJson, Debug
from autorule.errors import ConfigError, RunFailedError
from autorule.terminal.comparison import print_comparison
from autorule.terminal.console import err, print_record, shown_text

if TYPE_CHECKING:
    from autorule.evaluation.comparing import Compared


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(compare)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="folders of evaluations, two or more")],
    rounds: Annotated[int, typer.Option(min=100, help="of the bootstrap")] = 2000,
    seed: Annotated[int, typer.Option(help="of the bootstrap")] = 0,
    out_file: Annotated[Path | None, typer.Option("--out", help="file for the findings as JSON")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare rule sets, or verifiers of one set: on the same pairs, across data sets, and by what they cost.

    Exit code 3 when the verifier failed on more than a tenth of the pairs of a run.
    """
    from autorule.evaluation.comparing import compare as compare_runs
    from autorule.evaluation.too_many_failures import MOST_UNSCORED

    if len(runs) < 2:
        raise ConfigError("give the folders of two evaluations or more")
    check_place(out_file)
    found = compare_runs(runs, rounds, seed)
    write_findings(out_file, found.model_dump_json(indent=2), quiet=True)
    if as_json:
        print_record(found)
    else:
        print_comparison(found)
    if unscored := [run for run in found.runs if run.n_unscored]:
        err.print("".join(f"[yellow]{shown_text(line)}[/]\n" for line in map(_unscored, unscored)), end="")
    if broken := [run for run in unscored if run.n_unscored > MOST_UNSCORED * run.n_pairs]:
        raise RunFailedError(
            f"the verifier failed on more than {MOST_UNSCORED:.0%} of the pairs of "
            f"{', '.join(run.run for run in broken)}: mend what its failures.jsonl says, and evaluate again"
        )


def _unscored(run: "Compared") -> str:
    return f"{run.n_unscored} of {run.n_pairs} pairs unscored in {run.run}: the verifier failed, they count for nothing"
