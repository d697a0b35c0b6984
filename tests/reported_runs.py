"""Run folders to report on: verdicts are simulated, all else is written by the code that writes it in a run."""

import dataclasses
import json
import re

import numpy as np

from autorule.config.runs import ExtractConfig
from autorule.evaluation.config import EvaluateConfig
from autorule.evaluation.evaluate import evaluate
from autorule.records import CallCounts, Completion, Rule, Verdict
from autorule.rewards.rule_reward import rule_reward
from autorule.rules.rule_sets import RuleSet, dump_rule_set
from autorule.runs.files import EVALUATION, REWARDS, RULE_SET
from autorule.runs.run_folder import Run
from autorule.statistics.matrix import UNSCORED
from autorule.storage import write_text
from autorule.verification.verdict_tables import write_rewards
from tests.conftest import make_completion, make_rule_set
from tests.simulated_verdicts import simulate

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror="alert(1)">',
    "Costs of $x^2$ and $\\frac{1}{0$ stay as they are.",
    "Bell \x07, escape \x1b[31m, null \x00, new\nline and override \u202edetrever\u202c.",
    "Only " + "very " * 1000 + "long.",
    "{{ 7 * 7 }} {% raise %} &lt;b&gt; <svg onload=alert(1)> 漢字かな 🍐",
)
WORDS = (
    "states the answer before the reasons", "names its sources", "keeps to the language of the question", "is honest "
    "about what it does not know", "gives an example that a beginner can follow, and says where the example stops",
    "uses a list only where there are several items", "stays within the length that was asked for",
)  # fmt: skip


def rules_for_report(n, hostile=False):
    """Rules like mined ones; the first of them hostile where that is asked for."""
    texts = [f"The response {WORDS[i % len(WORDS)]} (variant {i + 1})." for i in range(n)]
    if hostile:
        texts[: len(HOSTILE)] = HOSTILE
    return tuple(
        Rule(rule_id=f"r{i}", text=text, support=3 + i % 5, weight=1.0 + i % 3) for i, text in enumerate(texts)
    )


def simulated(n_rules=50, n_prompts=400, per_prompt=1, seed=0):
    """Rules from misleading to helpful, the last two copies of others; lengths, one slice, some unscored verdicts."""
    rng = np.random.default_rng(seed)
    copies = [(n_rules - 1, 0), (n_rules - 2, 1)] if n_rules > 4 else []
    matrix = simulate(rng, np.linspace(0.72, 0.3, n_rules), n_prompts, per_prompt, duplicates=copies)
    n = matrix.n_pairs
    for labels in (matrix.chosen, matrix.rejected):
        labels[rng.random(labels.shape) < 0.02] = UNSCORED
    return dataclasses.replace(
        matrix,
        chosen_length=rng.gamma(4, 200, n).round(),
        rejected_length=rng.gamma(4, 190, n).round(),
        slices={"domain": [("code", "chat", "<b>maths</b>")[i % 3] for i in range(n)]},
    )


