"""A dry run: reads and draws the pairs as extraction would, looks into the cache, and sends nothing.

Stages 1 and 2 are counted request by request as far as the cache knows the chains; what depends on answers that do not
exist yet is estimated, and each figure says so.
"""

from collections.abc import Iterator
from itertools import islice

from autorule.backends import open_cached
from autorule.backends.base import GenerateRequest
from autorule.backends.cached import CachedBackend
from autorule.backends.token_estimate import estimate_message_tokens, estimate_tokens
from autorule.config.models import CacheConfig, ModelConfig
from autorule.config.runs import ExtractConfig
from autorule.errors import ParseError
from autorule.extraction.chain_check import build_request as build_check_request
from autorule.extraction.interpretation import build_request, given_interpretation, orders_to_ask, parse_interpretation
from autorule.extraction.mining import build_request as build_mining_request
from autorule.extraction.mining import parse_rules
from autorule.preferences.reading import read_pairs
from autorule.prompting import load_prompt, render_messages
from autorule.records import Interpretation, ModelOutput, PreferencePair
from autorule.runs.forecast import StageForecast, Tally, sum_of
from autorule.tasks.preparation import check_before_extraction, drawn_pairs, held_out_fields

CHAIN_TOKENS = 1500
"""Of a reasoning model about one pair, where nothing is known yet."""
RULES_PER_CHAIN = 4
TOKENS_PER_RULE = 25
CHECK_TOKENS = 400
CANDIDATES_PER_MERGE_CALL = 18
"""Over all rounds; 5,400 candidates of 40 rules took 290 calls."""
PAIRS_AT_ONCE = 256


def forecast_extraction(config: ExtractConfig) -> list[StageForecast]:
    """The calls of each stage, those of all repeats together. Raises what would end the run before it begins (a bad
    file, prompt, key or server)."""
    check_before_extraction(config)
    seeds = range(config.seed, config.seed + config.repeats)
    runs = [_forecast(config.with_seed(seed, f"seed{seed}")) for seed in seeds]
    return [sum_of(forecasts) for forecasts in zip(*runs, strict=True)]


def _forecast(config: ExtractConfig) -> list[StageForecast]:
    extractor = config.extractor or config.model
    interpreting = Tally("interpretation", config.model, min(config.interpretation.sampling.max_tokens, CHAIN_TOKENS))
    answer_tokens = RULES_PER_CHAIN * TOKENS_PER_RULE
    mining = Tally("mining", extractor, min(config.mining.sampling.max_tokens, answer_tokens))
    checking = Tally("chain_check", config.model, CHECK_TOKENS)
    n_candidates = 0
    pairs = drawn_pairs(config)
    known_rules = _KnownRules()
    while block := list(islice(pairs, PAIRS_AT_ONCE)):
        for pair, chain, prompt_tokens in _chains(block, config, interpreting):
            if config.interpretation.check_chains != "off" and not pair.tie:
                _check(pair, chain, prompt_tokens, config, interpreting, checking)
            n_candidates += _mine(chain, config, interpreting, mining, known_rules)
    forecasts = [
        interpreting.forecast(),
        *([checking.forecast()] if config.interpretation.check_chains != "off" else []),
    ]
    forecasts += [mining.forecast(), _synthesis(config, n_candidates)]
    return [*forecasts, *([_verification(config)] if config.held_out else [])]


class _KnownRules:
    """How many rules the chains gave whose mining is in the cache."""

    def __init__(self) -> None:
        self.chains = self.rules = 0

    @property
    def per_chain(self) -> float:
        return self.rules / self.chains if self.chains else RULES_PER_CHAIN


def _chains(
    pairs: list[PreferencePair], config: ExtractConfig, tally: Tally
) -> Iterator[tuple[PreferencePair, Interpretation | None, int]]:
    """(pair, chain where it is known, prompt tokens of the pair) for each chain of these pairs."""
    prompt = load_prompt(config.interpretation.prompt)
    settings = config.interpretation
    asked: list[tuple[PreferencePair, GenerateRequest]] = []
    for pair in pairs:
        if pair.reasoning is not None:
            yield pair, given_interpretation(pair), estimate_tokens(render_messages((*pair.prompt, *pair.chosen)))
            continue
        for order in orders_to_ask(pair, config.seed, settings.both_orders):
            for sample_index in range(settings.n_chains):
                asked.append((pair, build_request(pair, prompt, settings, order, sample_index)))
    answers = _known(config.model, config.cache, [request for _, request in asked])
    for pair, request in asked:
        tokens = estimate_message_tokens(request.messages)
        chain = None
        if (output := answers.get(request.request_id)) is not None:
            try:
                chain = parse_interpretation(pair, request, output, settings, "chosen_first")
            except ParseError:
                output = None
        if chain is None or output is None:
            tally.add_calls(tokens)
        else:
            tally.add_known(output.usage.completion_tokens or estimate_tokens(chain.chain + chain.answer))
        yield pair, chain, tokens


