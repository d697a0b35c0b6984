"""What a comparison says, as tables on a terminal."""

from typing import TYPE_CHECKING

from autorule.terminal.console import out, shown_text
from autorule.terminal.evaluation import shown_interval
from autorule.terminal.tables import Column, print_rows

if TYPE_CHECKING:
    from autorule.evaluation.comparing import Comparison


def print_comparison(found: "Comparison") -> None:
    """Accuracy of each run, differences on the same pairs, and cost."""
    with_model = len({run.model for run in found.runs}) > 1
    text = [Column(name, is_text=True) for name in ("run", "rules", *(["model"] if with_model else []), "data")]
    models = [[shown_text(run.model)] if with_model else [] for run in found.runs]
    rows = [
        (
            *(shown_text(run.run), shown_text(run.rule_set), *model, shown_text(run.data)),
            *(shown_interval(run.accuracy), str(run.n_pairs), str(run.n_unscored)),
        )
        for run, model in zip(found.runs, models, strict=True)
    ]
    title = "Accuracy: which rules tell which data's preferences"
    print_rows(title, [*text, *map(Column, ("accuracy", "pairs", "unscored"))], rows)
    if left_out := max(run.n_seen for run in found.runs):
        out.print(f"Up to {left_out} pairs were left out: rules were mined from their prompts, or chosen by them.")
    if found.differences:
        rows = [
            (
                shown_text(one.run),
                shown_text(one.minus),
                shown_text(one.data),
                str(one.n_pairs),
                shown_interval(one.accuracy, True),
            )
            for one in found.differences
        ]
        text = [Column(name, is_text=True) for name in ("run", "minus", "data")]
        print_rows("On the same pairs", [*text, Column("pairs"), Column("difference")], rows)
    _print_cost(found)


def _print_cost(found: "Comparison") -> None:
    rows = []
    for run in found.runs:
        sent = "-" if run.tokens_per_completion is None else f"{run.tokens_per_completion:,.0f}"
        counts = (str(run.n_rules), str(run.n_asked), str(run.n_significant), f"{run.question_tokens:,}")
        rows.append((shown_text(run.run), *counts, sent))
    names = ("rules", "asked", "beyond chance", "tokens of the questions", "tokens sent")
    print_rows("Cost of a completion", [Column("run", is_text=True), *map(Column, names)], rows)