def evaluation_run(folder, n_rules=50, n_prompts=400, per_prompt=1, hostile=False, rounds=200, changes=None):
    """A completed evaluation of simulated verdicts; `changes` go over the fields of the evaluation."""
    pairs, rules_path = folder / "pairs.jsonl", folder / "rules.json"
    rules = rules_for_report(n_rules, hostile)
    rule_set = make_rule_set("x").model_copy(update={"rules": rules})
    write_text(pairs, json.dumps({"prompt": "q", "chosen": "a", "rejected": "b"}) + "\n")
    write_text(rules_path, dump_rule_set(rule_set))
    model = {"backend": "scripted", "model": "tests.scripts:by_words", "price_in": 0.5, "price_out": 2.0}
    config = EvaluateConfig.model_validate(
        {"pairs": pairs, "rules": rules_path, "outputs": folder / "outputs", "run_id": "r", "model": model}
    )
    matrix = simulated(n_rules, n_prompts, per_prompt)
    found = evaluate(matrix, rules, rounds=rounds).model_copy(update=changes or {})
    with Run.start("evaluate-rules", config, {"pairs": pairs, "rules": rules_path}) as run:
        write_text(run.folder / RULE_SET, dump_rule_set(rule_set))
        run.add_model("verification", "verifier <b>8B</b>@1", rule_set.verification.prompt_sha256)
        run.add_usage("verification", CallCounts(sent=1200, cached=34, prompt_tokens=2_500_000, completion_tokens=900))
        write_simulated_rewards(run.folder / REWARDS, matrix, rule_set)
        n = matrix.n_pairs
        run.count(
            held_out_rows_read=n + 3, held_out_rows_rejected=3, held_out_pairs=n, completions=2 * n, rewards=2 * n,
            rules=n_rules, verdicts=2 * n * n_rules,
            verdicts_unscored=int((matrix.chosen == UNSCORED).sum() + (matrix.rejected == UNSCORED).sum()),
        )  # fmt: skip
        write_text(run.folder / EVALUATION, found.model_dump_json(indent=2) + "\n")
        run.note_file(EVALUATION, 1)
    return run.folder


def extraction_run(folder, held_out=False):
    """A completed extraction with eight rules, with rewards of held-out pairs where that is asked for."""
    pairs = folder / "pairs.jsonl"
    write_text(pairs, json.dumps({"prompt": "q", "chosen": "a", "rejected": "b"}) + "\n")
    config = ExtractConfig.model_validate({"pairs": pairs, "outputs": folder / "outputs", "run_id": "x"})
    rule_set = make_rule_set("x").model_copy(update={"rules": rules_for_report(8)})
    with Run.start("extract-rules", config, {"pairs": pairs}) as run:
        write_text(run.folder / RULE_SET, dump_rule_set(rule_set))
        run.count(
            rows_read=120, rows_rejected=7, pairs_valid=113, pairs_repeated=1, pairs_not_drawn=12, pairs_drawn=100,
            chains_expected=100, chains=97, chains_failed=3, chains_mined=96, mining_failed=1, candidates=410,
            candidates_set_aside=20, candidates_in_rules=300, candidates_dropped=90, rules=8,
        )  # fmt: skip
        run.add_usage("mining", CallCounts(sent=96, cached=1, prompt_tokens=80_000, completion_tokens=12_000))
        if held_out:
            matrix = simulated(8, 60)
            write_simulated_rewards(run.folder / REWARDS, matrix, rule_set)
            run.count(held_out_rows_read=60, held_out_pairs=60, completions=120, rewards=120, verdicts=960)
    return run.folder


def write_simulated_rewards(path, matrix, rule_set: RuleSet) -> None:
    """The rewards that the verdicts of the matrix give."""
    names = {1: "yes", 0: "no", 2: "not_applicable", -1: None}
    rewards, completions = [], []
    for i in range(matrix.n_pairs):
        for side, labels in (("chosen", matrix.chosen), ("rejected", matrix.rejected)):
            made = make_completion(f"Question {matrix.prompts[i]}", f"{side} {i}", row=i + 1)
            completion = Completion(**{**made.model_dump(), "pair_id": f"p{i}", "side": side})
            verdicts = [
                Verdict(completion_id=completion.completion_id, rule_id=rule.rule_id, verdict=names[int(label)],
                        p_yes=None if label < 0 else float(label))
                for rule, label in zip(rule_set.rules, labels[i], strict=True)
            ]  # fmt: skip
            rewards.append(rule_reward(completion, verdicts, rule_set))
            completions.append(completion)
    write_rewards(path, rewards, completions)


def section(page, name):
    """The part of the text of a page under the heading of that id."""
    return re.search(rf'<section[^>]*>\s*<h2 id="{name}">.*?</section>', page, re.S)[0]
