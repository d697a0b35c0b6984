"""The blind check of the chains, shard by shard, between stages 1 and 2."""

from collections import Counter
from pathlib import Path

from autorule.backends import open_backend, open_cached
from autorule.backends.asking import ask
from autorule.backends.base import GenerateRequest
from autorule.config.runs import ExtractConfig
from autorule.extraction.chain_check import build_request, parse_check
from autorule.prompting import load_prompt
from autorule.records import CallCounts, ChainCheck, Failure, Interpretation, ModelOutput, PreferencePair
from autorule.runs import progress
from autorule.runs.budget import budget_of
from autorule.runs.files import CHECKS, INTERPRETATIONS, PAIRS, part_path, read_records
from autorule.runs.run_folder import Run
from autorule.tasks.shard_tasks import ShardReport, shard_task
from autorule.tasks.shards import run_shards, write_shard
from autorule.tasks.stage_logs import log_failures

ASKS = 2


def check_chains(run: Run, config: ExtractConfig, n_shards: int) -> None:
    """Asks for the winner of every chain, without its label; ties have none and are left alone."""
    prompt = load_prompt(config.interpretation.check_prompt)
    run.add_model("chain_check", open_backend(config.model).identity, prompt.sha256)
    progress.announce("chain_check", run.manifest.funnel.chains)
    n_failed = run_shards(
        check_shard,
        run,
        "chain_check",
        n_shards,
        config,
        config.model,
        INTERPRETATIONS,
        "interpretation_id",
        required=config.interpretation.check_chains == "leave_out",  # a mark that is missing costs no rule
    )
    n_checked = run.join_parts(CHECKS, n_shards)
    results = Counter(check.result for check in read_records(run.folder / CHECKS, ChainCheck))
    run.count(
        chains_checked=n_checked,
        chains_contradicted=results["contradicted"],
        chains_unclear=results["unclear"],
        checks_failed=n_failed,
    )
    run.stop_if_over_budget()


@shard_task(
    "chain_check",
    "check",
    reads=(PAIRS, INTERPRETATIONS),
    writes=(CHECKS,),
    model=lambda config: config.model,
    prompt=lambda config: config.interpretation.check_prompt,
)
def check_shard(folder: Path, shard: int, config: ExtractConfig) -> ShardReport:
    """The checks of one shard of interpretations, in their order."""
    part = part_path(folder, INTERPRETATIONS, shard)
    if not part.exists():  # its interpretation failed as a whole, and is counted there
        return write_shard(folder, shard, 0, {CHECKS: []}, [], CallCounts())
    pairs = {p.row: p for p in read_records(part_path(folder, PAIRS, shard), PreferencePair) if not p.tie}
    chains = {i.interpretation_id: i for i in read_records(part, Interpretation) if i.row in pairs}
    prompt = load_prompt(config.interpretation.check_prompt)
    settings, seed = config.interpretation, config.seed
    requests = [build_request(pairs[chain.row], chain, prompt, settings, seed) for chain in chains.values()]

    def parse(request: GenerateRequest, output: ModelOutput) -> ChainCheck:
        return parse_check(chains[request.request_id], request, output, seed)

    backend = open_cached(config.model, config.cache, budget_of(folder, config.budget))
    checks: dict[str, ChainCheck] = {}
    failures = []
    for request, result in ask(backend, requests, parse, ASKS):
        progress.advance("chain_check", calls=backend.new_counts())
        if isinstance(result, Failure):
            failures.append(result)
        else:
            checks[request.request_id] = result
    log_failures("chain_check", shard, failures, {key: chain.row for key, chain in chains.items()})
    results = [checks[key] for key in chains if key in checks]
    return write_shard(folder, shard, len(results), {CHECKS: results}, failures, backend.counts)
