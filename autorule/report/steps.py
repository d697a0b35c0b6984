"""What became of everything that went into a run, and what it cost."""

from dataclasses import dataclass

from autorule.config.models import ModelConfig
from autorule.records import CallCounts
from autorule.runs.budget import cost_of
from autorule.runs.manifest import LISTS_CUT, Funnel, RunManifest


@dataclass(frozen=True)
class FunnelStep:
    name: str
    n_in: int
    n_out: int
    rest: str
    """In words, what became of those that are not among the results."""

    same_kind: bool = True
    """Whether what comes out is some of what goes in: only then does a share say anything."""

    @property
    def kept(self) -> float | None:
        return self.n_out / self.n_in if self.same_kind else None


def funnel_steps(funnel: Funnel) -> list[FunnelStep]:
    """The steps that the run took, in their order."""
    f = funnel
    steps = [
        FunnelStep(
            "rows → pairs", f.rows_read, f.pairs_drawn,
            _rest(f, "rows_rejected rejected", "pairs_repeated repeated", "pairs_not_drawn not drawn",
                  "ties_drawn ties among the drawn"),
        ),
        FunnelStep(
            "pairs → chains", f.chains_expected, f.chains,
            _rest(f, "chains_failed failed", "chains_given came with the pairs"),
        ),
        FunnelStep(
            "chains checked blind → confirmed", f.chains_checked,
            f.chains_checked - f.chains_contradicted - f.chains_unclear,
            _rest(f, "chains_contradicted contradicted", "chains_unclear unclear", "checks_failed checks failed"),
        ),
        FunnelStep(
            "chains → mined chains", f.chains, f.chains_mined,
            _rest(f, "mining_failed failed", "chains_left_out left out by the blind check"),
        ),
        FunnelStep("mined chains → candidates", f.chains_mined, f.candidates, "", same_kind=False),
        FunnelStep(
            "candidates → rules", f.candidates, f.rules,
            _rest(f, "candidates_in_rules stand behind rules", "candidates_set_aside set aside by lint",
                  "candidates_of_ties of ties", "candidates_dropped dropped", "merges_failed merges failed",
                  f"lists_cut {LISTS_CUT}"),
            same_kind=False,
        ),
        FunnelStep(
            "held-out rows → pairs", f.held_out_rows_read, f.held_out_pairs,
            _rest(f, "held_out_rows_rejected rejected", "held_out_pairs_not_drawn not drawn"),
        ),
        FunnelStep(
            "rows → completions", f.completion_rows_read, f.completions - 2 * f.held_out_pairs,
            _rest(f, "completion_rows_rejected rejected"),
        ),
        FunnelStep(
            "completions → rewards", f.completions, f.rewards - f.rewards_unscored,
            _rest(f, "completions_failed failed", "rewards_unscored unscored"),
        ),
        FunnelStep(
            "verdicts asked → given", f.verdicts, f.verdicts - f.verdicts_unscored,
            _rest(f, "verdicts_unscored unscored"),
        ),
    ]  # fmt: skip
    return [step for step in steps if step.n_in]


def _rest(funnel: Funnel, *parts: str) -> str:
    """Each part is a count of the funnel and its words; counts of nothing are left out."""
    named = [part.split(" ", 1) for part in parts]
    return ", ".join(f"{getattr(funnel, name):,} {words}" for name, words in named if getattr(funnel, name))


@dataclass(frozen=True)
class StageCost:
    stage: str
    model: str
    counts: CallCounts
    cost: float | None
    """None where the settings name no prices."""


SETTINGS = {"mining": "extractor", "synthesis": "merger", "verification": "verifier"}
"""Stage -> the setting that may name a model of its own."""


def stage_costs(manifest: RunManifest) -> list[StageCost]:
    return [
        StageCost(stage, manifest.models.get(stage, ""), counts, _cost(manifest, stage, counts))
        for stage, counts in manifest.usage.items()
    ]


def _cost(manifest: RunManifest, stage: str, counts: CallCounts) -> float | None:
    settings = manifest.config.get(SETTINGS.get(stage, "model")) or manifest.config.get("model") or {}
    prices = ModelConfig(price_in=settings.get("price_in"), price_out=settings.get("price_out"))
    return cost_of(counts, prices)


def total_cost(costs: list[StageCost]) -> tuple[CallCounts, float | None]:
    """All calls; what they cost, None where a stage that sent some has no price."""
    counts = sum((cost.counts for cost in costs), CallCounts())
    known = [cost.cost for cost in costs if cost.counts.sent]
    return counts, None if None in known or not known else sum(cost or 0.0 for cost in known)
