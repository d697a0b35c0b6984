"""What `autorule audit-training` shows on the terminal: each sign, whether it was found, and what was seen of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.markup import escape
from rich.table import Table

from autorule.terminal.console import print_folded, print_table, shown_text, shown_width

if TYPE_CHECKING:
    from autorule.audit.training_records import Collapse, Divergence, Finding, LengthDrift, Saturation, TrainingAudit

SIGNS = ("saturation", "divergence", "collapse", "length")
LEAST_TABLE = 80
"""Columns from which a table leaves room for what was seen."""
MARKS = {"found": "[bold red]", "not found": "[green]", "not measured": "[yellow]"}


class _Sign(NamedTuple):
    result: str
    """One of MARKS."""
    since: str
    """From where in the log it is there."""
    seen: str


def print_training_audit(found: "TrainingAudit") -> None:
    """The signs that were looked for, then the rules that are saturated."""
    title = f"{found.n_rows} completions ({found.n_unscored} unscored) of {found.n_steps} steps, "
    _print_signs(found, f"{title}{found.first_step} to {found.last_step}")
    if saturated := [rule for rule in found.rules if rule.onset is not None]:
        rules = Table(title=f"{len(saturated)} of {len(found.rules)} rules are saturated", title_justify="left")
        for name in ("from step", "last", "rule"):
            is_rule = name == "rule"
            rules.add_column(name, justify="left" if is_rule else "right", no_wrap=not is_rule, overflow="fold")
        for rule in saturated:
            rules.add_row(str(rule.onset), f"{rule.last:.0%}", shown_text(rule.rule_id))
        print_table(rules)


def not_measured_message(found: "TrainingAudit", asked: "Sequence[Finding]") -> str:
    """Signs that were asked for and could not be looked for."""
    absent = "; ".join(f"{name}: {found.not_measured[name]}" for name in asked)
    return f"--fail-on names what the log can't show: {absent}"


def _print_signs(found: "TrainingAudit", title: str) -> None:
    signs = {name: _sign(found, name) for name in SIGNS}
    if shown_width() < LEAST_TABLE:
        print_folded(f"[italic]{title}[/]")
        for name, sign in signs.items():
            since = "" if sign.since == "-" else f" from step {sign.since}"
            print_folded(f"{name}: {MARKS[sign.result]}{sign.result}[/]{since}")
            print_folded(escape(sign.seen), indent=2)
        return
    table = Table(title=title, title_justify="left")
    for column in ("sign", "result", "from step", "what was seen"):
        is_seen = column == "what was seen"
        justify = "right" if column == "from step" else "left"
        table.add_column(column, justify=justify, no_wrap=not is_seen, overflow="fold")  # type: ignore[arg-type]
    for name, sign in signs.items():
        table.add_row(name, f"{MARKS[sign.result]}{sign.result}", sign.since, escape(sign.seen))
    print_table(table)


def _sign(found: "TrainingAudit", name: str) -> _Sign:
    if name in found.not_measured:
        return _Sign("not measured", "-", found.not_measured[name])
    result = "found" if name in found.findings else "not found"
    step: int | None = None
    if (saturation := found.saturation) is not None and name == "saturation":
        step, seen = saturation.onset, _saturation(saturation, found)
    elif (divergence := found.divergence) is not None and name == "divergence":
        step, seen = divergence.from_step, _divergence(divergence)
    elif (collapse := found.collapse) is not None and name == "collapse":
        step, seen = collapse.onset, _collapse(collapse, found)
    else:
        assert found.length is not None
        step, seen = None, _length(found.length)  # a slope over the whole log begins nowhere
    return _Sign(result, "-" if step is None else str(step), seen)


def _saturation(saturation: "Saturation", found: "TrainingAudit") -> str:
    return f"mean rule fraction {saturation.last:.3f} at last; threshold {found.threshold:g}"


def _divergence(divergence: "Divergence") -> str:
    since = "" if divergence.seen_at is None else f", to be seen at step {divergence.seen_at}"
    return (
        f"reward {divergence.reward_slope:+.2g} and gold {divergence.gold_slope:+.2g} a step over "
        f"{divergence.window} logged steps, p {divergence.p_value:.2g} for all {divergence.n_windows} windows{since}"
    )


def _collapse(collapse: "Collapse", found: "TrainingAudit") -> str:
    seen = f"{collapse.share:.0%} of {collapse.n_groups} groups have equal rewards, and so no gradient"
    first = collapse.first_above
    limit = f"{found.collapse_share:.0%}"
    return f"{seen}; never above {limit}" if first is None else f"{seen}; first above {limit} at step {first}"


def _length(drift: "LengthDrift") -> str:
    slope = drift.slope
    change = "" if drift.change is None else f", {drift.change:+.0%} over the log"
    correlations = ", ".join(
        f"{value:+.2f} {name}"
        for name, value in (("overall", drift.correlation), ("within steps", drift.correlation_within_steps))
        if value is not None
    )
    told = f"; rank correlation with reward {correlations}" if correlations else ""
    return f"{slope.value:+.3g} ({slope.low:+.3g} to {slope.high:+.3g}) a step, {drift.unit}{change}{told}"
