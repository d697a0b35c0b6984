"""Stage 4, shard by shard: a verdict for every rule on every completion, and the rewards."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from autorule import progress
from autorule.backends import open_backend, open_cached
from autorule.budget import budget_of
from autorule.config import BudgetConfig, CacheConfig, ModelConfig, RunConfig
from autorule.records import Completion, RewardRecord, Verdict
from autorule.rewards.rule_reward import rule_reward
from autorule.rule_sets import RuleSet, load_rule_set
from autorule.run_folder import REWARDS, RULE_SET, VERDICTS, Run, part_path, read_records
from autorule.stage_config import Config
from autorule.tasks.preparation import COMPLETIONS
from autorule.tasks.shards import ShardReport, run_shards, write_shard
from autorule.verification import build_request, read_verdict


class VerifierConfig(Config):
    """What a shard needs to know: the verifier and the cache. The rule set stands in the run folder."""

    model: ModelConfig
    cache: CacheConfig
    budget: BudgetConfig


def verify_completions(run: Run, rule_set: RuleSet, verifier: ModelConfig, config: RunConfig, n_shards: int) -> None:
    """Stage 4 of all shards, against the rule set in the run folder."""
    run.add_model("verification", open_backend(verifier).identity, rule_set.verification.prompt_sha256)
    progress.announce("verification", run.manifest.funnel.completions * len(rule_set.rules))
    settings = VerifierConfig(model=verifier, cache=config.cache, budget=config.budget)
    run_shards(verify_shard, run, "verification", n_shards, settings, COMPLETIONS, "completion_id")
    n_verdicts = run.join_parts(VERDICTS, n_shards)
    n_rewards = run.join_parts(REWARDS, n_shards)
    run.count(
        verdicts=n_verdicts,
        verdicts_unscored=sum(v.verdict is None for v in read_records(run.folder / VERDICTS, Verdict)),
        rewards=n_rewards,
        rewards_unscored=sum(r.reward is None for r in read_records(run.folder / REWARDS, RewardRecord)),
        completions_failed=run.manifest.funnel.completions - n_rewards,
    )
    run.stop_if_over_budget()


@task(name="verify-shard", task_run_name="verify-{shard}", cache_policy=NO_CACHE)
def verify_shard(folder: Path, shard: int, config: VerifierConfig) -> ShardReport:
    """Verdicts and rewards of one shard of completions, in the order of the completions and of the rules."""
    rule_set = load_rule_set(folder / RULE_SET)
    completions = list(read_records(part_path(folder, COMPLETIONS, shard), Completion))
    distinct = {completion.completion_id: completion for completion in completions}
    backend = open_cached(config.model, config.cache, budget_of(folder, config.budget))
    verdicts: dict[tuple[str, str], Verdict] = {}
    requests = [build_request(completion, rule_set) for completion in distinct.values()]
    for request, question, result in backend.score_choices(requests):
        progress.advance("verification")
        verdict = read_verdict(distinct[request.request_id], question.question_id, result, rule_set.verification)
        verdicts[request.request_id, question.question_id] = verdict
    rows: list[BaseModel] = []
    rewards: list[BaseModel] = []
    for completion in completions:
        own = [verdicts[completion.completion_id, rule.rule_id] for rule in rule_set.rules]
        rows += own
        rewards.append(rule_reward(completion, own, rule_set))
    failures = [verdict.failure for verdict in verdicts.values() if verdict.failure is not None]
    n_done = sum(verdict.verdict is not None for verdict in verdicts.values())
    return write_shard(folder, shard, n_done, {VERDICTS: rows, REWARDS: rewards}, failures, backend.counts)
