"""A dry run of an evaluation: reads and draws the pairs as it would, and sends nothing. What the cache holds is not
looked up."""

from collections.abc import Iterable

from autorule.backends.token_estimate import estimate_tokens
from autorule.evaluation.config import EvaluateConfig
from autorule.prompting import render_messages
from autorule.records import PreferencePair, Rule
from autorule.rules.rule_sets import RuleSet
from autorule.runs.forecast import StageForecast, Tally
from autorule.tasks.evaluation import HeldOutPairs, check_before_evaluation
from autorule.verification.variants import variants

WRITTEN_TOKENS = 300
"""Of a verdict after free text, where nothing is known yet."""


def forecast_evaluation(config: EvaluateConfig) -> list[StageForecast]:
    """The calls for the verdicts, and those for what they are compared with. Raises what would end the run before it
    begins."""
    rule_set = check_before_evaluation(config)
    held_out = HeldOutPairs(config, rule_set)
    pairs = list(held_out)
    held_out.check()
    answer_tokens = 1 if rule_set.verification.mode == "direct" else WRITTEN_TOKENS
    verdicts = Tally("verification", config.model, answer_tokens)
    once = Tally("evaluation", config.model, 1)  # asked about both, the verifier chooses in every mode
    beside = Tally("evaluation", config.model, answer_tokens)
    for tokens in _conversations(pairs, rule_set):
        verdicts.add_calls(*_questions(tokens, rule_set))
    if config.one_call:
        for pair in pairs:
            texts = estimate_tokens(render_messages((*pair.prompt, *pair.chosen, *pair.rejected)))
            once.add_calls(2 * texts, 2)
    n_variants = len(list(variants(rule_set.verification)))
    sample = list(_conversations(pairs, rule_set))[: config.flip_sample]
    for tokens in sample:
        prompt_tokens, n_calls = _questions(tokens, rule_set)
        beside.add_calls(n_variants * prompt_tokens, n_variants * n_calls)
    remark = f"{len(pairs)} pairs, {len(_asked(rule_set))} rules that the verifier is asked about"
    forecasts = [verdicts.forecast(f"{remark}; rules share the conversation, so prefix caching computes far less")]
    if config.one_call:
        forecasts.append(once.forecast("one call about both responses, in both orders"))
    if sample:
        forecasts.append(beside.forecast(f"{len(sample)} completions in {n_variants} other wordings"))
    return [forecast.model_copy(update={"cached": None}) for forecast in forecasts]


def _asked(rule_set: RuleSet) -> list[Rule]:
    """The rules that code does not decide."""
    return [rule for rule in rule_set.rules if rule.check is None]


def _conversations(pairs: Iterable[PreferencePair], rule_set: RuleSet) -> Iterable[int]:
    """Tokens of both sides of each pair, as far as they are shown."""
    most = rule_set.verification.max_conversation_chars // 4
    for pair in pairs:
        for side in (pair.chosen, pair.rejected):
            yield min(estimate_tokens(render_messages((*pair.prompt, *side))), most)


def _questions(conversation_tokens: int, rule_set: RuleSet) -> tuple[int, int]:
    """(prompt tokens, calls) of all questions about one completion."""
    asked, overhead = _asked(rule_set), estimate_tokens(rule_set.verification.prompt.text)
    rule_tokens = sum(estimate_tokens(rule.text) for rule in asked)
    n_calls = min(1, len(asked)) if rule_set.verification.mode == "joint" else len(asked)
    return n_calls * (conversation_tokens + overhead) + rule_tokens, n_calls
