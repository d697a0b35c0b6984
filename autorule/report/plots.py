"""The plots of an evaluation for which there are figures; of ways to score a pair, and of what more would bring."""

from collections.abc import Sequence
from typing import Any

from autorule.report.axes import SMALL, errors, percent_axis, share_limits, whole_axis
from autorule.report.calibration_plots import margin_plot, reliability_plot
from autorule.report.drawing import BLUE, MUTED, ORANGE, Plot
from autorule.report.forest_plot import agreement_plot
from autorule.report.names import is_of_rules, way_name
from autorule.report.redundancy_plot import redundancy_plot
from autorule.report.text import counted, interval_text, shortened
from autorule.statistics.records import Accuracy, CurvePoint, Evaluation

LEAST_POINTS = 2
"""Of a curve: a single point leads nowhere."""
OVER_PROMPTS = "95% intervals of a bootstrap over prompts"
OVER_DRAWS = f"the mean of several draws of pairs, {OVER_PROMPTS}"


def evaluation_plots(found: Evaluation) -> list[Plot]:
    plots = []
    if any(way.accuracy.value is not None for way in found.accuracies):
        plots.append(accuracy_plot(found.accuracies))
    if found.margins:
        plots.append(margin_plot(found.margins))
    if found.one_call_bins:
        plots.append(reliability_plot(found.one_call_bins))
    if any(rule.agreement.value is not None for rule in found.rules):
        plots.append(agreement_plot(found.rules))
    for name, of, matrix in (
        ("redundancy-verdicts", "verdicts", found.phi_verdicts),
        ("redundancy-differences", "differences (chosen minus rejected)", found.phi_differences),
    ):
        if len(matrix) > 1:
            plots.append(redundancy_plot(name, of, matrix))
    if found.curves is not None:
        n_test = None if found.weightings is None else found.weightings.n_test_pairs
        for name, what, band, points in (
            ("curve-rules", "rule", OVER_PROMPTS, found.curves.by_rules),
            ("curve-pairs", "labelled pair", OVER_DRAWS, found.curves.by_pairs),
        ):
            if sum(point.accuracy.value is not None for point in points) >= LEAST_POINTS:
                plots.append(curve_plot(name, what, band, points, n_test))
    return plots


def accuracy_plot(ways: Sequence[Accuracy]) -> Plot:
    known = [way for way in ways if way.accuracy.value is not None]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        values, lengths = errors([way.accuracy for way in known])
        for row, way in enumerate(known):
            rules = is_of_rules(way)
            axes.errorbar(
                values[row], row, xerr=lengths[:, row : row + 1], fmt="o" if rules else "s",
                color=BLUE if rules else ORANGE, ms=5,
            )  # fmt: skip
            axes.annotate(f"n={way.n_pairs:,}", (1, row), xycoords=("axes fraction", "data"), xytext=(4, 0),
                          textcoords="offset points", va="center", fontsize=8, color=MUTED)  # fmt: skip
        axes.axvline(0.5, color=MUTED, lw=0.8, ls="--")
        axes.set_yticks(range(len(known)), [shortened(way_name(way.name), 36) for way in known])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(known) - 0.5, -0.5)
        axes.set_xlim(*share_limits([way.accuracy for way in known]))
        figure.supxlabel("accuracy, 95% interval (circles: rules, squares: baselines)", fontsize=8.5)
        axes.grid(axis="x")
        percent_axis(axes.xaxis)

    told = "; ".join(
        f"{way_name(way.name)} {interval_text(way.accuracy)}, {counted(way.n_pairs, 'pair')}" for way in known
    )
    has_intervals = any(way.accuracy.low is not None for way in known)
    words = f"{told}. {f'Bars are {OVER_PROMPTS}' if has_intervals else 'Too few prompts for intervals'}."
    return Plot(
        "accuracy", "Which side is preferred: ways to score a pair", words, draw, SMALL, 0.9 + 0.28 * len(known)
    )


def curve_plot(name: str, what: str, band: str, points: Sequence[CurvePoint], n_test: int | None) -> Plot:
    """`band`: what its ends are. `n_test`: pairs on which it is measured."""
    known = [point for point in points if point.accuracy.value is not None]
    on = "test pairs" if n_test is None else counted(n_test, "test pair")

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        n = [point.n for point in known]
        values, lengths = errors([point.accuracy for point in known])
        banded = [i for i, point in enumerate(known) if point.accuracy.low is not None]
        at, low, high = [n[i] for i in banded], (values - lengths[0])[banded], (values + lengths[1])[banded]
        axes.fill_between(at, low, high, color=BLUE, alpha=0.18, lw=0)
        for end in (low, high):
            axes.plot(at, end, color=BLUE, lw=0.6)
        axes.plot(n, values, "o-", color=BLUE, ms=4)
        axes.set_ylim(*share_limits([point.accuracy for point in known], 1.0, 0.0))
        axes.set_xlabel(f"{what}s")
        whole_axis(axes.xaxis)
        axes.set_ylabel(f"accuracy on {on}")
        axes.grid(axis="y")
        percent_axis(axes.yaxis)

    first, last = known[0], known[-1]
    peak = max(known, key=lambda point: point.accuracy.value or 0.0)
    told = [f"{interval_text(point.accuracy)} with {counted(point.n, what)}" for point in (first, last)]
    if peak not in (first, last):
        told.insert(1, f"at its peak {interval_text(peak.accuracy)} with {peak.n:,}")
    else:
        told[0 if peak is first else 1] += " (the peak)"
    words = f"Accuracy on {on}: {', '.join(told)}. The band is {band}."
    return Plot(name, f"What more {what}s bring", words, draw, SMALL, 2.8)
