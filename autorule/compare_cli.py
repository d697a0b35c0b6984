"""`autorule compare`: rule sets, or verifiers, against each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from autorule.command_options import Debug
from autorule.errors import ConfigError, RunFailedError
from autorule.evaluation_terminal import shown_interval
from autorule.shown_tables import Column, print_table
from autorule.storage import write_text
from autorule.terminal import err, out, printable

if TYPE_CHECKING:
    from autorule.evaluation.comparing import Compared, Comparison


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("compare")
    def compare_(
        runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="folders of evaluations, two or more")],
        rounds: Annotated[int, typer.Option(min=100, help="of the bootstrap")] = 2000,
        seed: Annotated[int, typer.Option(help="of the bootstrap")] = 0,
        out_file: Annotated[Path | None, typer.Option("--out", help="file for the findings as JSON")] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="the findings as JSON on stdout, and nothing else there")
        ] = False,
        debug: Debug = False,
    ) -> None:
        """Compare rule sets, or verifiers of one set: on the same pairs, across data sets, and by what they cost.

        Exit code 3 when the verifier failed on more than a tenth of the pairs of a run.
        """
        from autorule.evaluation import comparing
        from autorule.evaluation.too_many_failures import MOST_UNSCORED

        if len(runs) < 2:
            raise ConfigError("give the folders of two evaluations or more")
        found = comparing.compare(runs, rounds, seed)
        if out_file is not None:
            _write(out_file, found.model_dump_json(indent=2) + "\n")
        if as_json:
            print(found.model_dump_json(indent=2))
        else:
            print_comparison(found)
        if unscored := [run for run in found.runs if run.n_unscored]:
            err.print("".join(f"[yellow]{_text(line)}[/]\n" for line in map(_unscored, unscored)), end="")
        if broken := [run for run in unscored if run.n_unscored > MOST_UNSCORED * run.n_pairs]:
            raise RunFailedError(
                f"the verifier failed on more than {MOST_UNSCORED:.0%} of the pairs of "
                f"{', '.join(run.run for run in broken)}: mend what its failures.jsonl says, and evaluate again"
            )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}; give another place with --out") from error


def _unscored(run: "Compared") -> str:
    return f"{run.n_unscored} of {run.n_pairs} pairs unscored in {run.run}: the verifier failed, they count for nothing"


def print_comparison(found: "Comparison") -> None:
    """Accuracy of each run, differences on the same pairs, and cost."""
    with_model = len({run.model for run in found.runs}) > 1
    text = [Column(name, is_text=True) for name in ("run", "rules", *(["model"] if with_model else []), "data")]
    models = [[_text(run.model)] if with_model else [] for run in found.runs]
    rows = [
        (
            *(_text(run.run), _text(run.rule_set), *model, _text(run.data)),
            *(shown_interval(run.accuracy), str(run.n_pairs), str(run.n_unscored)),
        )
        for run, model in zip(found.runs, models, strict=True)
    ]
    title = "Accuracy: which rules tell which data's preferences"
    print_table(title, [*text, *map(Column, ("accuracy", "pairs", "unscored"))], rows)
    if left_out := max(run.n_seen for run in found.runs):
        out.print(f"Up to {left_out} pairs were left out: rules were mined from their prompts, or chosen by them.")
    if found.differences:
        rows = [
            (_text(one.run), _text(one.minus), _text(one.data), str(one.n_pairs), shown_interval(one.accuracy, True))
            for one in found.differences
        ]
        text = [Column(name, is_text=True) for name in ("run", "minus", "data")]
        print_table("On the same pairs", [*text, Column("pairs"), Column("difference")], rows)
    _print_cost(found)


def _print_cost(found: "Comparison") -> None:
    rows = []
    for run in found.runs:
        sent = "-" if run.tokens_per_completion is None else f"{run.tokens_per_completion:,.0f}"
        counts = (str(run.n_rules), str(run.n_asked), str(run.n_significant), f"{run.question_tokens:,}")
        rows.append((_text(run.run), *counts, sent))
    names = ("rules", "asked", "beyond chance", "tokens of the questions", "tokens sent")
    print_table("Cost of a completion", [Column("run", is_text=True), *map(Column, names)], rows)


def _text(text: str) -> str:
    return escape(printable(text))
