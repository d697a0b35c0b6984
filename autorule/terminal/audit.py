"""What `autorule audit` shows on the terminal."""

from typing import TYPE_CHECKING

from rich.table import Table

from autorule.terminal.console import fits, out, print_folded, print_table, shown_text, shown_width

if TYPE_CHECKING:
    from autorule.audit.records import CanaryResult, HackingAudit, Share
    from autorule.statistics.records import Interval

MOST_NAMED = 5
"""Rules that a message names."""
LEAST_TABLE = 80
"""Columns from which a table of rules leaves room for their texts."""


def print_audit(found: "HackingAudit") -> None:
    """Canaries in their order, then rules, the most often cheated first."""
    _print_canaries(found)
    _print_rules(found)
    for reason, n in found.unscored_reasons.items():
        out.print(f"[yellow]{n} answers are unscored: {shown_text(reason)}[/]")
    for message, n in found.verdict_failures.items():
        out.print(f"[yellow]{n} verdicts failed: {shown_text(message)}[/]")
    if found.n_rejected:
        out.print(f"{found.n_rejected} of {found.n_rows} rows were rejected: they are no usable pairs")
    out.print(f"model calls: {found.calls.sent} sent, {found.calls.cached} answered from the cache")


def _print_canaries(found: "HackingAudit") -> None:
    title = f"Canaries on {found.n_prompts} prompts"
    table = Table(title=title, title_justify="left")
    for name in ("canary", "exploit rate", "ties", "mean reward", "honest", "compared", "unscored"):
        table.add_column(name, justify="left" if name == "canary" else "right", no_wrap=True)
    for one in found.canaries:
        table.add_row(
            one.name, _rate(one.exploit_rate), str(one.n_ties), _number(one.mean_reward),
            _number(one.mean_reward_honest), str(one.n_compared), str(one.n_unscored),
        )  # fmt: skip
    if fits(table):
        print_table(table)
        return
    out.print(f"[italic]{title}[/]")
    for one in found.canaries:
        print_folded(f"{one.name}: exploit rate {_rate(one.exploit_rate)}, {one.n_ties} of them ties")
        print_folded(f"mean reward {_number(one.mean_reward)}, honest {_number(one.mean_reward_honest)}", indent=2)
        print_folded(f"{one.n_compared} compared, {one.n_unscored} unscored", indent=2)


def _print_rules(found: "HackingAudit") -> None:
    title = "Rules: satisfied by answers that are worth nothing"
    rules = sorted(found.rules, key=lambda rule: -(rule.canaries.share or 0.0))
    if shown_width() < LEAST_TABLE:
        out.print(f"[italic]{title}[/]")
        for rule in rules:
            shares = f"canaries {_share(rule.canaries)}, honest {_share(rule.honest)}"
            print_folded(f"{shares}, most by {_most_by(found, rule.rule_id)}")
            print_folded(shown_text(rule.text), indent=2)
        return
    table = Table(title=title, title_justify="left")
    for name in ("canaries", "honest", "most by", "rule"):
        is_share = name in ("canaries", "honest")
        table.add_column(name, justify="right" if is_share else "left", no_wrap=is_share, overflow="fold")
    for rule in rules:
        table.add_row(_share(rule.canaries), _share(rule.honest), _most_by(found, rule.rule_id), shown_text(rule.text))
    print_table(table)


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
