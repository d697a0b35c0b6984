"""Agreement of each rule with people: a line for each, the surest on top, with its number in the table beside it."""

from collections.abc import Sequence
from typing import Any

from autorule.report.axes import errors, percent_axis, share_limits
from autorule.report.drawing import BLUE, GREY, MUTED, ORANGE, PURPLE, Plot
from autorule.report.text import counted, shortened
from autorule.statistics.records import RuleStatistics

DECISIONS = {"keep": ("o", BLUE), "reversed": ("v", ORANGE), "unproven": ("o", GREY), "duplicate": ("D", PURPLE)}
"""Decision -> marker and colour; markers of unproven rules are hollow."""
WIDTH, LEFT, LINES, ROW = 7.8, 0.25, 3.0, 0.16
"""Inches. Intervals stand left and words right, so that a narrow screen shows the intervals."""
LONG = 20
"""Rules from which the scale stands on top too."""


def surest_first(rules: Sequence[RuleStatistics]) -> list[RuleStatistics]:
    return sorted(rules, key=lambda rule: -(-1.0 if rule.agreement.low is None else rule.agreement.low))


def agreement_plot(rules: Sequence[RuleStatistics]) -> Plot:
    numbers = {rule.rule_id: index for index, rule in enumerate(rules, start=1)}
    shown = [rule for rule in surest_first(rules) if rule.agreement.value is not None]
    above = sum((rule.agreement.low or 0) > 0.5 for rule in shown)
    below = sum((1 if rule.agreement.high is None else rule.agreement.high) < 0.5 for rule in shown)
    bottom, top = 0.5, 0.55 if len(shown) > LONG else 0.3
    height = bottom + top + ROW * (len(shown) + 0.4)

    def draw(figure: Any) -> None:
        figure.set_layout_engine("none")  # rows are of one height, and lines of one length, in every run
        axes = figure.add_axes((LEFT / WIDTH, bottom / height, LINES / WIDTH, 1 - (bottom + top) / height))
        for decision, (marker, colour) in DECISIONS.items():
            own = [(row, rule.agreement) for row, rule in enumerate(shown) if rule.decision == decision]
            if own:
                rows, intervals = zip(*own, strict=True)
                fill = "none" if decision == "unproven" else colour
                values, lengths = errors(intervals)
                axes.errorbar(
                    values, rows, xerr=lengths, fmt=marker, color=colour, mfc=fill, ms=4, lw=1.2, label=decision
                )
        axes.axvline(0.5, color=MUTED, lw=0.8, ls="--")
        axes.set_yticks([])
        for row, rule in enumerate(shown):
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center_baseline"}
            axes.annotate(f"{numbers[rule.rule_id]}", (1, row), xytext=(22, 0), ha="right", fontweight="bold", **place)
            text = f"{shortened(rule.text, 54)} (n = {rule.n_discordant:,})"
            axes.annotate(text, (1, row), xytext=(28, 0), **place)
        axes.set_ylim(len(shown) - 0.3, -0.7)
        axes.set_xlim(*share_limits([rule.agreement for rule in shown]))
        axes.tick_params(axis="x", top=len(shown) > LONG, labeltop=len(shown) > LONG)
        axes.set_xlabel("agreement on pairs told apart, 95% interval")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        percent_axis(axes.xaxis)
        figure.legend(
            loc="upper left", bbox_to_anchor=(LEFT / WIDTH, 1), ncols=4, borderaxespad=0.2, borderpad=0, columnspacing=1
        )

    words = (
        f"Agreement of {counted(len(shown), 'rule')} with its 95% interval (Wilson's, at the effective sample size), "
        f"the surest on top: {above} above 50% with the whole interval, {below} below, "
        f"{len(shown) - above - below} across. The number is that of the rule in the table, n the pairs that it tells "
        "apart."
    )
    return Plot("agreement", "Agreement of each rule with people", words, draw, WIDTH, height)
