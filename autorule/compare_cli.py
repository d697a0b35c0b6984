"""`autorule compare`: rule sets against each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from autorule.errors import ConfigError
from autorule.evaluation_terminal import shown_interval
from autorule.storage import write_text
from autorule.terminal import out, printable

if TYPE_CHECKING:
    from autorule.evaluation.comparing import Comparison


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(compare)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="folders of evaluations, two or more")],
    rounds: Annotated[int, typer.Option(min=100, help="of the bootstrap")] = 2000,
    seed: Annotated[int, typer.Option(help="of the bootstrap")] = 0,
    out_file: Annotated[Path | None, typer.Option("--out", help="file for the findings as JSON")] = None,
) -> None:
    """Compare rule sets: on the same pairs, across data sets, and by what they cost."""
    from autorule.evaluation import comparing

    if len(runs) < 2:
        raise ConfigError("give the folders of two evaluations or more")
    found = comparing.compare(runs, rounds, seed)
    if out_file is not None:
        out_file.parent.mkdir(parents=True, exist_ok=True)
        write_text(out_file, found.model_dump_json(indent=2) + "\n")
    print_comparison(found)


def print_comparison(found: "Comparison") -> None:
    """Accuracy of each rule set on each data set, differences on the same pairs, and cost."""
    data = list(dict.fromkeys(run.data for run in found.runs))
    by_place = {(run.rule_set, run.data): run for run in found.runs}
    table = Table(title="Accuracy: which rules tell which data's preferences", title_justify="left")
    table.add_column("rule set")
    for name in data:
        table.add_column(_text(name), justify="right", no_wrap=True)
    for name in dict.fromkeys(run.rule_set for run in found.runs):
        own = [by_place.get((name, one)) for one in data]
        table.add_row(_text(name), *("" if run is None else shown_interval(run.accuracy) for run in own))
    out.print(table)
    if left_out := max(run.n_seen for run in found.runs):
        out.print(f"Up to {left_out} pairs were left out: rules were mined from their prompts, or chosen by them.")
    if found.differences:
        table = Table(title="On the same pairs", title_justify="left")
        for title in ("rule set", "minus", "data", "pairs", "difference"):
            is_figure = title in ("pairs", "difference")
            table.add_column(title, justify="right" if is_figure else "left", no_wrap=is_figure)
        for one in found.differences:
            names = (_text(one.rule_set), _text(one.minus), _text(one.data))
            table.add_row(*names, str(one.n_pairs), shown_interval(one.accuracy, signed=True))
        out.print(table)
    table = Table(title="Cost of a completion", title_justify="left")
    for title in ("rule set", "data", "rules", "asked", "beyond chance", "tokens of the questions", "tokens sent"):
        table.add_column(title, justify="left" if title in ("rule set", "data") else "right")
    for run in found.runs:
        sent = "-" if run.tokens_per_completion is None else f"{run.tokens_per_completion:,.0f}"
        counts = (str(run.n_rules), str(run.n_asked), str(run.n_significant), f"{run.question_tokens:,}")
        table.add_row(_text(run.rule_set), _text(run.data), *counts, sent)
    out.print(table)


def _text(text: str) -> str:
    return escape(printable(text))
