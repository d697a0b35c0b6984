"""Run folders of evaluations: verdicts are simulated, all else is written by the code that writes it in a run."""

import json

from autorule.evaluation.config import EvaluateConfig
from autorule.evaluation.evaluate import evaluate
from autorule.evaluation.pair_table import write_pair_table
from autorule.records import CallCounts, Verdict, content_id
from autorule.rule_sets import dump_rule_set
from autorule.run_folder import EVALUATION, HELD_OUT_PAIRS, RULE_SET, VERDICTS, Run
from autorule.storage import write_text
from autorule.verdict_tables import VerdictTable
from tests.conftest import make_completion

LABELS = {1: "yes", 0: "no", 2: "not_applicable", -1: None}


def write_evaluation(folder, rule_set, matrix, data="pairs.jsonl", rounds=100, tokens=50):
    """A completed run in `folder` whose verdicts are those of the matrix; each call sent took so many tokens."""
    folder.mkdir(parents=True)
    pairs, rules = folder / data, folder / "rules.json"
    write_text(pairs, json.dumps({"file": data}) + "\n")
    write_text(rules, dump_rule_set(rule_set))
    settings = {"pairs": pairs, "rules": rules, "outputs": folder, "run_id": "r"}
    config = EvaluateConfig.model_validate({**settings, "model": {"backend": "scripted", "model": "unused"}})
    with Run.start("evaluate-rules", config, {"pairs": pairs, "rules": rules}) as run:
        write_text(run.folder / RULE_SET, dump_rule_set(rule_set))
        write_pair_table(run.folder / HELD_OUT_PAIRS, [pair_row(matrix, i) for i in range(matrix.n_pairs)])
        write_verdicts(run.folder / VERDICTS, rule_set, matrix)
        sent = 2 * matrix.n_pairs * matrix.n_rules
        run.add_usage("verification", CallCounts(sent=sent, prompt_tokens=sent * tokens))
        run.count(held_out_rows_read=matrix.n_pairs, held_out_pairs=matrix.n_pairs, completions=2 * matrix.n_pairs)
        run.count(rewards=2 * matrix.n_pairs, rules=matrix.n_rules, verdicts=sent)
        found = evaluate(matrix, rule_set.rules, rounds=rounds)
        write_text(run.folder / EVALUATION, found.model_dump_json(indent=2) + "\n")
    return run.folder


def pair_row(matrix, i):
    return {
        "row": i + 1, "pair_id": content_id("pair", i), "prompt_id": content_id("prompt", int(matrix.prompts[i])),
        "chosen_id": content_id("chosen", i), "chosen_length": 10, "rejected_length": 10, "chosen_first": None,
        "strength": None,
    }  # fmt: skip


def write_verdicts(path, rule_set, matrix):
    sides = [(i, labels[i]) for i in range(matrix.n_pairs) for labels in (matrix.chosen, matrix.rejected)]
    completions = [make_completion(f"q{i}", f"answer {n}", row=i + 1) for n, (i, _) in enumerate(sides)]
    table = VerdictTable(completions, rule_set.rules)
    for n, (_, labels) in enumerate(sides):
        table.put(
            n,
            [
                Verdict(completion_id=completions[n].completion_id, rule_id=rule.rule_id, verdict=LABELS[int(label)])
                for rule, label in zip(rule_set.rules, labels, strict=True)
            ],
        )
    table.write(path)
