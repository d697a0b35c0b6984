"""Settings of a refresh."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from autorule.config.runs import ExtractConfig
from autorule.config.stages import Config
from autorule.config.values import Count
from autorule.evaluation.config import EvaluateConfig


class RefreshConfig(Config):
    """Parameters of refresh_rules: new pairs in, a better rule set current, or the old one kept with the reason."""

    name: str = Field(description="of the rule set in the registry; made when there is none yet")
    registry: Path = Field(Path("outputs/registry"), description="folder of the registry")
    extraction: ExtractConfig = Field(description="how new rules are mined, and from which pairs")
    held_out: Path = Field(description="pairs by which rules are kept, weighed, audited and promoted; not mined")
    select_by: str = Field("best", description="how rules are weighed, as in `autorule select --by`")
    audit_prompts: Count = Field(50, ge=0, description="prompts of the audit with canaries; 0 for none")
    max_exploit_rate: float = Field(0.2, ge=0, le=1, description="above it the candidate is refused")
    max_unscored: float = Field(0.1, ge=0, lt=1, description="share of the audit that may have no reward")
    by: str = Field("refresh-rules", description="name that the registry's history gets for what this run did")

    @model_validator(mode="after")
    def _held_out_is_named_once(self) -> Self:
        if self.extraction.held_out is not None or self.extraction.repeats > 1:
            raise ValueError("extraction.held_out and extraction.repeats: leave them out; give held_out of the refresh")
        return self

    def evaluation(self, run_id: str, rules: Path, candidate: bool) -> EvaluateConfig:
        """How a rule set is measured on the held-out pairs: to choose by, without what it was mined from; as a
        `candidate` or the current set, on all pairs, of which the promotion leaves out what either has seen."""
        source = self.extraction
        only_for_mining = ("stratum", "embedding", "reasoning", "explanation")
        columns = {ours: theirs for ours, theirs in source.columns.items() if ours not in only_for_mining}
        return EvaluateConfig(
            pairs=self.held_out,
            rules=rules,
            model=source.verifier or source.model,
            outputs=source.outputs,
            run_id=run_id,
            cache=source.cache,
            budget=source.budget,
            columns=columns,
            winner_values=source.winner_values,
            seed=source.seed,
            allow_leakage=candidate,
            leave_out_leaked=not candidate,
            one_call=not candidate,
            flip_sample=0,
        )
