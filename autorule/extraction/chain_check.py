"""The blind check of a chain: does somebody who does not know the label find it from the chain?

The chain is shown with the names of the sides masked, beside both responses in an order drawn anew. A chain that leads
to the other response, or to none, explains its label badly: it is marked, and may be left out of mining.
"""

import re

from autorule.backends.answer_text import check_is_whole, json_values, whole_answer
from autorule.backends.base import GenerateRequest
from autorule.config.stages import InterpretationConfig, Sampling
from autorule.errors import ParseError
from autorule.preferences.sampling import draw
from autorule.prompting import Prompt, fence_for, render_messages, trim_middle
from autorule.records import ChainCheck, Interpretation, ModelOutput, PreferencePair

MASK = "[one of them]"
MAX_CHAIN_CHARS = 24_000
WINNER_SCHEMA = {
    "type": "object",
    "properties": {"winner": {"type": "integer", "enum": [0, 1, 2]}},
    "required": ["winner"],
    "additionalProperties": False,
}
_KIND = r"(?:response|assistant|answer|output|completion|model|option|candidate|text|reply)"
_VERB = (
    r"(?:is|was|has|had|does|did|gave|also|and|or|vs|over|better|worse|can|could|should|would|must|correctly|clearly|actually|"
    r"directly|simply|only|just|still|follows|answers|shows|uses|keeps|makes|says|states|gets|goes|stays|adds|takes|"
    r"reads|(?:give|provide|win|lack|include|offer|explain|address|contain|mention|cover|describe|respond|present|miss|"
    r"fail|seem|feel|sound|list|write|begin|end)(?:e?s))"
)
_NAMES = re.compile(
    rf"\b(?i:{_KIND})s?(?:'s)?\s+[AaBb12]\b"  # Response A, assistant 2
    r"|(?<=[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3])\s?[AB](?![A-Za-z0-9])"  # 回答A
    r"|\[\[[^\]]{1,12}\]\]|\b[AB]\s*[<>=≫≪]{1,3}\s*[AB]\b"  # [[A>B]]
    rf"|\b(?i:the\s+)?(?i:chosen|rejected|(?:dis)?preferred|winning|losing|first|second|former|latter)\s+(?i:{_KIND}|one)s?\b"
    rf"|\bB\b|\bA\b(?=\s+{_VERB}\b|['’]s\b|\s*[.,:;)\]>=]|\s*$)",  # a bare letter that is no article
    re.MULTILINE,
)


def mask_sides(chain: str) -> str:
    """The chain without the names of the responses."""
    return _NAMES.sub(MASK, chain)


def chosen_is_first(interpretation: Interpretation, seed: int) -> bool:
    """Whether the chosen response is shown as number 1: drawn apart from the order that the chain's author saw."""
    return draw(seed, "check", interpretation.interpretation_id) % 2 == 0


def build_request(
    pair: PreferencePair, interpretation: Interpretation, prompt: Prompt, config: InterpretationConfig, seed: int
) -> GenerateRequest:
    """The question which response a chain speaks for. `prompt` shows {prompt}, {response_one},
    {response_two} and {chain}. The answer is one number: the budget is that of a chain for the thinking before it."""
    responses = [trim_middle(render_messages(r), config.max_response_chars).text for r in (pair.chosen, pair.rejected)]
    if not chosen_is_first(interpretation, seed):
        responses.reverse()
    values = {
        "prompt": render_messages(pair.prompt),
        "response_one": responses[0],
        "response_two": responses[1],
        "chain": mask_sides(trim_middle(interpretation.chain, MAX_CHAIN_CHARS).text),
    }
    return GenerateRequest(
        request_id=interpretation.interpretation_id,
        stage="chain_check",
        messages=prompt.render(values, {"fence": fence_for(values.values())}),
        sampling=Sampling(max_tokens=config.sampling.max_tokens, seed=config.sampling.seed),
        json_schema=WINNER_SCHEMA,
        prompt_sha256=prompt.sha256,
    )


def parse_check(interpretation: Interpretation, request: GenerateRequest, output: ModelOutput, seed: int) -> ChainCheck:
    """Whether the named winner is the chosen response. Raises ParseError when none is named, not even 0, and for an
    answer that was cut off."""
    text = whole_answer(request.messages, output.text)
    check_is_whole(output, text)
    winners = [value["winner"] for value in json_values(text) if isinstance(value, dict) and "winner" in value]
    winner = winners[-1] if winners else text.strip(" .\n")
    if str(winner) not in ("0", "1", "2") or isinstance(winner, bool):
        raise ParseError(f"no winner 0, 1 or 2 in the answer: {output.text[:80]!r}")
    chosen = "1" if chosen_is_first(interpretation, seed) else "2"
    return ChainCheck(
        interpretation_id=interpretation.interpretation_id,
        result="unclear" if str(winner) == "0" else "confirmed" if str(winner) == chosen else "contradicted",
    )
