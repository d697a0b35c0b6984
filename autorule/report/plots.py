"""The plots of an evaluation: agreement of rules, ways to score a pair, margins, learning curves, redundancy."""

from typing import Any

import numpy as np

from autorule.evaluation.accuracies import AS_REWARDED
from autorule.evaluation.records import Accuracy, CurvePoint, Evaluation, Interval, MarginBin, Matrix, RuleStatistics
from autorule.report.drawing import BLUE, GREY, INK, MUTED, ORANGE, PURPLE, Plot, percent_axis
from autorule.report.text import interval_text, number, shortened, visible

DECISIONS = {"keep": ("o", BLUE), "reversed": ("v", ORANGE), "unproven": ("o", GREY), "duplicate": ("D", PURPLE)}
"""Decision -> marker and colour; markers of unproven rules are hollow."""
SMALL = 4.7
"""Inches: half of the page."""
ALIKE = 0.8


def evaluation_plots(found: Evaluation) -> list[Plot]:
    """The plots for which there are figures."""
    plots = [accuracy_plot(found.accuracies)] if found.accuracies else []
    if found.margins:
        plots.append(margin_plot(found.margins))
    if any(rule.agreement.value is not None for rule in found.rules):
        plots.append(agreement_plot(found.rules))
    for name, of, matrix in (
        ("redundancy-verdicts", "verdicts", found.phi_verdicts),
        ("redundancy-differences", "differences (chosen minus rejected)", found.phi_differences),
    ):
        if len(matrix) > 1:
            plots.append(redundancy_plot(name, of, matrix))
    if found.curves is not None:
        for name, what, points in (
            ("curve-rules", "rules", found.curves.by_rules),
            ("curve-pairs", "labelled pairs", found.curves.by_pairs),
        ):
            if points:
                plots.append(curve_plot(name, what, points))
    return plots


def surest_first(rules: tuple[RuleStatistics, ...]) -> list[RuleStatistics]:
    return sorted(rules, key=lambda rule: -(-1.0 if rule.agreement.low is None else rule.agreement.low))


def agreement_plot(rules: tuple[RuleStatistics, ...]) -> Plot:
    """A line for each rule, the surest on top."""
    numbers = {rule.rule_id: index for index, rule in enumerate(rules, start=1)}
    shown = [rule for rule in surest_first(rules) if rule.agreement.value is not None]
    above = sum((rule.agreement.low or 0) > 0.5 for rule in shown)
    below = sum((rule.agreement.high or 1) < 0.5 for rule in shown)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for decision, (marker, colour) in DECISIONS.items():
            own = [(row, rule.agreement) for row, rule in enumerate(shown) if rule.decision == decision]
            if own:
                rows, intervals = zip(*own, strict=True)
                fill = "none" if decision == "unproven" else colour
                values, errors = _errors(intervals)
                axes.errorbar(
                    values, rows, xerr=errors, fmt=marker, color=colour, mfc=fill, ms=4, lw=1.2, label=decision
                )
        axes.axvline(0.5, color=MUTED, lw=0.8, ls="--")
        axes.set_yticks(range(len(shown)), [f"{shortened(r.text, 38)}  {numbers[r.rule_id]}" for r in shown])
        axes.tick_params(axis="y", length=0, labelsize=8)
        axes.set_ylim(len(shown) - 0.3, -0.7)
        axes.set_xlabel("agreement with people, on the pairs that the rule tells apart")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        percent_axis(axes.xaxis)
        figure.legend(loc="outside upper center", ncols=4)

    words = (
        f"Agreement of {len(shown)} rules with its interval, the surest on top: {above} lie wholly above 50%, {below} "
        f"wholly below, {len(shown) - above - below} reach across. The number is that of the rule in the table."
    )
    return Plot("agreement", "Agreement of each rule with people", words, draw, 7.2, 0.9 + 0.19 * len(shown))


def accuracy_plot(ways: tuple[Accuracy, ...]) -> Plot:
    known = [way for way in ways if way.accuracy.value is not None]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        values, errors = _errors([way.accuracy for way in known])
        for row, way in enumerate(known):
            rules = is_of_rules(way)
            axes.errorbar(
                values[row], row, xerr=errors[:, row : row + 1], fmt="o" if rules else "s",
                color=BLUE if rules else ORANGE, ms=5,
            )  # fmt: skip
        axes.axvline(0.5, color=MUTED, lw=0.8, ls="--")
        axes.set_yticks(range(len(known)), [shortened(way.name, 32) for way in known])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(known) - 0.5, -0.5)
        figure.supxlabel("accuracy (circles: rules, squares: baselines)", fontsize=8.5)
        axes.grid(axis="x")
        percent_axis(axes.xaxis)

    words = "; ".join(f"{visible(way.name)} {interval_text(way.accuracy)}" for way in known) + "."
    return Plot(
        "accuracy", "Which side is preferred: ways to score a pair", words, draw, SMALL, 0.9 + 0.28 * len(known)
    )


