"""What an extraction, a scoring, repeats and a dry run say."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from autorule.backends.embedded import NOTE
from autorule.config.cache_place import told_of_used_before
from autorule.extraction.controls import PAIR_SHARE, TIE_SHARE, told_by_ties
from autorule.records import CallCounts
from autorule.rules.rule_sets import load_rule_set
from autorule.runs.files import CHECKS, FAILURES, REJECTED, REJECTED_HELD_OUT, REWARDS, RULE_SET
from autorule.runs.manifest import LISTS_CUT
from autorule.terminal.console import out, print_table, shown_text

if TYPE_CHECKING:
    from autorule.extraction.stability import Stability
    from autorule.runs.forecast import StageForecast
    from autorule.runs.manifest import RunManifest


def print_extraction(folder: Path, manifest: "RunManifest") -> None:
    funnel = manifest.funnel
    table = Table(title="Funnel", title_justify="left")
    for name, justify in (("", "left"), ("in", "right"), ("out", "right"), ("what became of the rest", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    rest = f"{funnel.rows_rejected} rejected, {funnel.pairs_repeated} repeated, {funnel.pairs_not_drawn} not drawn"
    table.add_row("rows → pairs", str(funnel.rows_read), str(funnel.pairs_drawn), rest)
    given = f"{funnel.chains_given} came with the pairs, " if funnel.chains_given else ""
    failed = f"{given}{funnel.chains_failed} failed"
    table.add_row("pairs → chains", str(funnel.pairs_drawn), str(funnel.chains), failed)
    mined = f"{funnel.mining_failed} chains failed"
    table.add_row("chains → candidates", str(funnel.chains), str(funnel.candidates), mined)
    dropped = (
        f"{funnel.candidates_in_rules} candidates stand behind rules, {funnel.candidates_set_aside} set aside by lint, "
        f"{funnel.candidates_dropped} dropped, {funnel.merges_failed} merges failed"
    )
    if funnel.lists_cut:
        dropped += f", {funnel.lists_cut} {LISTS_CUT}"
    table.add_row("candidates → rules", str(funnel.candidates), str(funnel.rules), dropped)
    print_table(table)

    rules = Table(title="Rules", title_justify="left")
    rules.add_column("support", justify="right")
    rules.add_column("rule", overflow="fold")
    for rule in load_rule_set(folder / RULE_SET).rules:
        rules.add_row(str(rule.support), shown_text(rule.criterion))
    print_table(rules)
    _print_findings(folder, manifest)
    if funnel.held_out_pairs:
        _print_held_out(folder, manifest)
    print_end(folder, manifest)


def print_stability(report: "Stability", outputs: Path) -> None:
    """How much of the rule set recurs over the seeds, rule by rule."""
    others = len(report.run_ids) - 1
    table = Table(title=f"Rules of {report.run_ids[0]}, and in how many of {others} other runs", title_justify="left")
    for name in ("recurs", "support"):
        table.add_column(name, justify="right")
    table.add_column("rule", overflow="fold")
    for rule in sorted(report.rules, key=lambda rule: -rule.recurs_in):
        table.add_row(f"{rule.recurs_in}/{others}", str(rule.support), shown_text(rule.text))
    print_table(table)
    out.print(
        f"Recurrence (matched rules ÷ rules): {report.recurrence:.2f} on average over all pairs of runs, "
        f"{report.lowest:.2f} to {report.highest:.2f}"
    )
    out.print(f"run folders: {', '.join(escape(str(outputs / run_id)) for run_id in report.run_ids)}")


def print_forecast(forecasts: "Sequence[StageForecast]") -> None:
    """What a run would send."""
    from autorule.runs.forecast import total_of

    table = Table(title="Dry run: nothing was sent", title_justify="left")
    table.add_column("stage")
    for name in ("calls", "from the cache", "input tokens", "output tokens", "cost"):
        table.add_column(name, justify="right")
    total = total_of(forecasts)
    costs = [forecast.cost for forecast in forecasts if forecast.calls]
    for f in forecasts:
        cost = "?" if f.cost is None else f"{f.cost:.4f}"
        cached = "-" if f.cached is None else f"{f.cached:,}"
        table.add_row(f.stage, f"{f.calls:,}", cached, f"{f.prompt_tokens:,}", f"{f.completion_tokens:,}", cost)
    whole = "?" if None in costs else f"{sum(cost or 0 for cost in costs):.4f}"
    table.add_section()
    cached = "-" if all(f.cached is None for f in forecasts) else f"{total.cached:,}"
    table.add_row("all", f"{total.sent:,}", cached, f"{total.prompt_tokens:,}", f"{total.completion_tokens:,}", whole)
    print_table(table)
    for f in forecasts:
        out.print(f"{f.stage}: {f.basis}")
    if any(f.cached is None for f in forecasts):
        out.print("What the cache holds was not looked up: it is counted as calls.")
    out.print("Tokens are estimated at four bytes each; thinking counts as output.")
    if None in costs:
        out.print("For the cost give prices per million tokens: --set model.price_in=... --set model.price_out=...")


def print_scoring(folder: Path, manifest: "RunManifest") -> None:
    from autorule.verification.verdict_tables import read_rewards

    rewards = [record.reward for record in read_rewards(folder / REWARDS) if record.reward is not None]
    funnel = manifest.funnel
    out.print(
        f"{funnel.completions} completions × {funnel.rules} rules: {funnel.verdicts} verdicts "
        f"({funnel.verdicts_unscored} unscored), {len(rewards)} rewards ({funnel.rewards_unscored} unscored)"
    )
    if rewards:
        out.print(f"reward: mean {fmean(rewards):.4f}, least {min(rewards):.4f}, greatest {max(rewards):.4f}")
    print_end(folder, manifest)


def _print_findings(folder: Path, manifest: "RunManifest") -> None:
    """Contradictions, the blind check of the chains, and the negative control, where there are any."""
    funnel = manifest.funnel
    rules = load_rule_set(folder / RULE_SET).rules
    numbers = {rule.rule_id: number for number, rule in enumerate(rules, start=1)}
    pairs = {tuple(sorted((numbers[r.rule_id], numbers[o]))) for r in rules for o in r.contradicts if o in numbers}
    if pairs:
        listed = ", ".join(f"{one} and {other}" for one, other in sorted(pairs))
        out.print(f"Contradictions, by the number of the rule in the table: {listed}")
    if funnel.chains_checked:
        confirmed = funnel.chains_checked - funnel.chains_contradicted - funnel.chains_unclear
        out.print(
            f"Blind check: of {funnel.chains_checked} chains {confirmed} lead to the label, "
            f"{funnel.chains_contradicted} to the other response, {funnel.chains_unclear} to neither; "
            f"{funnel.chains_left_out} were left out ({CHECKS})"
        )
    if funnel.ties_drawn:
        told = told_by_ties(rules)
        out.print(
            f"Negative control: {funnel.ties_drawn} ties gave {funnel.candidates_of_ties} candidates, behind no rule. "
            f"Rules that ties tell of as often as preferences do: {len(told)} of {len(rules)}"
        )
        for rule in told:
            shares = rule.statistics[TIE_SHARE], rule.statistics[PAIR_SHARE]
            out.print(f"  {shares[0]:.2f} of ties, {shares[1]:.2f} of pairs: {shown_text(rule.text)}")


def _print_held_out(folder: Path, manifest: "RunManifest") -> None:
    from autorule.verification.verdict_tables import read_rewards

    records = list(read_rewards(folder / REWARDS))
    table = Table(title=f"{manifest.funnel.held_out_pairs} held-out pairs", title_justify="left")
    table.add_column("mean rule fraction")
    table.add_column("chosen", justify="right")
    table.add_column("rejected", justify="right")
    kind = "mean P(yes)" if load_rule_set(folder / RULE_SET).reward.fraction == "soft" else "satisfied"
    for name, field in ((f"{kind} (the reward's)", "fraction"), ("satisfied (hard verdicts)", "satisfied_fraction")):
        means = []
        for side in ("chosen", "rejected"):
            values = [value for r in records if r.side == side and (value := getattr(r, field)) is not None]
            means.append(f"{fmean(values):.4f}" if values else "unscored")
        table.add_row(name, *means)
    print_table(table)


def print_end(folder: Path, manifest: "RunManifest") -> None:
    """Calls, what was left out, where everything is, and what the embedded model is for."""
    total = sum(manifest.usage.values(), CallCounts())
    tokens = f"{total.prompt_tokens:,} tokens in, {total.completion_tokens:,} out"
    out.print(f"model calls: {total.sent} sent ({tokens}), {total.cached} answered from the cache")
    rejected = REJECTED if REJECTED in manifest.files else REJECTED_HELD_OUT
    n_failures, n_rejected = manifest.files.get(FAILURES, 0), manifest.files.get(rejected, 0)
    if n_failures or n_rejected:
        out.print(f"see {FAILURES} ({n_failures}) and {rejected} ({n_rejected}) in the run folder")
    out.print(f"run folder: {escape(str(folder))}")
    if _uses_the_default_cache(manifest) and (told := told_of_used_before()) is not None:
        out.print(f"Note: {escape(told)}.")
    if any("embedded" in identity for identity in manifest.models.values()):
        out.print(f"Note: {NOTE}.")


def _uses_the_default_cache(manifest: "RunManifest") -> bool:
    cache = manifest.config.get("cache", {})
    return bool(cache.get("enabled")) and cache.get("path") is None
