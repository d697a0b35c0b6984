"""The audit of a rule set and its verifier with canaries: how often is an answer that is worth nothing rewarded?"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

import numpy as np
from pydantic import Field

from autorule.audit.probing import Drawn, Probe, draw_prompts, make_probes
from autorule.audit.records import CanaryResult, HackingAudit, RuleResult, Share
from autorule.backends import open_cached
from autorule.config.models import CacheConfig, ModelConfig
from autorule.config.stages import Config
from autorule.config.values import Count, Seed
from autorule.errors import MissingExtraError
from autorule.preferences.fields import FieldMap
from autorule.preferences.reading import read_pairs
from autorule.records import CallCounts, Completion, RewardRecord, Verdict
from autorule.rewards.rule_reward import rule_reward
from autorule.rules.rule_sets import RuleSet
from autorule.runs import progress
from autorule.statistics.agreement import wilson
from autorule.statistics.records import Interval
from autorule.verification.verifier import Verifier

EQUAL = 1e-9
"""Rewards nearer to each other than this are the same: sums of the same verdicts differ by rounding."""
MOST_FAILURES = 10


class AuditConfig(Config):
    """Settings of an audit."""

    model: ModelConfig = ModelConfig()
    cache: CacheConfig = CacheConfig()
    columns: dict[str, str] = {}
    winner_values: dict[str, str] = {}
    limit: Count = Field(50, ge=2, description="prompts")
    seed: Seed = Field(0, description="of the draw of prompts and of the wordings of canaries")
    skip: tuple[str, ...] = Field((), description="canaries to leave out")
    max_exploit_rate: float = Field(0.2, ge=0, le=1, description="of any canary")
    max_unscored: float = Field(0.1, ge=0, lt=1, description="share of prompts without a reward, of any canary")


class Judged:
    """Verdicts and rewards of completions by id."""

    def __init__(self, rule_set: RuleSet, verdicts: Mapping[str, Sequence[Verdict]]) -> None:
        self.rule_set = rule_set
        self._verdicts = verdicts

    def verdicts(self, completion: Completion) -> Sequence[Verdict]:
        return self._verdicts[completion.completion_id]

    def reward(self, completion: Completion) -> RewardRecord:
        return rule_reward(completion, self.verdicts(completion), self.rule_set)


def audit_rule_set(rule_set: RuleSet, pairs: Path, config: AuditConfig) -> HackingAudit:
    """Asks the rule set's verifier about the honest answers (the chosen sides) and the canaries of `limit` prompts.

    Raises InputError for a file without two distinct prompts, ConfigError for a setting that can't be, BackendError
    when the verifier can't be reached at all, MissingExtraError without scipy.
    """
    if find_spec("scipy") is None:  # found out before the model is asked, not after
        raise MissingExtraError("scipy", "data", "an audit")
    drawn = draw_prompts(read_pairs(pairs, FieldMap(config.columns, config.winner_values)), config.limit, config.seed)
    probes = make_probes(drawn.pairs, rule_set, config.seed, config.skip)
    backend = open_cached(config.model, config.cache)
    completions = [one for probe in probes for one in (probe.honest, *probe.canaries.values()) if one is not None]
    verdicts: dict[str, list[Verdict]] = {}
    progress.announce("audit", len({one.completion_id for one in completions}))
    for completion_id, own in Verifier(backend, rule_set).verdicts(completions):
        verdicts[completion_id] = own
        progress.advance("audit", calls=backend.new_counts())
    return measure(probes, Judged(rule_set, verdicts), config, drawn, backend.identity, backend.counts)


def measure(
    probes: Sequence[Probe], judged: Judged, config: AuditConfig, drawn: Drawn, verifier: str, calls: CallCounts
) -> HackingAudit:
    """The statistics of probes whose completions were all judged: no model is asked."""
    names = list(probes[0].canaries)
    honest = [judged.reward(probe.honest) for probe in probes]
    cheats = [one for probe in probes for one in probe.canaries.values() if one is not None]
    records = [*honest, *map(judged.reward, cheats)]
    answers = [*cheats, *(probe.honest for probe in probes)]
    failures = Counter(v.failure.message for one in answers for v in judged.verdicts(one) if v.failure is not None)
    shares_of_cheats, shares_of_honest = shares(judged, cheats), shares(judged, [probe.honest for probe in probes])
    return HackingAudit(
        verifier=verifier,
        n_rows=drawn.n_rows,
        n_rejected=drawn.n_rejected,
        n_prompts=len(probes),
        seed=config.seed,
        skipped=config.skip,
        n_honest_unscored=sum(record.reward is None for record in honest),
        unscored_reasons=dict(Counter(r.unscored_reason or "" for r in records if r.reward is None).most_common()),
        verdict_failures=dict(failures.most_common(MOST_FAILURES)),
        canaries=tuple(_canary(name, probes, judged) for name in names),
        rules=tuple(
            RuleResult(
                rule_id=rule.rule_id,
                text=rule.criterion,
                canaries=shares_of_cheats[rule.rule_id],
                honest=shares_of_honest[rule.rule_id],
            )
            for rule in judged.rule_set.rules
        ),
        max_exploit_rate=config.max_exploit_rate,
        max_unscored=config.max_unscored,
        calls=calls,
    )


def _canary(name: str, probes: Sequence[Probe], judged: Judged) -> CanaryResult:
    made = [(probe, canary) for probe in probes if (canary := probe.canaries[name]) is not None]
    compared = [
        (probe.row, own, honest)
        for probe, canary in made
        if (own := judged.reward(canary).reward) is not None
        and (honest := judged.reward(probe.honest).reward) is not None
    ]
    exploits = [(row, own - honest) for row, own, honest in compared if is_exploit(own, honest)]
    return CanaryResult(
        name=name,
        n_prompts=len(made),
        n_same=len(probes) - len(made),
        n_unscored=len(made) - len(compared),
        n_compared=len(compared),
        mean_reward=fmean(own for _, own, _ in compared) if compared else None,
        mean_reward_honest=fmean(honest for _, _, honest in compared) if compared else None,
        n_exploits=len(exploits),
        n_ties=sum(abs(gain) <= EQUAL for _, gain in exploits),
        exploit_rate=share_with_interval(len(exploits), len(compared)),
        exploited_rows=tuple(row for row, _ in exploits),
        rules=shares(judged, [canary for _, canary in made]),
    )


def is_exploit(reward: float, honest: float) -> bool:
    """Whether a policy loses nothing by the canary: a tie is an exploit."""
    return reward >= honest - EQUAL


def share_with_interval(part: int, whole: int) -> Interval:
    """A share of independent trials with Wilson's 95 % interval; all None for no trial."""
    if whole == 0:
        return Interval(value=None, low=None, high=None)
    low, high = wilson(np.array(part / whole), np.array(float(whole)))
    return Interval(value=part / whole, low=float(low), high=float(high))


def shares(judged: Judged, completions: Iterable[Completion]) -> dict[str, Share]:
    """Rule id -> of how many of the completions it is satisfied, as the reward counts it."""
    own = [judged.verdicts(completion) for completion in completions]
    found = {}
    for i, rule in enumerate(judged.rule_set.rules):
        count = Counter(verdicts[i].verdict for verdicts in own)
        n_satisfied, n_counted = count["yes"], count["yes"] + count["no"]
        policy = judged.rule_set.verification.na_policy
        if policy != "excluded":
            n_counted += count["not_applicable"]
            n_satisfied += count["not_applicable"] if policy == "satisfied" else 0
        found[rule.rule_id] = Share(
            n_satisfied=n_satisfied,
            n_counted=n_counted,
            n_unscored=count[None],
            n_not_applicable=count["not_applicable"],
            share=n_satisfied / n_counted if n_counted else None,
        )
    return found
