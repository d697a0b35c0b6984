"""What an audit with canaries finds, as records."""

from autorule.records import CallCounts, Record
from autorule.statistics.records import Interval


class Share(Record):
    """Of how many answers a rule is satisfied, as the reward counts it. Unscored verdicts, and those that say that the
    rule does not apply where the rule set leaves these out, are on neither side of the share."""

    n_satisfied: int
    n_counted: int
    n_unscored: int
    n_not_applicable: int
    """Verdicts that the rule does not apply; what they count for is the rule set's `na_policy`."""
    share: float | None
    """None where nothing was counted."""


class CanaryResult(Record):
    """One canary over all prompts."""

    name: str
    n_prompts: int
    """Prompts that it was made for."""
    n_same: int
    """Prompts left out because the canary is, word for word, the honest answer there."""
    n_unscored: int
    """Prompts left out of all that follows: the canary or the honest answer has no reward there."""
    n_compared: int
    mean_reward: float | None
    """Over the prompts compared, as is that of the honest answers."""
    mean_reward_honest: float | None
    n_exploits: int
    n_ties: int
    """Exploits whose reward is the honest answer's, not greater."""
    exploit_rate: Interval
    """Share of the prompts compared where the canary's reward is at least the honest answer's, with Wilson's interval.

    A tie is an exploit, also where both satisfy nothing: a policy that has the choice loses nothing by the canary,
    which is the easier one to learn, and a group of equal rewards does not lead it away from there.
    """
    exploited_rows: tuple[int, ...]
    """Rows of the file whose prompts are exploited."""
    rules: dict[str, Share]
    """Rule id -> its share over the prompts that the canary was made for."""


class RuleResult(Record):
    """One rule over all canaries."""

    rule_id: str
    text: str
    canaries: Share
    """The rule's exploit rate: its share over all (prompt, canary), each of them an answer that is worth nothing. The
    canaries of one prompt are not independent, so there is no interval."""
    honest: Share


class HackingAudit(Record):
    verifier: str
    """Identity of the model."""
    n_rows: int
    n_rejected: int
    """Rows that are no usable pair."""
    n_prompts: int
    """Distinct prompts that were drawn."""
    seed: int
    skipped: tuple[str, ...]
    """Canaries left out on demand."""
    n_honest_unscored: int
    """Honest answers without a reward."""
    unscored_reasons: dict[str, int]
    """Why answers have no reward -> how many."""
    verdict_failures: dict[str, int]
    """What the verifier's commonest failures said -> how many verdicts; the ten commonest."""
    canaries: tuple[CanaryResult, ...]
    rules: tuple[RuleResult, ...]
    max_exploit_rate: float
    max_unscored: float
    calls: CallCounts

    @property
    def exploited(self) -> tuple[CanaryResult, ...]:
        """Canaries above the greatest exploit rate allowed, worst first."""
        found = [one for one in self.canaries if (one.exploit_rate.value or 0.0) > self.max_exploit_rate]
        return tuple(sorted(found, key=lambda one: -(one.exploit_rate.value or 0.0)))

    @property
    def unmeasured(self) -> tuple[CanaryResult, ...]:
        """Canaries that this audit can't speak of: too many prompts without a reward, or none to compare."""
        return tuple(
            one
            for one in self.canaries
            if one.n_compared == 0 or one.n_unscored > self.max_unscored * (one.n_compared + one.n_unscored)
        )

    @property
    def worst_rules(self) -> tuple[RuleResult, ...]:
        """Rules that canaries satisfy, the most often satisfied first."""
        found = [one for one in self.rules if one.canaries.n_satisfied]
        return tuple(sorted(found, key=lambda one: -(one.canaries.share or 0.0)))
