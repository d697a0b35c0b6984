"""Does being surer mean being right more often? Of the rules by their margin, of the one call by its probability."""

from collections.abc import Sequence
from typing import Any

from autorule.report.axes import ROOM, SMALL, errors, percent_axis, share_limits
from autorule.report.drawing import BLUE, MUTED, Plot
from autorule.report.text import counted, interval_text, number, percent
from autorule.statistics.confidence import calibration_error
from autorule.statistics.records import ConfidenceBin, MarginBin

Bins = Sequence[MarginBin | ConfidenceBin]
BARS = "Bars up and down are 95% intervals (Wilson's, at the effective sample size), bars across the extent of the bin."


def margin_plot(bins: Sequence[MarginBin]) -> Plot:
    known = [part for part in bins if part.accuracy.value is not None]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        _bins(axes, known, [(part.low + part.high) / 2 for part in known])
        axes.axhline(0.5, color=MUTED, lw=0.8, ls="--")
        axes.set_xlim(-ROOM, min(1.0, 1.05 * max(part.high for part in known)) + ROOM)
        axes.set_xlabel("difference in the weighted share of satisfied rules")
        axes.set_ylabel("preferred side is the higher one")

    told = "; ".join(
        f"{number(part.low)} to {number(part.high)}: {interval_text(part.accuracy)}, {counted(part.n_pairs, 'pair')}"
        for part in known
    )
    words = (
        "How often the side with the higher weighted share of satisfied rules is the preferred one, by the difference "
        f"of the shares: {told}. {BARS}"
    )
    return Plot("margins", "Accuracy by margin", words, draw, SMALL, 3.0)


def reliability_plot(bins: Sequence[ConfidenceBin]) -> Plot:
    known = [part for part in bins if part.accuracy.value is not None]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        _bins(axes, known, [part.confidence for part in known])
        axes.plot([0.5, 1], [0.5, 1], color=MUTED, lw=0.8, ls="--")
        axes.set_xlim(0.48, 1.02)
        axes.set_xlabel("probability of the likelier side, mean over both orders")
        axes.set_ylabel("preferred side is the likelier one")
        percent_axis(axes.xaxis)

    told = "; ".join(
        f"{percent(part.confidence)} sure, {interval_text(part.accuracy)} right, {counted(part.n_pairs, 'pair')}"
        for part in known
    )
    words = (
        f"How often the one call about both is right, by how sure it is: {told}. Expected calibration error "
        f"{percent(calibration_error(known))}, over {counted(sum(part.n_pairs for part in known), 'pair')}; on the "
        f"dashed line it would be as often right as it is sure. {BARS}"
    )
    return Plot("reliability", "One call about both: how sure, and how often right", words, draw, SMALL, 3.0)


def _bins(axes: Any, known: Bins, centres: Sequence[float]) -> None:
    values, lengths = errors([part.accuracy for part in known])
    sides = [[at - part.low for at, part in zip(centres, known, strict=True)],
             [part.high - at for at, part in zip(centres, known, strict=True)]]  # fmt: skip
    axes.errorbar(centres, values, yerr=lengths, xerr=sides, fmt="o", color=BLUE, ms=4.5, elinewidth=1.2)
    low, high = share_limits([part.accuracy for part in known])
    axes.set_ylim(low - 0.14 * (high - low), high)  # room for the numbers of pairs
    for index, (centre, part) in enumerate(zip(centres, known, strict=True)):
        axes.annotate(f"n={part.n_pairs:,}", (centre, 0.0), xycoords=("data", "axes fraction"),
                      xytext=(0, 2 + 9 * (index % 2)), textcoords="offset points", ha="center", fontsize=8,
                      color=MUTED)  # fmt: skip
    axes.grid(axis="y")
    percent_axis(axes.yaxis)
