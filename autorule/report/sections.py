"""The sections of the page: those that have something to show, and one line for all others."""

from collections.abc import Collection
from typing import NamedTuple

from autorule.report.contents import Contents

NOT_EVALUATED = "not evaluated on held-out pairs: see autorule evaluate"


class Section(NamedTuple):
    name: str
    """Of its heading in the page."""
    title: str
    filled: bool
    missing: str = ""
    """Why it would be empty."""


def sections(contents: Contents, plots: Collection[str], has_funnel: bool, has_rules: bool) -> list[Section]:
    """All sections in their order; `plots`: the names of those that were drawn."""
    found = contents.evaluation
    why = NOT_EVALUATED if found is None else ""
    correlated = {"redundancy-verdicts", "redundancy-differences"} & set(plots)
    curved = {"curve-rules", "curve-pairs"} & set(plots)
    return [
        Section("glance", "At a glance", True),
        Section("funnel", "Funnel", has_funnel, "the manifest counts nothing yet"),
        Section("rules", "Rules", has_rules, "no rule set"),
        Section("agreement", "Agreement", "agreement" in plots, why or "no rule tells any pair apart"),
        Section("preferred", "Which side is preferred", found is not None and bool(found.accuracies), why),
        Section("calibration", "Calibration", bool({"margins", "reliability"} & set(plots)), why),
        Section(
            "weightings", "Weightings",
            found is not None and (found.weightings is not None or found.no_weightings is not None), why,
        ),
        Section("rewards", "Rewards", contents.rewards is not None, "no held-out pairs or completions with a reward"),
        Section("redundancy", "Redundancy", bool(correlated), why or "no correlations of rules"),
        Section("curves", "Learning curves", bool(curved), why or "too few points"),
        Section(
            "slices", "Slices", found is not None and bool(found.slices), why or "autorule evaluate --slice NAME",
        ),
        Section("cost", "Cost", bool(contents.manifest.usage), "no model was asked"),
        Section("provenance", "Provenance", True),
    ]  # fmt: skip


def missing_line(of: list[Section]) -> str:
    """What is not there, by its reason; empty where all is."""
    by_reason: dict[str, list[str]] = {}
    for section in of:
        if not section.filled:
            by_reason.setdefault(section.missing, []).append(section.title)
    told = [", ".join(titles) + (f" ({reason})" if reason else "") for reason, titles in by_reason.items()]
    return f"Not in this run: {'; '.join(told)}." if told else ""
