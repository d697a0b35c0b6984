"""Stage 1, shard by shard: a reasoning chain for each pair."""

from pathlib import Path
from typing import Any

from autorule.backends import open_backend, open_cached
from autorule.backends.asking import ask
from autorule.backends.base import GenerateRequest
from autorule.config.runs import ExtractConfig
from autorule.extraction.interpretation import build_request, given_interpretation, orders_to_ask, parse_interpretation
from autorule.prompting import load_prompt
from autorule.records import CallCounts, Failure, Interpretation, ModelOutput, Order, PreferencePair
from autorule.runs import progress
from autorule.runs.budget import budget_of
from autorule.runs.files import INTERPRETATIONS, PAIRS, part_path, read_records
from autorule.runs.run_folder import Run
from autorule.tasks.shard_tasks import ShardReport, shard_task
from autorule.tasks.shards import run_shards, write_shard
from autorule.tasks.stage_logs import log_failures


def interpret_pairs(run: Run, config: ExtractConfig, n_shards: int) -> None:
    """Stage 1 of all shards: pairs with a chain of their own keep it, the others are asked for `n_chains`."""
    given = sum(pair.reasoning is not None for pair in read_records(run.folder / PAIRS, PreferencePair))
    per_pair = config.interpretation.n_chains * (2 if config.interpretation.both_orders else 1)
    expected = given + (run.manifest.funnel.pairs_drawn - given) * per_pair
    run.count(chains_given=given, chains_expected=expected)
    if given < expected:
        prompt = load_prompt(config.interpretation.prompt)
        run.add_model("interpretation", open_backend(config.model).identity, prompt.sha256)
    progress.announce("interpretation", expected)

    def n_results(pair: dict[str, Any]) -> int:
        return per_pair if pair["reasoning"] is None else 1

    n_failed = run_shards(
        interpret_shard, run, "interpretation", n_shards, config, config.model, PAIRS, "pair_id", n_results
    )
    run.count(chains_failed=n_failed, chains=run.join_parts(INTERPRETATIONS, n_shards))
    run.stop_if_over_budget()


@shard_task(
    "interpretation",
    "interpret",
    reads=(PAIRS,),
    writes=(INTERPRETATIONS,),
    model=lambda config: config.model,
    prompt=lambda config: config.interpretation.prompt,
)
def interpret_shard(folder: Path, shard: int, config: ExtractConfig) -> ShardReport:
    """The interpretations of one shard of pairs, in the order of the pairs."""
    pairs = list(read_records(part_path(folder, PAIRS, shard), PreferencePair))
    interpretations = {(i, 0): given_interpretation(pair) for i, pair in enumerate(pairs) if pair.reasoning is not None}
    progress.advance("interpretation", len(interpretations), CallCounts(cached=len(interpretations)))
    failures: list[Failure] = []
    calls = CallCounts()
    if len(interpretations) < len(pairs):
        prompt = load_prompt(config.interpretation.prompt)
        asked: dict[str, tuple[tuple[int, int], Order]] = {}
        requests = []
        for index, pair in enumerate(pairs):
            if pair.reasoning is not None:
                continue
            for order in orders_to_ask(pair, config.seed, config.interpretation.both_orders):
                for sample_index in range(config.interpretation.n_chains):
                    request = build_request(pair, prompt, config.interpretation, order, sample_index)
                    asked[request.request_id] = ((index, len(requests)), order)
                    requests.append(request)

        def parse(request: GenerateRequest, output: ModelOutput) -> Interpretation:
            (index, _), order = asked[request.request_id]
            return parse_interpretation(pairs[index], request, output, config.interpretation, order)

        backend = open_cached(config.model, config.cache, budget_of(folder, config.budget))
        for request, result in ask(backend, requests, parse):
            progress.advance("interpretation", calls=backend.new_counts())
            if isinstance(result, Failure):
                failures.append(result)
            else:
                interpretations[asked[request.request_id][0]] = result
        calls = backend.counts
        log_failures("interpretation", shard, failures, {key: pairs[i].row for key, ((i, _), _) in asked.items()})
    results = [interpretations[position] for position in sorted(interpretations)]
    return write_shard(folder, shard, len(results), {INTERPRETATIONS: results}, failures, calls)
