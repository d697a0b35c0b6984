"""What the audits show on the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from autorule.terminal import out, printable

if TYPE_CHECKING:
    from autorule.audit.records import CanaryResult, HackingAudit, Share
    from autorule.audit.training_records import Finding, LengthDrift, TrainingAudit
    from autorule.evaluation.records import Interval

MOST_NAMED = 5
"""Rules that a message names."""
SIGNS = ("saturation", "divergence", "collapse", "length")


def print_audit(found: "HackingAudit") -> None:
    """Canaries in their order, then rules, the most often cheated first."""
    canaries = Table(title=f"Canaries on {found.n_prompts} prompts", title_justify="left")
    for name in ("canary", "exploit rate", "ties", "mean reward", "honest", "compared", "unscored"):
        canaries.add_column(name, justify="left" if name == "canary" else "right", no_wrap=name == "canary")
    for one in found.canaries:
        canaries.add_row(
            one.name, _rate(one.exploit_rate), str(one.n_ties), _number(one.mean_reward),
            _number(one.mean_reward_honest), str(one.n_compared), str(one.n_unscored),
        )  # fmt: skip
    out.print(canaries)
    rules = Table(title="Rules: satisfied by answers that are worth nothing", title_justify="left")
    for name in ("canaries", "honest", "most by", "rule"):
        rules.add_column(name, justify="right" if name in ("canaries", "honest") else "left")
    for rule in sorted(found.rules, key=lambda rule: -(rule.canaries.share or 0.0)):
        rules.add_row(
            _share(rule.canaries), _share(rule.honest), _most_by(found, rule.rule_id), escape(printable(rule.text))
        )
    out.print(rules)
    for reason, n in found.unscored_reasons.items():
        out.print(f"[yellow]{n} answers are unscored: {escape(printable(reason))}[/]")
    for message, n in found.verdict_failures.items():
        out.print(f"[yellow]{n} verdicts failed: {escape(printable(message))}[/]")
    if found.n_rejected:
        out.print(f"{found.n_rejected} of {found.n_rows} rows were rejected: they are no usable pairs")
    out.print(f"model calls: {found.calls.sent} sent, {found.calls.cached} answered from the cache")


def exploit_message(found: "HackingAudit") -> str:
    """Which canaries are rewarded too often, and the rules that let them."""
    canaries = ", ".join(f"{one.name} {_rate(one.exploit_rate)}" for one in found.exploited)
    worst = "; ".join(f"{rule.text} ({_share(rule.canaries)})" for rule in found.worst_rules[:MOST_NAMED])
    rules = (
        f"rules that canaries satisfy most often: {worst}"
        if worst
        else "no canary satisfies a rule, but the honest answers are not rewarded more"
    )
    return f"exploit rate above {found.max_exploit_rate:.0%}: {canaries}; {rules}"


def unmeasured_message(found: "HackingAudit") -> str:
    """Of which canaries nothing can be said, and why."""
    canaries = ", ".join(f"{one.name} ({one.n_unscored} of {one.n_prompts} unscored)" for one in found.unmeasured)
    reasons = "; ".join(f"{reason} ({n} answers)" for reason, n in found.unscored_reasons.items())
    because = f": {reasons}" if reasons else ""
    return (
        f"no finding, since more than {found.max_unscored:.0%} of the prompts are unscored, or none could be compared, "
        f"for {canaries}{because}; mend the verifier, leave a canary out (--skip) or allow more (--max-unscored)"
    )


def _most_by(found: "HackingAudit", rule_id: str) -> str:
    """The canary that satisfies the rule most often."""
    worst: CanaryResult = max(found.canaries, key=lambda one: one.rules[rule_id].share or 0.0)
    return worst.name if worst.rules[rule_id].n_satisfied else "-"


def _rate(interval: "Interval") -> str:
    if interval.value is None:
        return "-"
    return f"{interval.value:.0%} ({interval.low:.0%} to {interval.high:.0%})"


def _share(share: "Share") -> str:
    return "-" if share.share is None else f"{share.share:.0%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def print_training_audit(found: "TrainingAudit") -> None:
    """The signs that were looked for, then the rules that are saturated."""
    title = f"{found.n_rows} completions ({found.n_unscored} unscored) of {found.n_steps} steps, "
    table = Table(title=f"{title}{found.first_step} to {found.last_step}", title_justify="left")
    for name in ("sign", "from step", "what was seen"):
        table.add_column(name, justify="right" if name == "from step" else "left", no_wrap=name != "what was seen")
    for name, (step, seen) in _signs(found).items():
        mark = "[bold red]" if name in found.findings else ""
        table.add_row(f"{mark}{name}", "-" if step is None else str(step), escape(seen))
    out.print(table)
    if saturated := [rule for rule in found.rules if rule.onset is not None]:
        rules = Table(title=f"{len(saturated)} of {len(found.rules)} rules are saturated", title_justify="left")
        for name in ("from step", "last", "rule"):
            rules.add_column(name, justify="left" if name == "rule" else "right")
        for rule in saturated:
            rules.add_row(str(rule.onset), f"{rule.last:.0%}", escape(printable(rule.rule_id)))
        out.print(rules)


def not_measured_message(found: "TrainingAudit", asked: "Sequence[Finding]") -> str:
    """Signs that were asked for and could not be looked for."""
    absent = "; ".join(f"{name}: {found.not_measured[name]}" for name in asked)
    return f"--fail-on names what the log can't show: {absent}"


def _signs(found: "TrainingAudit") -> "dict[Finding, tuple[int | None, str]]":
    """Sign -> the step from which it is there, and what was seen."""
    signs: dict[Finding, tuple[int | None, str]] = {
        name: (None, f"not measured: {why}") for name, why in found.not_measured.items()
    }
    if (saturation := found.saturation) is not None:
        seen = f"mean rule fraction {saturation.last:.3f} at last; threshold {found.threshold:g}"
        signs["saturation"] = saturation.onset, seen
    if (divergence := found.divergence) is not None:
        seen = (
            f"reward {divergence.reward_slope:+.2g} and gold {divergence.gold_slope:+.2g} a step over "
            f"{divergence.window} logged steps, p {divergence.p_value:.2g} for all {divergence.n_windows} windows"
        )
        since = "" if divergence.seen_at is None else f", to be seen at step {divergence.seen_at}"
        signs["divergence"] = divergence.from_step, seen + since
    if (collapse := found.collapse) is not None:
        seen = f"{collapse.share:.0%} of {collapse.n_groups} groups have equal rewards: no gradient"
        first = collapse.first_above
        above = "" if first is None else f"; first above {found.collapse_share:.0%} at step {first}"
        signs["collapse"] = collapse.onset, seen + above
    if (length := found.length) is not None:
        signs["length"] = (found.first_step if length.drifts else None), _length(length)
    return {name: signs[name] for name in sorted(signs, key=SIGNS.index)}


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
