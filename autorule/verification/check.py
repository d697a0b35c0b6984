"""The audit of a verifier against labelled data: is it right, calibrated, steady, and how fast is it?"""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from autorule.backends import open_cached
from autorule.backends.cached import CachedBackend
from autorule.config.models import CacheConfig, ModelConfig
from autorule.config.stages import Config, RewardConfig, VerificationConfig, VerificationMode
from autorule.config.values import Count, Seed
from autorule.prompting import load_prompt
from autorule.records import CallCounts, Completion, Record, Rule, Verdict, content_id
from autorule.rules.rule_sets import RuleSet, VerificationSpec
from autorule.runs import progress
from autorule.verification.labels import Label
from autorule.verification.metrics import Quality, flip_rate, measure_quality
from autorule.verification.variants import variants
from autorule.verification.verifier import Verifier

APART_AT_MOST = 200
"""Labels that are asked about one by one, to see whether the company of other rules changes a verdict."""
LEAST_LABELS = 20
"""Of a kind of rule, for figures and a threshold of its own."""


class CheckConfig(Config):
    """Settings of a check."""

    model: ModelConfig = ModelConfig()
    cache: CacheConfig = CacheConfig()
    verification: VerificationConfig = VerificationConfig()
    modes: tuple[VerificationMode, ...] = ("direct",)
    columns: dict[str, str] = {}
    sample: Count | None = Field(None, ge=1)
    seed: Seed = 0


class CheckReport(Record):
    """One engine and mode."""

    engine: str
    mode: VerificationMode
    quality: Quality
    by_kind: dict[str, Quality]
    """Of each kind of rule with enough labels."""
    flips: dict[str, float | None]
    """What was changed -> share of verdicts that changed with it."""
    verdicts_per_s: float | None
    """Of calls that were sent; None when the cache answered all."""
    tokens_per_verdict: float | None
    n_sent: int
    n_cached: int


class LabelRun(NamedTuple):
    verdicts: list[Verdict]
    seconds: float
    counts: CallCounts


def sample_labels(labels: Sequence[Label], n_completions: int | None, seed: int) -> list[Label]:
    """The labels of so many completions, drawn by the seed; in the order of the file."""
    ids = list(dict.fromkeys(label.completion.completion_id for label in labels))
    if n_completions is None or n_completions >= len(ids):
        return list(labels)
    drawn = set(random.Random(seed).sample(ids, n_completions))
    return [label for label in labels if label.completion.completion_id in drawn]


def check_verifier(labels: Sequence[Label], config: CheckConfig) -> Iterator[CheckReport]:
    """A report for each mode."""
    for mode in config.modes:
        verification = config.verification.model_copy(update={"mode": mode})
        yield _check_mode(labels, config, verification)


def _check_mode(labels: Sequence[Label], config: CheckConfig, verification: VerificationConfig) -> CheckReport:
    spec = VerificationSpec.from_config(verification, load_prompt(verification.prompt_name))
    backend = open_cached(config.model, config.cache)
    main = verify_labels(labels, spec, backend, name=spec.mode)
    flips = {}
    alone = [("batch composition", spec, True)] if spec.mode == "direct" else []
    for name, changed, one_by_one in [*((name, changed, False) for name, changed in variants(spec)), *alone]:
        step = -(-len(labels) // APART_AT_MOST) if one_by_one else 1
        # Alone or in company a question has the same place in the cache, which would answer what is to be measured.
        cache = config.cache.model_copy(update={"enabled": config.cache.enabled and not one_by_one})
        other = verify_labels(labels[::step], changed, open_cached(config.model, cache), one_by_one, name)
        flips[name] = flip_rate(main.verdicts[::step], other.verdicts)
    satisfied = [label.satisfied for label in labels]
    sent = main.counts.sent
    return CheckReport(
        engine=backend.identity,
        mode=spec.mode,
        quality=measure_quality(main.verdicts, satisfied),
        by_kind=_by_kind(labels, main.verdicts),
        flips=flips,
        verdicts_per_s=sent / main.seconds if sent else None,
        tokens_per_verdict=(main.counts.prompt_tokens + main.counts.completion_tokens) / sent if sent else None,
        n_sent=sent,
        n_cached=main.counts.cached,
    )


def verify_labels(
    labels: Sequence[Label],
    spec: VerificationSpec,
    backend: CachedBackend,
    one_by_one: bool = False,
    name: str = "verdicts",
) -> LabelRun:
    """A verdict for each label. With `one_by_one` the rules of a completion are asked about apart, last one first.

    Its progress goes by `name`.
    """
    rules = {label.rule: Rule(rule_id=content_id("rule", label.rule), text=label.rule, support=0) for label in labels}
    rule_set = RuleSet(rules=tuple(rules.values()), verification=spec, reward=RewardConfig())
    groups = [[label] for label in reversed(labels)] if one_by_one else [list(labels)]
    found: dict[tuple[str, str], Verdict] = {}
    progress.announce(name, len({(label.completion.completion_id, label.rule) for label in labels}))
    begun = time.perf_counter()
    for group in groups:
        own: dict[str, dict[str, Rule]] = {}
        completions: dict[str, Completion] = {}
        for label in group:
            completions[label.completion.completion_id] = label.completion
            own.setdefault(label.completion.completion_id, {})[label.rule] = rules[label.rule]
        asked = {completion_id: tuple(by_text.values()) for completion_id, by_text in own.items()}
        for completion_id, verdicts in Verifier(backend, rule_set, asked.__getitem__).verdicts(completions.values()):
            found |= {(completion_id, verdict.rule_id): verdict for verdict in verdicts}
            progress.advance(name, len(verdicts), backend.new_counts())
    seconds = time.perf_counter() - begun
    ordered = [found[label.completion.completion_id, rules[label.rule].rule_id] for label in labels]
    return LabelRun(ordered, seconds, backend.counts)


def _by_kind(labels: Sequence[Label], verdicts: Sequence[Verdict]) -> dict[str, Quality]:
    kinds: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        kinds.setdefault(label.kind, []).append(index)
    return {
        kind: measure_quality([verdicts[i] for i in indices], [labels[i].satisfied for i in indices])
        for kind, indices in sorted(kinds.items())
        if len(indices) >= LEAST_LABELS
    }


def draw_reliability(reports: Sequence[CheckReport], path: Path) -> None:
    """The reliability picture: share of satisfied rules against P(yes), with as many labels as the dots are large."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 5), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for report in reports:
        bins = report.quality.reliability
        if bins:
            x, y = [b.mean_p_yes for b in bins], [b.share_satisfied for b in bins]
            axes.plot(x, y, linewidth=1, label=f"{report.mode} (ECE {report.quality.ece:.3f})")
            axes.scatter(x, y, s=[10 + 200 * b.n / report.quality.n for b in bins])
    axes.set(xlabel="P(yes)", ylabel="share satisfied", xlim=(0, 1), ylim=(0, 1), title=reports[0].engine)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
