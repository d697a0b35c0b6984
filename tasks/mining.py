"""Stage 2, shard by shard: candidate rules from each chain."""

from pathlib import Path

from autorule.backends import open_backend, open_cached
from autorule.backends.asking import ask
from autorule.backends.base import GenerateRequest
from autorule.config.models import ModelConfig
from autorule.config.runs import ExtractConfig
from autorule.errors import ParseError
from autorule.extraction.mining import build_request, candidates_from, is_cut, parse_rules
from autorule.prompting import load_prompt, render_messages
from autorule.records import (
    CallCounts,
    CandidateRule,
    ChainCheck,
    Failure,
    Interpretation,
    ModelOutput,
    PreferencePair,
)
from autorule.rules.linting import sets_aside
from autorule.runs import progress
from autorule.runs.budget import budget_of
from autorule.runs.files import CANDIDATES, CHECKS, INTERPRETATIONS, PAIRS, part_path, read_records
from autorule.runs.run_folder import Run
from autorule.tasks.shard_tasks import ShardReport, shard_task
from autorule.tasks.shards import run_shards, write_shard
from autorule.tasks.stage_logs import log_failures


def mine_rules(run: Run, config: ExtractConfig, n_shards: int) -> None:
    """Stage 2 of all shards."""
    backend = open_backend(_model(config))
    run.add_model("mining", backend.identity, load_prompt(config.mining.prompt).sha256)
    funnel = run.manifest.funnel
    left_out = funnel.chains_contradicted + funnel.chains_unclear if _leaves_out(config) else 0
    chains = funnel.chains - left_out
    progress.announce("mining", chains)
    n_failed = run_shards(
        mine_shard, run, "mining", n_shards, config, _model(config), INTERPRETATIONS, "interpretation_id"
    )
    n_candidates = run.join_parts(CANDIDATES, n_shards)
    set_aside = of_ties = lists_cut = 0
    for candidate in read_records(run.folder / CANDIDATES, CandidateRule):
        lists_cut += "list_cut" in candidate.lint
        if sets_aside(candidate.lint):
            set_aside += 1
        elif candidate.control:
            of_ties += 1
    run.count(
        chains_left_out=left_out,
        chains_mined=chains - n_failed,
        mining_failed=n_failed,
        candidates=n_candidates,
        candidates_set_aside=set_aside,
        candidates_of_ties=of_ties,
        lists_cut=lists_cut,
    )
    run.stop_if_over_budget()


def _model(config: ExtractConfig) -> ModelConfig:
    return config.extractor or config.model


@shard_task(
    "mining",
    "mine",
    reads=(PAIRS, INTERPRETATIONS, CHECKS),
    writes=(CANDIDATES,),
    model=_model,
    prompt=lambda config: config.mining.prompt,
)
def mine_shard(folder: Path, shard: int, config: ExtractConfig) -> ShardReport:
    """The candidate rules of one shard of interpretations, in the order of the interpretations."""
    part = part_path(folder, INTERPRETATIONS, shard)
    if not part.exists():  # its interpretation failed as a whole, and is counted there
        return write_shard(folder, shard, 0, {CANDIDATES: []}, [], CallCounts())
    pairs = {pair.row: pair for pair in read_records(part_path(folder, PAIRS, shard), PreferencePair)}
    left_out = _left_out(folder, shard) if _leaves_out(config) else frozenset()
    interpretations = {
        i.interpretation_id: i for i in read_records(part, Interpretation) if i.interpretation_id not in left_out
    }
    prompt = load_prompt(config.mining.prompt)
    requests, failures = [], []
    for interpretation in interpretations.values():
        try:
            requests.append(build_request(interpretation, prompt, config.mining))
        except ParseError as error:
            item_id = interpretation.interpretation_id
            failures.append(Failure(stage="mining", kind="parse", message=str(error), item_id=item_id))

    def parse(request: GenerateRequest, output: ModelOutput) -> tuple[list[str], bool]:
        return parse_rules(request, output), is_cut(request, output)

    backend = open_cached(_model(config), config.cache, budget_of(folder, config.budget))
    candidates: dict[str, list[CandidateRule]] = {}
    for request, result in ask(backend, requests, parse, config.mining.asks):
        progress.advance("mining", calls=backend.new_counts())
        if isinstance(result, Failure):
            failures.append(result)
        else:
            interpretation = interpretations[request.request_id]
            pair = pairs[interpretation.row]
            asked = render_messages(pair.prompt)
            rules, cut = result
            found = candidates_from(interpretation, rules, prompt, config.mining, asked, pair.tie, cut)
            candidates[request.request_id] = found
    log_failures("mining", shard, failures, {key: chain.row for key, chain in interpretations.items()})
    results = [candidate for key in interpretations for candidate in candidates.get(key, ())]
    return write_shard(folder, shard, len(candidates), {CANDIDATES: results}, failures, backend.counts)


def _leaves_out(config: ExtractConfig) -> bool:
    return config.interpretation.check_chains == "leave_out"


def _left_out(folder: Path, shard: int) -> frozenset[str]:
    """The chains of a shard that the blind check did not confirm. One whose check failed stays in."""
    part = part_path(folder, CHECKS, shard)
    checks = read_records(part, ChainCheck) if part.exists() else ()
    return frozenset(check.interpretation_id for check in checks if check.result != "confirmed")
