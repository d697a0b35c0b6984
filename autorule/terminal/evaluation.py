"""What an evaluation says, as tables on a terminal."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from autorule.evaluation.verdict import verdict
from autorule.records import RejectedRow
from autorule.runs.files import FAILURES, HELD_OUT_PAIRS, REJECTED_HELD_OUT, read_records
from autorule.runs.manifest import RunManifest
from autorule.statistics.records import Accuracy, Evaluation, Interval, RuleStatistics, Weightings
from autorule.storage import readable
from autorule.terminal.console import out, shown_text
from autorule.terminal.runs import print_end as print_end_of_run
from autorule.terminal.tables import Column, print_rows

FEW = 10
"""Pairs told apart; an agreement on fewer says little."""
SHORT_ID = 6
BY_PAIRS = "pairs"
LEFT_OUT = ("prompt_was_seen", "prompt_was_mined")
"""Reasons for which a usable pair is left out."""


def print_evaluation(found: Evaluation) -> None:
    """Rules from the surest to the least, the ways to score a pair, whether the rules beat the baselines, and what
    selection and weights would bring."""
    print_rules(found)
    print_accuracies(found.accuracies)
    if (told := verdict(found.accuracies)) is not None:
        out.print(shown_text(told))
    for part in found.slices:
        name = shown_text(f"{part.column} {part.value}")
        out.print(f"{name}: {shown_interval(part.accuracy)}, {part.n_pairs} pairs")
    if found.position_bias is not None:
        out.print(f"One call about both: {found.position_bias:.0%} of its probability is for the response shown first.")
    if found.weightings is not None:
        print_weightings(found.weightings)
    elif found.no_weightings is not None:
        out.print(f"No weights: {escape(found.no_weightings)}")
    if found.leaked_pairs:
        out.print(f"[yellow]{found.leaked_pairs} pairs have prompts that the rules were mined from, or chosen by[/]")


def print_rules(found: Evaluation) -> None:
    """Sorted by the lower end of the interval; what it and p go by is said where it is not the number of pairs."""
    shared = any(one.basis != BY_PAIRS for one in found.rules)
    flips = any(one.flips for one in found.rules)
    names = ("id", "agreement", "apart", *(["effective"] if shared else []), "satisfied", *(["flips"] if flips else []))
    columns = [*map(Column, names), Column("decision"), Column("rule", is_text=True)]
    ids = short_ids([one.rule_id for one in found.rules])
    rows = []
    for one in sorted(found.rules, key=lambda one: -(one.agreement.low or 0.0)):
        effective = [f"{one.n_effective:.1f}"] if shared else []
        known = [share for share in one.flips.values() if share is not None]
        flip = [f"{max(known):.0%}" if known else "-"] if flips else []
        apart = f"{one.n_discordant} few" if one.n_discordant < FEW else str(one.n_discordant)
        satisfied = "-" if one.saturation is None else f"{one.saturation:.0%}"
        figures = (ids[one.rule_id], shown_interval(one.agreement), apart, *effective, satisfied, *flip, one.decision)
        rows.append((*figures, shown_text(one.text)))
    print_rows(f"Rules on {found.n_pairs} pairs of {found.n_prompts} prompts", columns, rows)
    out.print(_how_to_read(found.rules, shared))


def _how_to_read(rules: Sequence[RuleStatistics], shared: bool) -> str:
    told = "Sorted by the lower end of the interval."
    if any(one.n_discordant < FEW for one in rules):
        told += f" few: it tells fewer than {FEW} pairs apart."
    if shared:
        told += " Interval and p go by the effective number of pairs, since pairs of one prompt are not independent."
    return told


def short_ids(rule_ids: Sequence[str]) -> dict[str, str]:
    """The beginnings of ids that tell these rules apart, as `rules edit` takes them."""
    n_chars = SHORT_ID
    while len({rule_id[:n_chars] for rule_id in rule_ids}) < len(set(rule_ids)):
        n_chars += 1
    return {rule_id: rule_id[:n_chars] for rule_id in rule_ids}


def print_accuracies(ways: tuple[Accuracy, ...]) -> None:
    columns = [Column("way", is_text=True), *map(Column, ("accuracy", "over uniform", "ties", "pairs"))]
    rows = []
    for way in ways:
        over = "" if way.over_uniform is None else shown_interval(way.over_uniform, signed=True)
        tied = "-" if way.tied is None else f"{way.tied:.0%}"
        rows.append((shown_text(way.name), shown_interval(way.accuracy), over, tied, str(way.n_pairs)))
    print_rows("Which side is preferred?", columns, rows)


def print_weightings(found: Weightings) -> None:
    """Every method with its figure on dev, by which one is chosen, and on test; none for one that keeps no rule."""
    chosen = next(one for one in found.results if one.method == found.chosen)
    rows = []
    for one in found.results:
        mark = " (chosen)" if one is chosen and one.weights else ""
        figures = (f"{one.dev_accuracy:.1%}", shown_interval(one.test), shown_interval(one.over_uniform, signed=True))
        rows.append((f"{one.method}{mark}", str(len(one.weights)), *(figures if one.weights else ("-", "-", "-"))))
    if found.before_test is None:
        rows.append(("all rules alike", "", "", shown_interval(found.uniform_test), ""))
    else:
        rows.append(("all rules alike, as they were", "", "", shown_interval(found.before_test), ""))
        rows.append(("all rules alike, turned around", "", "", shown_interval(found.uniform_test), ""))
    rows += [(name, "", "", shown_interval(accuracy), "") for name, accuracy in found.baselines_test.items()]
    title = (
        f"Weights chosen out of fold on {found.n_dev_pairs} pairs of {found.n_dev_prompts} prompts, tested on "
        f"{found.n_test_pairs} of {found.n_test_prompts} others"
    )
    names = ("rules", "dev", "test", "over all alike")
    print_rows(title, [Column("method", is_text=True), *map(Column, names)], rows)
    if not chosen.weights:
        why = f"{found.chosen} gives no rule a weight" if found.kept else "no rule is proven on dev"
        out.print(f"none chosen: {why}")


def print_end(folder: Path, manifest: RunManifest, found: Evaluation) -> None:
    """What became of the rows and of the verdicts, what was asked, and where everything is."""
    funnel = manifest.funnel
    out.print(
        f"rows read: {funnel.held_out_rows_read}; pairs: {funnel.held_out_pairs}"
        + "".join(f"; {text}" for text in _rest(folder, manifest))
    )
    n_failures = manifest.files.get(FAILURES, 0)
    where = f"; {n_failures} failures are in {FAILURES}" if n_failures else ""
    unscored = (
        f"verdicts: {funnel.verdicts}, {funnel.verdicts_unscored} of them unscored{where}; pairs without a reward "
        f"because the verifier failed: {found.unscored_pairs} of {found.n_pairs}"
    )
    out.print(f"[yellow]{unscored}[/]" if funnel.verdicts_unscored or found.unscored_pairs else unscored)
    print_end_of_run(folder, manifest)


def _rest(folder: Path, manifest: RunManifest) -> list[str]:
    """Rows that are no pair of the evaluation, by their reasons, and pairs that count twice."""
    path, told = folder / REJECTED_HELD_OUT, []
    codes = Counter(row.reasons[0].code for row in read_records(path, RejectedRow)) if path.exists() else Counter()
    leaked = sum(codes.pop(code, 0) for code in LEFT_OUT)
    if codes:
        reasons = ", ".join(f"{n} {shown_text(code.replace('_', ' '))}" for code, n in codes.most_common())
        told.append(f"rejected: {codes.total()} ({reasons})")
    if leaked:
        told.append(f"left out, since the rules were mined from or chosen by their prompts: {leaked}")
    if not_drawn := manifest.funnel.held_out_pairs_not_drawn:
        told.append(f"not drawn: {not_drawn}")
    if repeated := _repeated(folder):
        told.append(f"repeated, and counted each time: {repeated}")
    return told


def _repeated(folder: Path) -> int:
    import pyarrow.parquet as pq

    table = pq.read_table(readable(folder / HELD_OUT_PAIRS), columns=["pair_id", "chosen_id"])
    return int(table.num_rows - table.group_by(["pair_id", "chosen_id"]).aggregate([]).num_rows)


def shown_interval(interval: Interval, signed: bool = False) -> str:
    """A share in percent or, `signed`, a difference of shares in percentage points; its interval in brackets."""
    if interval.value is None:
        return "-"
    value = f"{100 * interval.value:+.1f} pp" if signed else f"{interval.value:.1%}"
    if interval.low is None or interval.high is None:
        return value
    low, high = f"{100 * interval.low:.1f}", f"{100 * interval.high:.1f}"
    return f"{value} ({low} to {high})" if signed else f"{value} ({low}–{high})"