def is_of_rules(way: Accuracy) -> bool:
    """Whether the rules score the pair; every other way is a baseline."""
    return way.name.startswith(("uniform", "weighted", AS_REWARDED))


def margin_plot(bins: tuple[MarginBin, ...]) -> Plot:
    known = [part for part in bins if part.accuracy.value is not None]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        values, errors = _errors([part.accuracy for part in known])
        centres = [(part.low + part.high) / 2 for part in known]
        axes.errorbar(centres, values, yerr=errors, fmt="o", color=BLUE, ms=4.5)
        for centre, part in zip(centres, known, strict=True):
            text = f"{part.n_pairs:,}"
            axes.annotate(text, (centre, 0.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
                          textcoords="offset points", ha="center", fontsize=7, color=MUTED)  # fmt: skip
        axes.axhline(0.5, color=MUTED, lw=0.8, ls="--")
        axes.set_ylim(bottom=min(0.4, np.min(values - errors[0]) - 0.05))
        axes.set_xlabel("difference in the share of satisfied rules (small: pairs)")
        axes.set_ylabel("preferred side is the higher one")
        axes.grid(axis="y")
        percent_axis(axes.yaxis)

    told = "; ".join(
        f"difference {number(part.low)} to {number(part.high)}: {interval_text(part.accuracy)}, {part.n_pairs:,} pairs"
        for part in known
    )
    words = f"How often the side that satisfies more rules is the preferred one, by how many more: {told}."
    return Plot("margins", "Accuracy by margin", words, draw, SMALL, 3.0)


def curve_plot(name: str, what: str, points: tuple[CurvePoint, ...]) -> Plot:
    known = [point for point in points if point.accuracy.value is not None]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        n = [point.n for point in known]
        values, errors = _errors([point.accuracy for point in known])
        band = [i for i, point in enumerate(known) if point.accuracy.low is not None]
        ends = (values - errors[0])[band], (values + errors[1])[band]
        axes.fill_between([n[i] for i in band], *ends, color=BLUE, alpha=0.18, lw=0)
        axes.plot(n, values, "o-", color=BLUE, ms=4)
        axes.set_xlabel(what)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylabel("accuracy on test prompts")
        axes.grid(axis="y")
        percent_axis(axes.yaxis)

    first, last = known[0], known[-1]
    words = (
        f"Accuracy on test prompts by the number of {what}: {interval_text(first.accuracy)} with {first.n:,}, "
        f"{interval_text(last.accuracy)} with {last.n:,}."
    )
    return Plot(name, f"What more {what} bring", words, draw, SMALL, 2.8)


def redundancy_plot(name: str, of: str, matrix: Matrix) -> Plot:
    """Colour stands on the ground of the page: none at all where two rules have nothing to do with each other."""
    phi = np.array(matrix, dtype=np.float64)
    np.fill_diagonal(phi, np.nan)
    side = min(8.6, 3.6 + 0.05 * len(phi))

    def draw(figure: Any) -> None:
        from matplotlib.colors import ListedColormap, to_rgb

        depth = np.linspace(-1, 1, 201)[:, None]
        colours = np.where(depth < 0, to_rgb(ORANGE), to_rgb(BLUE))
        axes = figure.subplots()
        ends = (0.5, len(phi) + 0.5)
        image = axes.imshow(
            phi, cmap=ListedColormap(np.hstack([colours, np.abs(depth)])), vmin=-1, vmax=1,
            interpolation="nearest", extent=(*ends, *ends[::-1]),
        )  # fmt: skip
        axes.spines[:].set_visible(True)
        axes.set_xlabel("rule")
        axes.set_ylabel("rule")
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_locator().set_params(integer=True)
        bar = figure.colorbar(image, ax=axes, shrink=0.7, label=f"correlation (φ) of {of.partition(' (')[0]}")
        bar.outline.set_edgecolor(INK)
        bar.outline.set_linewidth(0.5)

    upper = [(abs(phi[i, j]), i, j) for i in range(len(phi)) for j in range(i + 1, len(phi)) if np.isfinite(phi[i, j])]
    alike = sum(strength >= ALIKE for strength, _, _ in upper)
    words = f"Correlation of the {of} of each two of {len(phi)} rules: {alike} pairs of rules at {ALIKE} or more."
    if upper:
        _, i, j = max(upper)
        words += f" The strongest is between rules {i + 1} and {j + 1}: {number(float(phi[i, j]))}."
    return Plot(name, f"Redundancy: correlation of {of}", words, draw, side, side * 0.85)


def _errors(intervals: "list[Interval] | tuple[Interval, ...]") -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Values, and the lengths of the intervals below and above them; 0 where there is no interval."""
    values = np.array([interval.value for interval in intervals], dtype=np.float64)
    low = np.array([i.value if i.low is None else i.low for i in intervals], dtype=np.float64)
    high = np.array([i.value if i.high is None else i.high for i in intervals], dtype=np.float64)
    return values, np.maximum(0.0, np.stack([values - low, high - values]))
