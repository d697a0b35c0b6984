"""What the audits show on the terminal."""

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from autorule.terminal import out, printable

if TYPE_CHECKING:
    from autorule.audit.records import CanaryResult, HackingAudit, Share
    from autorule.evaluation.records import Interval

MOST_NAMED = 5
"""Rules that a message names."""


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
