"""What a reader wants to know first: whether the rules beat the baselines, and a few figures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autorule.evaluation.verdict import standing, verdict
from autorule.report.contents import Contents, RewardDistributions
from autorule.report.names import LENGTHS_ALIKE, is_of_rules, method_name, way_name
from autorule.report.rule_table import RuleTable
from autorule.report.steps import stage_costs, total_cost
from autorule.report.text import counted, ends_text, interval_text, number, percent, visible
from autorule.statistics.records import Accuracy, Evaluation, Interval, Weightings


@dataclass(frozen=True)
class Figure:
    """One of the few figures at the top."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Opening:
    """The first sentence of the page."""

    text: str
    kind: str
    """better, worse or open: what it says of the rules."""


def opening(found: Evaluation | None) -> Opening | None:
    """None where no baseline was compared pair by pair: not evaluated, or by an earlier autorule."""
    text = None if found is None else verdict(found.accuracies)
    if found is None or text is None:
        return None
    text = re.sub(r"-(?=\d)", "−", visible(text))
    stands = standing(found.accuracies)
    if stands is None or not stands.surely:
        return Opening(text, "open")
    return Opening(text, "better" if (stands.over.value or 0.0) > 0 else "worse")


def figures(contents: Contents, rules: RuleTable | None) -> list[Figure]:
    found, funnel, shown = contents.evaluation, contents.manifest.funnel, []
    if found is not None:
        shown += _accuracy_figures(found.accuracies)
    if rules is not None:
        of_all = ", ".join(f"{n:,} {name}" for name, n in rules.decisions if name != "keep")
        kept = dict(rules.decisions).get("keep", 0)
        value = f"{kept:,} of {len(rules.rows):,}" if found is not None else f"{len(rules.rows):,}"
        mined = f"from {counted(funnel.candidates, 'candidate')}" if funnel.candidates else ""
        shown.append(Figure("Rules kept" if found is not None else "Rules", value, of_all or mined))
    if found is not None and found.weightings is not None:
        shown.append(_weights_figure(found.weightings))
    if contents.rewards is not None and found is None:
        shown.append(_reward_figure(contents.rewards))
    counts, cost = total_cost(stage_costs(contents.manifest))
    price = "" if cost is None else f"cost {number(cost, 4)}"
    tokens = counts.prompt_tokens + counts.completion_tokens
    note = _joined(", ", f"{counts.cached:,} from the cache", counted(tokens, "token"), price)
    return [*shown, Figure("Model calls", f"{counts.sent:,}", note)]


def _accuracy_figures(ways: Sequence[Accuracy]) -> list[Figure]:
    known = [way for way in ways if way.accuracy.value is not None and not way.name.endswith(LENGTHS_ALIKE)]
    of_rules = [way for way in known if is_of_rules(way)]
    if not of_rules:
        return []
    best = _best({way.name: way.accuracy for way in known if not is_of_rules(way)})
    way = of_rules[0]
    note = _joined("; ", ends_text(way.accuracy), counted(way.n_pairs, "pair"), best and f"best baseline: {best}")
    return [Figure(f"Pair accuracy, {way_name(way.name)}", percent(way.accuracy.value), note)]


def _weights_figure(found: Weightings) -> Figure:
    best = next((result for result in found.results if result.method == found.chosen), None)
    if best is None or not best.weights:
        return Figure(
            "Chosen weights", "none",
            f"No rule proven on dev: no weights ({counted(found.n_dev_pairs, 'pair')}; {method_name(found.chosen)})",
        )  # fmt: skip
    baseline = _best(found.baselines_test)
    note = _joined(
        "; ",
        ends_text(best.test),
        counted(found.n_test_pairs, "pair"),
        baseline and f"best baseline on test: {baseline}",
        f"{method_name(found.chosen)}: {percent(best.dev_accuracy)} on dev, on test "
        f"{interval_text(best.over_uniform, True)} over all rules alike",
    )
    return Figure("Test accuracy, chosen weights", percent(best.test.value), note)


def _reward_figure(rewards: RewardDistributions) -> Figure:
    n, n_unscored = sum(side.n for side in rewards.sides), sum(side.n_unscored for side in rewards.sides)
    scored = f"{n:,} scored, {n_unscored:,} unscored"
    if not rewards.n_pairs:
        mean = sum(side.n * side.mean for side in rewards.sides) / n
        return Figure("Mean reward", number(mean, 3), scored)
    lower = rewards.n_pairs - rewards.n_higher - rewards.n_tied
    note = _joined(
        "; ",
        f"{counted(rewards.n_pairs, 'pair')}: chosen higher in {rewards.n_higher:,}, tied in {rewards.n_tied:,} "
        f"(counted a half), lower in {lower:,}",
        "mean reward: " + ", ".join(f"{side.name} {number(side.mean, 3)}" for side in rewards.sides),
        scored,
    )
    return Figure("Pair accuracy of the reward", percent(rewards.accuracy), note)


def _best(baselines: Mapping[str, Interval]) -> str:
    """The best baseline with its figure; empty where there is none. One without an interval, known on few prompts, is
    taken only where all are so."""
    known = {name: one for name, one in baselines.items() if one.value is not None}
    if not known:
        return ""
    name = max(known, key=lambda own: (known[own].low is not None, known[own].value or 0.0))
    return f"{way_name(name)} {interval_text(known[name])}"


def _joined(between: str, *parts: str) -> str:
    return between.join(part for part in parts if part)
