"""`autorule evaluate --verdicts`: other rule sets by verdicts that are there, each in a folder of its own."""

import json
from pathlib import Path

import numpy as np
import pytest

from autorule.evaluation.anew import Asked, evaluate_anew
from autorule.evaluation.reading import read_evaluation, read_matrix
from autorule.evaluation.run_manifest import read_manifest
from autorule.rules.rule_sets import dump_rule_set, load_rule_set
from autorule.rules.text import new_rule_id
from autorule.runs.files import EVALUATION, MANIFEST, RULE_SET
from autorule.runs.manifest import describe_input
from autorule.statistics.matrix import UNSCORED
from tests.commands import run_command
from tests.conftest import make_rule_set
from tests.evaluation_runs import write_evaluation
from tests.simulated_verdicts import simulate

RULES = make_rule_set("Be brief.", "Be kind.", "Be odd.")


@pytest.fixture
def matrix():
    return simulate(np.random.default_rng(0), (0.8, 0.6, 0.2), n_prompts=80)


@pytest.fixture
def folder(tmp_path, matrix):
    return write_evaluation(tmp_path / "first", RULES, matrix)


@pytest.fixture
def autorule(monkeypatch, capsys):
    return lambda *arguments: run_command(monkeypatch, capsys, *arguments)


def save(path, rule_set):
    path.write_text(dump_rule_set(rule_set), encoding="utf-8")
    return path


def of(*rules):
    return RULES.model_copy(update={"rules": tuple(rules)})


def inverted(rule):
    turned = rule.model_copy(update={"inverted": not rule.inverted})
    return turned.model_copy(update={"rule_id": new_rule_id(turned.criterion)})


def test_another_set_leaves_the_run_as_it_was(tmp_path, folder, matrix, autorule):
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    subset = save(tmp_path / "subset.json", of(RULES.rules[2], RULES.rules[0].model_copy(update={"weight": 3.0})))
    code, out, _ = autorule("evaluate", subset, "--verdicts", folder, "--run-id", "sub")
    assert code == 0 and f"run folder: {folder.parent / 'sub'}" in out
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    new = folder.parent / "sub"
    assert load_rule_set(new / RULE_SET) == load_rule_set(subset)
    read = read_matrix(new, load_rule_set(subset))
    assert read.chosen.tolist() == matrix.chosen[:, [2, 0]].tolist()
    assert [rule.rule_id for rule in read_evaluation(new).rules] == [RULES.rules[2].rule_id, RULES.rules[0].rule_id]
    manifest, original = read_manifest(new), read_manifest(folder)
    assert manifest.status == "completed" and manifest.inputs["pairs"] == original.inputs["pairs"]
    assert manifest.inputs["rules"] == describe_input(subset) and "verdicts" in manifest.inputs
    assert (manifest.funnel.verdicts, manifest.config["allow_leakage"]) == (2 * 80 * 2, False)


def test_the_own_set_is_evaluated_in_place(tmp_path, folder, autorule):
    own = save(tmp_path / "own.json", RULES)
    (folder / EVALUATION).unlink()
    code, out, _ = autorule("evaluate", own, "--verdicts", folder)
    assert code == 0 and f"run folder: {folder}\n" in out and (folder / EVALUATION).exists()
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_verdicts_on_the_opposite_of_a_rule_are_turned_around(tmp_path, folder, matrix):
    turned = save(tmp_path / "turned.json", of(inverted(RULES.rules[2]), RULES.rules[1]))
    new = evaluate_anew(turned, folder, Asked(out=tmp_path / "new", run_id="t"))
    read = read_matrix(new, load_rule_set(turned))
    assert new == tmp_path / "new" / "t" and read.chosen[:, 0].tolist() == (1 - matrix.chosen[:, 2]).tolist()
    assert read_evaluation(new).rules[0].agreement.value > 0.6


def test_a_new_folder_stands_next_to_the_run_also_when_that_is_where_one_is(tmp_path, folder, monkeypatch):
    subset = save(tmp_path / "subset.json", of(RULES.rules[0]))
    monkeypatch.chdir(folder)
    assert evaluate_anew(subset, Path(), Asked(run_id="s")) == folder.parent / "s"


def test_the_run_that_is_read_is_never_written_over(tmp_path, folder, autorule):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "status": "failed_with_results"}))
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    subset = save(tmp_path / "subset.json", of(RULES.rules[0]))
    code, _, err = autorule("evaluate", subset, "--verdicts", folder, "--run-id", folder.name)
    assert code == 2 and "holds the verdicts that are read" in err
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_rules_without_verdicts_are_named(tmp_path, folder, autorule):
    other = make_rule_set("Be brief.", "Be new.")
    code, _, err = autorule("evaluate", save(tmp_path / "o.json", other), "--verdicts", folder)
    assert code == 2 and f"not on the rules {other.rules[1].rule_id}:" in err and other.rules[0].rule_id not in err
    stricter = save(tmp_path / "s.json", of(RULES.rules[0].model_copy(update={"threshold": 0.9})))
    code, _, err = autorule("evaluate", stricter, "--verdicts", folder)
    assert code == 2 and f"another text, threshold or check of rule {RULES.rules[0].rule_id}" in err


