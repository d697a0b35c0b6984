"""Verification that the cache answers: `python benchmarks/cached_verification.py`, 2,000 completions by 25 rules.

The first pass asks a scripted verifier that answers at once, and commits each answer; the second finds them all. Both
end in the table of verdicts and the rewards.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from autorule.backends.answer_store import AnswerStore
from autorule.backends.cached import CachedBackend
from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import RewardConfig, VerificationConfig
from autorule.preferences.completions import completion_id
from autorule.prompting import load_prompt
from autorule.records import Completion, Message, Rule
from autorule.rewards.rule_reward import rule_reward
from autorule.rules.rule_sets import RuleSet, VerificationSpec
from autorule.verification.verdict_tables import VerdictTable
from autorule.verification.verifier import Verifier

RESULTS = Path(__file__).parent / "results" / "cached_verification.json"
N_COMPLETIONS, N_RULES, ROUNDS = 2000, 25, 5


def main() -> None:
    completions = [make_completion(i) for i in range(N_COMPLETIONS)]
    rule_set = make_rule_set()
    with tempfile.TemporaryDirectory() as name:
        store = AnswerStore(Path(name) / "answers.sqlite")
        asked = run(CachedBackend(make_verifier(), store), rule_set, completions, Path(name))
        cached = [run(CachedBackend(make_verifier(), store), rule_set, completions, Path(name)) for _ in range(ROUNDS)]
    assert asked["cached"] == 0 and all(found["sent"] == 0 for found in cached)
    report = {
        "verdicts": N_COMPLETIONS * N_RULES,
        "asked_verdicts_per_s": asked["rate"],
        "cached_verdicts_per_s": statistics.median(found["rate"] for found in cached),
    }
    print(json.dumps(report, indent=2))
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


def run(backend: CachedBackend, rule_set: RuleSet, completions: list[Completion], folder: Path) -> dict[str, float]:
    begun = time.perf_counter()
    table = VerdictTable(completions, rule_set.rules)
    row_of = {completion.completion_id: row for row, completion in enumerate(completions)}
    for key, verdicts in Verifier(backend, rule_set).verdicts(completions):
        table.put(row_of[key], verdicts)
        rule_reward(completions[row_of[key]], verdicts, rule_set)
    table.write(folder / "verdicts.parquet")
    seconds = time.perf_counter() - begun
    counts = backend.counts
    return {"rate": N_COMPLETIONS * N_RULES / seconds, "sent": counts.sent, "cached": counts.cached}


def make_verifier() -> ScriptedBackend:
    class Quiet(list[Any]):
        def append(self, _: Any) -> None:
            """The log of requests is no part of what is measured."""

    backend = ScriptedBackend(choice_script=lambda request, question: hash((request.request_id, question)) % 97 / 97)
    backend.choice_log = Quiet()
    return backend


def make_completion(i: int) -> Completion:
    prompt = (Message(role="user", content=f"Question {i // 8}: {'why ' * 50}"),)
    completion = (Message(role="assistant", content=f"Answer {i}: {'because ' * 150}"),)
    return Completion(completion_id=completion_id(prompt, completion), row=i, prompt=prompt, completion=completion)


def make_rule_set() -> RuleSet:
    config = VerificationConfig()
    rules = [Rule(rule_id=f"r{i}", text=f"The response should have property {i}.", support=1) for i in range(N_RULES)]
    spec = VerificationSpec.from_config(config, load_prompt(config.prompt_name))
    return RuleSet(rules=tuple(rules), verification=spec, reward=RewardConfig())


if __name__ == "__main__":
    main()
