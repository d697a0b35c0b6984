"""Stage 3: the candidates of all shards become one rule set."""

from autorule import progress
from autorule.asking import ask
from autorule.backends import open_cached
from autorule.backends.base import GenerateRequest
from autorule.backends.cached import CachedBackend
from autorule.config import ExtractConfig
from autorule.errors import RunFailedError
from autorule.prompting import Prompt, load_prompt
from autorule.records import CandidateRule, Failure, ModelOutput, PreferencePair
from autorule.rule_sets import Provenance, RuleSet, VerificationSpec, dump_rule_set, prompt_hash
from autorule.run_folder import CANDIDATES, DROPPED, PAIRS, RULE_SET, Run, read_records, write_text
from autorule.synthesis import (
    Draft,
    Merged,
    after_round,
    apply_merge,
    build_request,
    finish,
    fold,
    merge_groups,
    parse_merge,
)
from autorule.tasks.steps import step


@step("synthesize-rules")
def synthesize_rules(run: Run, config: ExtractConfig) -> RuleSet:
    """Folds and merges the candidates and writes the rule set. Raises RunFailedError when there is no rule."""
    prompt = load_prompt(config.synthesis.prompt)
    backend = open_cached(config.merger or config.model, config.cache)
    run.add_model("synthesis", backend.identity, prompt.sha256)
    drafts = fold((c for c in read_records(run.folder / CANDIDATES, CandidateRule) if not c.lint), config.synthesis)
    for round_index in range(config.synthesis.merge_rounds):
        if round_index > 0 and len(drafts) <= config.synthesis.max_rules:
            break
        drafts = _merge_round(run, config, prompt, backend, drafts, round_index)
    run.add_usage("synthesis", backend.counts)
    rules, dropped = finish(drafts, config.synthesis)
    behind = {candidate_id for rule in rules for candidate_id in rule.candidate_ids}
    run.write(DROPPED, dropped)
    run.count(rules=len(rules), candidates_in_rules=len(behind), candidates_dropped=len(dropped))
    if not rules:
        funnel = run.manifest.funnel
        raise RunFailedError(
            f"no rule came out: {funnel.candidates} candidates, {funnel.candidates_set_aside} of them set aside "
            f"(see {CANDIDATES} in {run.folder})"
        )
    rule_set = RuleSet(
        rules=tuple(rules),
        verification=VerificationSpec.from_config(config.verification, load_prompt(config.verification.prompt)),
        reward=config.reward,
        provenance=(_provenance(run, config),),
    )
    write_text(run.folder / RULE_SET, dump_rule_set(rule_set))
    return rule_set


def _merge_round(
    run: Run, config: ExtractConfig, prompt: Prompt, backend: CachedBackend, drafts: list[Draft], round_index: int
) -> list[Draft]:
    """One round of merges. The members of a merge that failed stay as they were."""
    groups = {}
    for group in merge_groups(drafts, config.synthesis, round_index):
        request = build_request(group, prompt, config.synthesis)
        groups[request.request_id] = (request, group)

    def parse(request: GenerateRequest, output: ModelOutput) -> list[Merged]:
        return parse_merge(request, output, len(groups[request.request_id][1]))

    progress.announce("synthesis", len(groups))
    merged: dict[str, list[Draft]] = {}
    failures = []
    for request, result in ask(backend, [request for request, _ in groups.values()], parse, config.synthesis.asks):
        progress.advance("synthesis")
        if isinstance(result, Failure):
            failures.append(result)
        else:
            group = groups[request.request_id][1]
            merged[request.request_id] = apply_merge(group, result, prompt, config.mining.max_rule_chars)
    run.add_failures(failures)
    run.count(merges_failed=len(failures))
    return after_round(drafts, {key: group for key, (_, group) in groups.items()}, merged)


def _provenance(run: Run, config: ExtractConfig) -> Provenance:
    hashes = {prompt_hash(pair.prompt) for pair in read_records(run.folder / PAIRS, PreferencePair)}
    return Provenance(
        models=dict(run.manifest.models),
        prompts=dict(run.manifest.prompts),
        sampling={
            "interpretation": config.interpretation.sampling,
            "mining": config.mining.sampling,
            "synthesis": config.synthesis.sampling,
        },
        seed=config.seed,
        extract_from=config.mining.extract_from,
        n_pairs=run.manifest.funnel.pairs_drawn,
        n_candidates=run.manifest.funnel.candidates,
        prompt_hashes=tuple(sorted(hashes)),
    )