def test_leaked_pairs_are_left_out_of_the_tables(tmp_path, folder, autorule):
    ids = json.loads(json.dumps(_prompt_ids(folder)))[:30]
    knows = save(tmp_path / "knows.json", RULES.model_copy(update={"tuned_prompts": tuple(sorted(ids))}))
    code, _, err = autorule("evaluate", knows, "--verdicts", folder)
    assert code == 2 and "30 of 80 pairs" in err and "--leave-out-leaked" in err
    code, out, _ = autorule("evaluate", knows, "--verdicts", folder, "--leave-out-leaked", "--run-id", "unseen")
    new = folder.parent / "unseen"
    assert code == 0 and (read_evaluation(new).n_pairs, read_evaluation(new).leaked_pairs) == (50, 0)
    assert "rows read: 80; pairs: 50" in out and "chosen by their prompts: 30" in out
    code, out, _ = autorule("evaluate", knows, "--verdicts", folder, "--allow-leakage", "--run-id", "leaky")
    assert code == 0 and "30 pairs have prompts that the rules were mined from, or chosen by" in out
    assert read_manifest(folder.parent / "leaky").config["allow_leakage"] is True
    both = ("--leave-out-leaked", "--allow-leakage")
    code, _, err = autorule("evaluate", knows, "--verdicts", folder, *both)
    assert code == 2 and "give one of them" in err


def _prompt_ids(folder):
    import pyarrow.parquet as pq

    return pq.read_table(folder / "04_pairs.parquet")["prompt_id"].to_pylist()


def test_options_that_do_not_go_with_verdicts_are_named_as_they_are_typed(tmp_path, folder, autorule):
    own = save(tmp_path / "own.json", RULES)
    for options, name in (
        (("--set", "seed=1"), "--set"), (("--slice", "kind"), "--slice"), (("--model", "m"), "--model"),
        (("--limit", "3"), "--limit"),
    ):  # fmt: skip
        code, _, err = autorule("evaluate", own, "--verdicts", folder, *options)
        assert code == 2 and "leave out" in err and name in err


def test_an_evaluation_as_json_is_all_that_stdout_gets(tmp_path, folder, autorule):
    code, out, err = autorule("evaluate", save(tmp_path / "own.json", RULES), "--verdicts", folder, "--json")
    assert code == 0 and json.loads(out)["n_pairs"] == 80 and f"run folder: {folder}" in err


def test_a_verifier_that_fails_often_ends_with_exit_code_3(tmp_path, matrix, autorule):
    matrix.chosen[:20] = UNSCORED
    folder = write_evaluation(tmp_path / "failing", RULES, matrix)
    own = save(tmp_path / "own.json", RULES)
    code, out, err = autorule("evaluate", own, "--verdicts", folder)
    assert code == 3 and "20 of 80 pairs have no reward because the verifier failed" in err
    assert "because the verifier failed: 20 of 80" in out and "Which side is preferred?" in out
    code, _, err = autorule("evaluate", own, "--verdicts", folder, "--max-unscored", "0.3")
    assert code == 0 and not err


def test_broken_folders_are_one_line(tmp_path, folder, autorule):
    own = save(tmp_path / "own.json", RULES)
    whole = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(whole[:200])
    for command in (("evaluate", own, "--verdicts", folder), ("compare", folder, folder)):
        code, _, err = autorule(*command)
        assert code == 2 and f"{MANIFEST} can't be read" in err and len(err.splitlines()) == 1
    unfinished = json.loads(whole) | {"status": "running", "run_id": "r7"}
    (folder / MANIFEST).write_text(json.dumps(unfinished))
    (folder / EVALUATION).unlink()
    code, _, err = autorule("select", own, folder, "--out", tmp_path / "x.json")
    assert code == 2 and "run the same command again with --run-id r7" in err and "--verdicts" not in err
    (folder / "04_verdicts.parquet").unlink()
    code, _, err = autorule("evaluate", own, "--verdicts", folder)
    assert code == 2 and "--run-id r7" in err


def test_a_folder_that_can_not_be_written_is_one_line(tmp_path, folder, autorule, monkeypatch):
    def refuse(path, text):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("autorule.evaluation.anew.write_text", refuse)
    code, _, err = autorule("evaluate", save(tmp_path / "own.json", RULES), "--verdicts", folder)
    assert code == 2 and "can't be written: Permission denied" in err
