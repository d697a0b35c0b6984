"""What `autorule verifier` shows on the terminal."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from autorule.terminal.console import print_table, shown_text

if TYPE_CHECKING:
    from autorule.verification.calibration import RuleCalibration
    from autorule.verification.check import CheckReport


def print_verifier_check(reports: "Sequence[CheckReport]") -> None:
    table = Table(title=f"Verifier {escape(reports[0].engine)}", title_justify="left")
    table.add_column("")
    for report in reports:
        table.add_column(report.mode, justify="right")
    rows: list[tuple[str, Callable[[CheckReport], float | int | None]]] = [
        ("labels", lambda r: r.quality.n),
        ("satisfied by the labels", lambda r: r.quality.share_satisfied),
        ("satisfied by the verdicts", lambda r: r.quality.share_yes),
        ("unscored", lambda r: r.quality.n_unscored),
        ("accuracy", lambda r: r.quality.accuracy),
        ("balanced accuracy", lambda r: r.quality.balanced_accuracy),
        ("AUC", lambda r: r.quality.auc),
        ("calibration error (ECE)", lambda r: r.quality.ece),
        ("suggested threshold", lambda r: r.quality.threshold),
        ("balanced accuracy with it", lambda r: r.quality.balanced_accuracy_at_threshold),
        *(
            (f"flips: {name}", lambda r, name=name: r.flips.get(name))
            for name in dict.fromkeys(name for report in reports for name in report.flips)
        ),
        ("verdicts per second", lambda r: r.verdicts_per_s),
        ("tokens per verdict", lambda r: r.tokens_per_verdict),
    ]
    for name, value in rows:
        table.add_row(name, *(_figure(value(report)) for report in reports))
    print_table(table)


def print_calibration(found: "Sequence[RuleCalibration]") -> None:
    table = Table(title="Thresholds of rules", title_justify="left")
    for name in ("rule", "labels", "balanced accuracy", "held out", "threshold"):
        table.add_column(name, justify="left" if name == "rule" else "right")
    for rule in found:
        kept = "kept" if rule.threshold is None else _figure(rule.threshold)
        figures = (_figure(rule.n), _figure(rule.before), _figure(rule.after), kept)
        table.add_row(shown_text(rule.text), *figures)
    print_table(table)


def _figure(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.1f}" if value >= 10 else f"{value:.3f}"
