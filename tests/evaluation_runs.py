"""Run folders of evaluations: verdicts are simulated, all else is written by the code that writes it in a run."""

import json

import numpy as np

from autorule.evaluation.baseline_table import write_baselines
from autorule.evaluation.config import EvaluateConfig
from autorule.evaluation.evaluate import evaluate
from autorule.evaluation.pair_table import SLICE, write_pair_table
from autorule.records import CallCounts, Verdict, content_id
from autorule.rules.rule_sets import dump_rule_set
from autorule.runs.files import BASELINES, EVALUATION, HELD_OUT_PAIRS, RULE_SET, VERDICTS
from autorule.runs.run_folder import Run
from autorule.storage import write_text
from autorule.verification.verdict_tables import VerdictTable
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
        if matrix.one_call is not None or matrix.chosen_model is not None:
            write_baselines(run.folder / BASELINES, [baseline_row(matrix, i) for i in range(matrix.n_pairs)])
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
        "chosen_id": content_id("chosen", i),
        "chosen_length": value_of(matrix.chosen_length, i, 10),
        "rejected_length": value_of(matrix.rejected_length, i, 10),
        "chosen_first": None if matrix.chosen_first is None else bool(matrix.chosen_first[i]),
        "strength": value_of(matrix.strength, i),
        **{f"{SLICE}{name}": values[i] for name, values in matrix.slices.items()},
    }  # fmt: skip


def baseline_row(matrix, i):
    """The mean over both orders is what the matrix holds: each order gets it."""
    one_call = value_of(matrix.one_call, i)
    return {
        "row": i + 1, "one_call_first": one_call, "one_call_second": one_call,
        "chosen_model": value_of(matrix.chosen_model, i), "rejected_model": value_of(matrix.rejected_model, i),
    }  # fmt: skip


def value_of(values, i, otherwise=None):
    return otherwise if values is None or np.isnan(values[i]) else float(values[i])


def write_verdicts(path, rule_set, matrix):
    ids = [rule.rule_id for rule in rule_set.rules]
    sides = [(i, side) for i in range(matrix.n_pairs) for side in ("chosen", "rejected")]
    completions = [make_completion(f"q{i}", f"answer {n}", row=i + 1) for n, (i, _) in enumerate(sides)]
    table = VerdictTable(completions, rule_set.rules)
    for n, (i, side) in enumerate(sides):
        labels, p_yes = getattr(matrix, side)[i], getattr(matrix, f"{side}_p")
        shares = [None] * len(ids) if p_yes is None else [None if np.isnan(p) else float(p) for p in p_yes[i]]
        given = zip(ids, labels, shares, strict=True)
        own = completions[n].completion_id
        table.put(n, [Verdict(completion_id=own, rule_id=r, verdict=LABELS[int(v)], p_yes=p) for r, v, p in given])
    table.write(path)
