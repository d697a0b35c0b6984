"""Stage 4, shard by shard: a verdict for every rule on every completion, and the rewards."""

from pathlib import Path

from autorule.backends import open_backend, open_cached
from autorule.config.models import BudgetConfig, CacheConfig, ModelConfig
from autorule.config.runs import RunConfig
from autorule.config.stages import Config
from autorule.records import Completion, Failure, RewardRecord
from autorule.rewards.rule_reward import rule_reward
from autorule.rules.rule_sets import RuleSet, load_rule_set
from autorule.runs import progress
from autorule.runs.budget import budget_of
from autorule.runs.files import REWARDS, RULE_SET, VERDICTS, part_path, read_records
from autorule.runs.run_folder import Run
from autorule.tasks.preparation import COMPLETIONS
from autorule.tasks.shard_tasks import ShardReport, shard_task
from autorule.tasks.shards import run_shards, write_shard
from autorule.tasks.stage_logs import log_failures
from autorule.verification.verdict_tables import VerdictTable, join_tables, write_rewards
from autorule.verification.verifier import Verifier


class VerifierConfig(Config):
    """What a shard needs to know: the verifier and the cache. The rule set stands in the run folder."""

    model: ModelConfig
    cache: CacheConfig
    budget: BudgetConfig


def verify_completions(run: Run, rule_set: RuleSet, verifier: ModelConfig, config: RunConfig, n_shards: int) -> None:
    """Stage 4 of all shards, against the rule set in the run folder."""
    run.add_model("verification", open_backend(verifier).identity, rule_set.verification.prompt_sha256)
    n_completions = run.manifest.funnel.completions
    progress.announce("verification", n_completions * len(rule_set.rules))
    settings = VerifierConfig(model=verifier, cache=config.cache, budget=config.budget)
    run_shards(verify_shard, run, "verification", n_shards, settings, verifier, COMPLETIONS, "completion_id")
    counts = {}
    for name, kind in ((VERDICTS, "verdicts"), (REWARDS, "rewards")):
        parts = [part for shard in range(n_shards) if (part := part_path(run.folder, name, shard)).exists()]
        counts[kind] = join_tables(parts, run.folder / name, kind)
        run.note_file(name, counts[kind].rows)
    run.count(
        verdicts=counts["verdicts"].rows,
        verdicts_unscored=counts["verdicts"].unscored,
        rewards=counts["rewards"].rows,
        rewards_unscored=counts["rewards"].unscored,
        completions_failed=n_completions - counts["rewards"].rows,
    )
    run.stop_if_over_budget()


@shard_task(
    "verification",
    "verify",
    reads=(COMPLETIONS, RULE_SET),
    writes=(VERDICTS, REWARDS),
    model=lambda config: config.model,
    prompt=lambda config: None,  # it is in the rule set
)
def verify_shard(folder: Path, shard: int, config: VerifierConfig) -> ShardReport:
    """Verdicts and rewards of one shard of completions, in the order of the completions and of the rules."""
    rule_set = load_rule_set(folder / RULE_SET)
    completions = list(read_records(part_path(folder, COMPLETIONS, shard), Completion))
    backend = open_cached(config.model, config.cache, budget_of(folder, config.budget))
    rows_of: dict[str, list[int]] = {}
    for index, completion in enumerate(completions):
        rows_of.setdefault(completion.completion_id, []).append(index)
    table = VerdictTable(completions, rule_set.rules)
    rewards: list[RewardRecord | None] = [None] * len(completions)
    failures: list[Failure] = []
    n_done = 0
    for completion_id, verdicts in Verifier(backend, rule_set).verdicts(completions):
        rows = rows_of[completion_id]
        progress.advance("verification", len(verdicts) * len(rows), backend.new_counts())
        for index in rows:
            table.put(index, verdicts)
            rewards[index] = rule_reward(completions[index], verdicts, rule_set)
        failures += [verdict.failure for verdict in verdicts if verdict.failure is not None]
        n_done += sum(verdict.verdict is not None for verdict in verdicts)
    log_failures("verification", shard, failures, {one.completion_id: one.row for one in completions})
    table.write(part_path(folder, VERDICTS, shard))
    write_rewards(part_path(folder, REWARDS, shard), [r for r in rewards if r is not None], completions)
    return write_shard(folder, shard, n_done, {}, failures, backend.counts)
