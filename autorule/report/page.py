"""The page: one file that needs nothing else and lets nothing in.

Every text of a run is escaped by the template; the script finds all that it needs in the document. The policy in the
head allows this one script and this one style by their hashes.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from autorule.backends.embedded import NOTE
from autorule.errors import MissingExtraError
from autorule.evaluation.records import Accuracy, Interval
from autorule.report.contents import Contents
from autorule.report.drawing import Drawn
from autorule.report.plots import is_of_rules
from autorule.report.rule_table import RuleTable, rule_table
from autorule.report.steps import funnel_steps, stage_costs, total_cost
from autorule.report.text import MISSING, ends_text, interval_text, method_name, number, percent, visible

if TYPE_CHECKING:
    from jinja2 import Environment

GENERATOR = '<meta name="generator" content="autorule report">'
LIKE_ALIKE = "lengths alike"
LONG_TEXT = 400
"""Characters from which a rule is folded."""


@dataclass(frozen=True)
class Figure:
    """One of the few figures at the top."""

    label: str
    value: str
    note: str


def page(contents: Contents, drawn: Sequence[Drawn]) -> str:
    """The text of index.html. Raises MissingExtraError without Jinja2."""
    rules = rule_table(contents)
    script, style = _asset("page.js"), _asset("page.css")
    costs = stage_costs(contents.manifest)
    return _environment().get_template("page.html.j2").render(
        generator=GENERATOR,
        policy=_policy(script, style),
        script=script,
        style=style,
        manifest=contents.manifest,
        title=title_of(contents),
        evaluation=contents.evaluation,
        rule_set=contents.rule_set,
        rule_set_sha256=contents.rule_set_sha256,
        rewards=contents.rewards,
        failures=contents.failures,
        figures=figures(contents, rules),
        warnings=warnings(contents),
        steps=funnel_steps(contents.manifest.funnel),
        rules=rules,
        plots={one.plot.name: one for one in drawn},
        costs=costs,
        total=total_cost(costs),
        long_text=LONG_TEXT,
    )  # fmt: skip


def title_of(contents: Contents) -> str:
    kinds = {"extract-rules": "Extraction", "evaluate-rules": "Evaluation", "score-completions": "Scoring"}
    kind = "Evaluation" if contents.evaluation is not None else kinds.get(contents.manifest.flow, "Run")
    return f"{kind} {contents.manifest.run_id}"


def figures(contents: Contents, rules: RuleTable | None) -> list[Figure]:
    """At a glance: what a reader wants to know first."""
    found, funnel, shown = contents.evaluation, contents.manifest.funnel, []
    if found is not None:
        shown += _accuracy_figures(found.accuracies)
    if rules is not None:
        of_all = ", ".join(f"{n} {name}" for name, n in rules.decisions if name != "keep")
        kept = dict(rules.decisions).get("keep", 0)
        value = f"{kept} of {len(rules.rows)}" if found is not None else f"{len(rules.rows):,}"
        mined = f"from {funnel.candidates:,} candidates" if funnel.candidates else ""
        shown.append(Figure("Rules kept" if found is not None else "Rules", value, of_all or mined))
    if found is not None and found.weightings is not None:
        w = found.weightings
        best = next((result for result in w.results if result.method == w.chosen), None)
        if best is not None:
            note = (
                f"{ends_text(best.test)}; {method_name(w.chosen)}: {percent(best.dev_accuracy)} on dev, on test "
                f"{interval_text(best.over_uniform, True)} over uniform"
            )
            shown.append(Figure("Test accuracy, chosen weights", percent(best.test.value), note))
    if contents.rewards is not None and contents.rewards.higher is not None and found is None:
        means = ", ".join(f"{side.name} {number(side.mean, 3)}" for side in contents.rewards.sides)
        shown.append(Figure("Chosen has the higher reward", percent(contents.rewards.higher), f"mean reward: {means}"))
    counts, cost = total_cost(stage_costs(contents.manifest))
    price = "" if cost is None else f", cost {number(cost, 4)}"
    tokens = counts.prompt_tokens + counts.completion_tokens
    note = f"{counts.cached:,} from the cache, {tokens:,} tokens{price}"
    return [*shown, Figure("Model calls", f"{counts.sent:,}", note)]


def _accuracy_figures(ways: Sequence[Accuracy]) -> list[Figure]:
    known = [way for way in ways if way.accuracy.value is not None and LIKE_ALIKE not in way.name]
    of_rules = [way for way in known if is_of_rules(way)]
    baselines = [way for way in known if not is_of_rules(way)]
    if not of_rules:
        return []
    note = ends_text(of_rules[0].accuracy)
    if baselines:
        best = max(baselines, key=lambda way: way.accuracy.value or 0.0)
        note += f"; best baseline: {visible(best.name)} {interval_text(best.accuracy)}"
    return [Figure(f"Pair accuracy, {visible(of_rules[0].name)}", percent(of_rules[0].accuracy.value), note)]


def warnings(contents: Contents) -> list[str]:
    """What a reader must know before trusting the figures."""
    manifest, found = contents.manifest, contents.evaluation
    told = []
    if manifest.status != "completed":
        told.append(f"The run is {manifest.status.replace('_', ' ')}: {visible(manifest.message) or 'no message'}")
    if found is not None and found.leaked_pairs:
        told.append(
            f"{found.leaked_pairs:,} of {found.n_pairs:,} pairs have prompts that the rules were mined from: the "
            "figures flatter the rules."
        )
    if any("embedded" in identity for identity in manifest.models.values()):
        told.append(f"{NOTE}.")
    return told


def _asset(name: str) -> str:
    return files("autorule.report").joinpath(name).read_text(encoding="utf-8").strip()


def _policy(script: str, style: str) -> str:
    def allowed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {allowed(script)}; style-src {allowed(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _environment() -> "Environment":
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise MissingExtraError("jinja2", "report", "a report") from error
    environment = Environment(
        loader=PackageLoader("autorule.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        visible=visible, percent=percent, number=number, interval=interval_text, ends=ends_text, count=_count,
        file_name=lambda path: visible(PurePath(path).name), cost=_cost, span=_span, method=method_name,
    )  # fmt: skip
    return environment


def _count(value: int) -> str:
    return f"{value:,}"


def _cost(value: float | None) -> str:
    return MISSING if value is None else number(value, 4)


def _span(interval: Interval) -> dict[str, Any] | None:
    """Where the marks of an interval bar stand, in per cent of its width."""
    if interval.value is None:
        return None
    ends = [interval.value if end is None else end for end in (interval.low, interval.high)]
    return {name: f"{100 * at:.1f}" for name, at in zip(("value", "low", "high"), (interval.value, *ends), strict=True)}
