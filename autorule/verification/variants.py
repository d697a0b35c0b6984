"""Other ways to ask a verifier the same, to see which verdicts change with them."""

from collections.abc import Iterator

from autorule.prompting import load_prompt
from autorule.rules.rule_sets import VerificationSpec

PARAPHRASES = ("verification_paraphrase_1", "verification_paraphrase_2")
REPEAT_TEMPERATURE = 0.6


def variants(spec: VerificationSpec) -> Iterator[tuple[str, VerificationSpec]]:
    """(what is changed, how to verify): paraphrases of the question, a repeat where answers are drawn, the order of
    the choices where the prompt shows them."""
    if spec.mode == "direct":
        for name in PARAPHRASES:
            prompt = load_prompt(name)
            yield f"paraphrase {name[-1]}", spec.model_copy(update={"prompt": prompt, "prompt_sha256": prompt.sha256})
    if spec.mode == "reasoned":
        warm = spec.sampling.model_copy(update={"temperature": REPEAT_TEMPERATURE, "seed": 1})
        yield "repeat", spec.model_copy(update={"sampling": warm})
    if "{choices}" in spec.prompt.text:  # else there is no order to change
        yield "choice order", spec.model_copy(update={"choices": tuple(reversed(spec.choices))})