def _check(
    pair: PreferencePair,
    chain: Interpretation | None,
    prompt_tokens: int,
    config: ExtractConfig,
    interpreting: Tally,
    tally: Tally,
) -> None:
    """Counts the blind check of one chain."""
    if chain is None:
        tally.add_calls(prompt_tokens + interpreting.completion_tokens_per_call)
        return
    prompt = load_prompt(config.interpretation.check_prompt)
    request = build_check_request(pair, chain, prompt, config.interpretation, config.seed)
    output = _known(config.model, config.cache, [request]).get(request.request_id)
    if output is None:
        tally.add_calls(estimate_message_tokens(request.messages))
    else:
        tally.add_known(output.usage.completion_tokens or estimate_tokens(output.text))


def _mine(
    chain: Interpretation | None, config: ExtractConfig, interpreting: Tally, tally: Tally, known: _KnownRules
) -> int:
    """Counts the mining call of one chain; how many candidates it gives or may give."""
    prompt = load_prompt(config.mining.prompt)
    if chain is None:
        tally.add_calls(estimate_tokens(prompt.text) + interpreting.completion_tokens_per_call)
        return round(known.per_chain)
    try:
        request = build_mining_request(chain, prompt, config.mining)
    except ParseError:
        return 0  # nothing to mine: the run will note it as a failure
    output = _known(config.extractor or config.model, config.cache, [request]).get(request.request_id)
    if output is not None:
        try:
            rules = parse_rules(request, output)
        except ParseError:
            pass
        else:
            tally.add_known(output.usage.completion_tokens or estimate_tokens(output.text))
            known.chains, known.rules = known.chains + 1, known.rules + len(rules)
            return len(rules)
    tally.add_calls(estimate_message_tokens(request.messages))
    return round(known.per_chain)


def _synthesis(config: ExtractConfig, n_candidates: int) -> StageForecast:
    merger = config.merger or config.model
    remark = f"about {n_candidates:,} candidates, {TOKENS_PER_RULE} tokens each; a rough figure"
    n_calls = 1 if config.synthesis.single_merge else -(-n_candidates // CANDIDATES_PER_MERGE_CALL)
    list_tokens = n_candidates * TOKENS_PER_RULE * (1 if config.synthesis.single_merge else 2)
    tally = Tally("synthesis", merger, round(list_tokens / max(1, n_calls)))
    overhead = estimate_tokens(load_prompt(config.synthesis.prompt).text)
    tally.add_calls(list_tokens + n_calls * overhead, n_calls)
    return tally.forecast(remark + "; what the cache holds is not looked up")


def _verification(config: ExtractConfig) -> StageForecast:
    assert config.held_out is not None
    n_rules = config.synthesis.max_rules or 50
    tally = Tally("verification", config.verifier or config.model, 1)
    overhead = estimate_tokens(load_prompt(config.verification.prompt_name).text) + TOKENS_PER_RULE
    for pair in read_pairs(config.held_out, held_out_fields(config)):
        if isinstance(pair, PreferencePair):
            for side in (pair.chosen, pair.rejected):
                tokens = min(
                    estimate_tokens(render_messages((*pair.prompt, *side))),
                    config.verification.max_conversation_chars // 4,
                )
                tally.add_calls(n_rules * (tokens + overhead), n_rules)
    return tally.forecast(
        f"{n_rules} rules, the most there can be; rules share the conversation, so prefix caching computes far less"
    )


def _known(model: ModelConfig, cache: CacheConfig, requests: list[GenerateRequest]) -> dict[str, ModelOutput]:
    """Request id -> answer in the cache. No cache file is made where there is none."""
    if not requests or not cache.enabled or not cache.file.exists():
        return {}
    backend: CachedBackend = open_cached(model, cache)
    return backend.known(requests)
