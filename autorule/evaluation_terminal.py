"""What an evaluation says, as tables on a terminal."""

from rich.markup import escape
from rich.table import Table

from autorule.evaluation.records import Accuracy, Evaluation, Interval, Weightings
from autorule.evaluation.verdict import verdict
from autorule.terminal import out, printable


def print_evaluation(found: Evaluation) -> None:
    """Rules from the surest to the least, the ways to score a pair, whether the rules beat the baselines, and what
    selection and weights would bring."""
    rules = Table(title=f"Rules on {found.n_pairs} pairs of {found.n_prompts} prompts", title_justify="left")
    flips = sorted({name for one in found.rules for name in one.flips})
    for name in ("agreement", "apart", "satisfied", *(["flips"] if flips else []), "decision", "rule"):
        is_text = name in ("decision", "rule")
        rules.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text)
    for one in sorted(found.rules, key=lambda one: -(one.agreement.low or 0.0)):
        known = [share for share in one.flips.values() if share is not None]
        flip = [f"{max(known):.0%}" if known else "-"] if flips else []
        satisfied = "-" if one.saturation is None else f"{one.saturation:.0%}"
        shown = escape(printable(one.text))
        rules.add_row(shown_interval(one.agreement), str(one.n_discordant), satisfied, *flip, one.decision, shown)
    out.print(rules)
    print_accuracies(found.accuracies)
    if (told := verdict(found.accuracies)) is not None:
        out.print(escape(printable(told)))
    for part in found.slices:
        name = escape(printable(f"{part.column} {part.value}"))
        out.print(f"{name}: {shown_interval(part.accuracy)}, {part.n_pairs} pairs")
    if found.position_bias is not None:
        out.print(f"One call about both: {found.position_bias:.0%} of its probability is for the response shown first.")
    if found.weightings is not None:
        print_weightings(found.weightings)
    elif found.no_weightings is not None:
        out.print(f"No weights: {escape(found.no_weightings)}")
    if found.leaked_pairs:
        out.print(f"[yellow]{found.leaked_pairs} pairs have prompts that the rules were mined from[/]")


def print_accuracies(ways: tuple[Accuracy, ...]) -> None:
    table = Table(title="Which side is preferred?", title_justify="left")
    for name in ("way", "accuracy", "over uniform", "ties", "pairs"):
        table.add_column(name, justify="left" if name == "way" else "right", no_wrap=name != "way")
    for way in ways:
        over = "" if way.over_uniform is None else shown_interval(way.over_uniform, signed=True)
        table.add_row(way.name, shown_interval(way.accuracy), over, f"{way.tied or 0:.0%}", str(way.n_pairs))
    out.print(table)


def print_weightings(found: Weightings) -> None:
    """Every method with its figure on dev, by which one is chosen, and on test."""
    table = Table(
        title=f"Weights chosen out of fold on {found.n_dev_pairs} pairs of {found.n_dev_prompts} prompts, tested on "
        f"{found.n_test_pairs} of {found.n_test_prompts} others",
        title_justify="left",
    )
    for name in ("method", "rules", "dev", "test", "over all alike"):
        is_figure = name != "method"
        table.add_column(name, justify="right" if is_figure else "left", no_wrap=is_figure, overflow="fold")
    for one in found.results:
        mark = " (chosen)" if one.method == found.chosen else ""
        figures = (f"{one.dev_accuracy:.1%}", shown_interval(one.test), shown_interval(one.over_uniform, signed=True))
        table.add_row(f"{one.method}{mark}", str(len(one.weights)), *figures)
    table.add_section()
    table.add_row("all rules alike", "", "", shown_interval(found.uniform_test), "")
    for name, accuracy in found.baselines_test.items():
        table.add_row(name, "", "", shown_interval(accuracy), "")
    out.print(table)


def shown_interval(interval: Interval, signed: bool = False) -> str:
    """A share in percent or, `signed`, a difference of shares in percentage points; its interval in brackets."""
    if interval.value is None:
        return "-"
    value = f"{100 * interval.value:+.1f} pp" if signed else f"{interval.value:.1%}"
    if interval.low is None or interval.high is None:
        return value
    low, high = f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}"
    return f"{value} ({low} to {high})" if signed else f"{value} ({low}–{high})"
