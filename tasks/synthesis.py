"""Stage 3: the candidates of all shards become one rule set."""

import logging

from autorule.backends import open_cached
from autorule.backends.text_vectors import open_vectoriser
from autorule.config.runs import ExtractConfig
from autorule.config.stages import SynthesisConfig
from autorule.errors import RunFailedError
from autorule.extraction.controls import with_control
from autorule.extraction.synthesis import (
    Dropped,
    as_dropped,
    as_rules,
    choose,
    fold,
)
from autorule.prompting import load_prompt
from autorule.records import CandidateRule, PreferencePair, Rule
from autorule.rules.linting import sets_aside
from autorule.rules.rule_sets import Provenance, RuleSet, VerificationSpec, dump_rule_set, prompt_keys
from autorule.runs.budget import budget_of
from autorule.runs.files import CANDIDATES, DROPPED, PAIRS, RULE_SET, read_records
from autorule.runs.run_folder import Run
from autorule.storage import write_text
from autorule.tasks.merging import Merger, contradictions, merge_in_rounds, merge_once, split
from autorule.tasks.stage_logs import counted
from autorule.tasks.steps import step

log = logging.getLogger(__name__)


@step("synthesize-rules")
def synthesize_rules(run: Run, config: ExtractConfig) -> RuleSet:
    """Folds and merges the candidates and writes the rule set. Raises RunFailedError when there is no rule."""
    model = config.merger or config.model
    backend = open_cached(model, config.cache, budget_of(run.folder, config.budget))
    run.add_model("synthesis", backend.identity, load_prompt(config.synthesis.prompt).sha256)
    run.add_prompts(_further_prompts(config.synthesis))
    vectorise = open_vectoriser(config.synthesis.similarity)
    merger = Merger(run, backend, config.synthesis, config.mining.max_rule_chars, vectorise)
    candidates = [c for c in read_records(run.folder / CANDIDATES, CandidateRule) if not sets_aside(c.lint)]
    drafts = fold((c for c in candidates if not c.control), config.synthesis, vectorise)
    log.info("synthesis begins: %s candidates, %s after folding", f"{len(candidates):,}", f"{len(drafts):,}")
    dropped: list[Dropped] = []
    if config.synthesis.single_merge:
        drafts, dropped = merge_once(merger, drafts)
    else:
        drafts = merge_in_rounds(merger, drafts)
    n_ties = run.manifest.funnel.ties_drawn
    n_pairs = run.manifest.funnel.pairs_drawn - n_ties
    if config.synthesis.split_compound:
        drafts = split(merger, drafts, n_pairs)
    kept, left = choose(drafts, config.synthesis, n_pairs)
    rules = as_rules(kept, contradictions(merger, kept) if config.synthesis.find_contradictions else ())
    if n_ties:
        rules = with_control(rules, candidates, n_pairs, n_ties, vectorise)
    return _write(run, config, rules, [*dropped, *left])


def _further_prompts(config: SynthesisConfig) -> dict[str, str]:
    """Name -> sha256 of the prompts besides that of the merge."""
    used = {
        "synthesis_review": config.review_prompt if config.review and not config.single_merge else None,
        "synthesis_split": config.split_prompt if config.split_compound else None,
        "synthesis_contradictions": config.contradiction_prompt if config.find_contradictions else None,
        "ask_again": "ask_again",
    }
    return {name: load_prompt(prompt).sha256 for name, prompt in used.items() if prompt}


def _write(run: Run, config: ExtractConfig, rules: list[Rule], left: list[Dropped]) -> RuleSet:
    dropped = as_dropped(left, rules)
    behind = {candidate_id for rule in rules for candidate_id in rule.candidate_ids}
    run.write(DROPPED, dropped)
    run.count(rules=len(rules), candidates_in_rules=len(behind), candidates_dropped=len(dropped))
    if not rules:
        funnel = run.manifest.funnel
        raise RunFailedError(
            f"no rule came out: {funnel.candidates} candidates, {funnel.candidates_set_aside} of them set aside "
            f"(see {CANDIDATES}), {len(dropped)} dropped (see {DROPPED} in {run.folder})"
        )
    rule_set = RuleSet(
        rules=tuple(rules),
        verification=VerificationSpec.from_config(config.verification, load_prompt(config.verification.prompt_name)),
        reward=config.reward,
        provenance=(_provenance(run, config),),
    )
    write_text(run.folder / RULE_SET, dump_rule_set(rule_set))
    log.info("synthesis ends: %s", counted(len(rules), "rule"))
    return rule_set


def _provenance(run: Run, config: ExtractConfig) -> Provenance:
    hashes = {key for pair in read_records(run.folder / PAIRS, PreferencePair) for key in prompt_keys(pair.prompt)}
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
