"""The page: one file that needs nothing else and lets nothing in.

Every text of a run is escaped by the template; the script finds all that it needs in the document. The policy in the
head allows this one script and this one style by their hashes.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from autorule.errors import MissingExtraError
from autorule.report.contents import Contents
from autorule.report.drawing import Drawn
from autorule.report.glance import figures, opening
from autorule.report.names import method_gloss, method_name, way_gloss, way_name
from autorule.report.notes import notes
from autorule.report.redundancy_plot import MOST_PAIRS, pairs_alike
from autorule.report.rule_table import DECISION_HELP, rule_table
from autorule.report.sections import missing_line, sections
from autorule.report.steps import funnel_steps, stage_costs, total_cost
from autorule.report.text import MISSING, counted, ends_text, interval_text, number, percent, visible
from autorule.statistics.records import Interval

if TYPE_CHECKING:
    from jinja2 import Environment

GENERATOR = '<meta name="generator" content="autorule report">'
LONG_TEXT = 400
"""Characters from which a rule is folded."""


def page(contents: Contents, drawn: Sequence[Drawn]) -> str:
    """The text of index.html. Raises MissingExtraError without Jinja2."""
    rules = rule_table(contents)
    script, style = _asset("page.js"), _asset("page.css")
    costs = stage_costs(contents.manifest)
    steps = funnel_steps(contents.manifest.funnel)
    plots = {one.plot.name: one for one in drawn}
    shown = sections(contents, plots, bool(steps or contents.failures), rules is not None)
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
        opening=opening(contents.evaluation),
        notes=notes(contents),
        sections=shown,
        filled={section.name for section in shown if section.filled},
        missing=missing_line(shown),
        steps=steps,
        rules=rules,
        decision_help=DECISION_HELP,
        plots=plots,
        alike=_alike(contents),
        costs=costs,
        total=total_cost(costs),
        long_text=LONG_TEXT,
    )  # fmt: skip


def title_of(contents: Contents) -> str:
    kinds = {"extract-rules": "Extraction", "evaluate-rules": "Evaluation", "score-completions": "Scoring"}
    kind = "Evaluation" if contents.evaluation is not None else kinds.get(contents.manifest.flow, "Run")
    return f"{kind} {contents.manifest.run_id}"


def _alike(contents: Contents) -> list[tuple[str, list[tuple[int, int, float]], int]]:
    """(what correlates, the pairs of rules that are nearly one rule, how many more there are)."""
    if contents.evaluation is None:
        return []
    of = {"verdicts": contents.evaluation.phi_verdicts, "differences": contents.evaluation.phi_differences}
    found = {what: pairs_alike(matrix) for what, matrix in of.items()}
    return [(what, pairs[:MOST_PAIRS], max(0, len(pairs) - MOST_PAIRS)) for what, pairs in found.items() if pairs]


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
        method_gloss=method_gloss, way=way_name, way_gloss=way_gloss, counted=counted,
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
