"""`autorule select` and `compare` as commands: what they say, write, and end with."""

import dataclasses
import json

import numpy as np
import pytest

from autorule.errors import InputError
from autorule.evaluation.comparing import Comparison
from autorule.rules.rule_sets import dump_rule_set, load_rule_set
from autorule.runs.files import MANIFEST
from autorule.statistics.matrix import UNSCORED
from autorule.statistics.records import Weightings
from tests.commands import run_command
from tests.conftest import make_rule_set
from tests.evaluation_runs import write_evaluation
from tests.simulated_verdicts import simulate


@pytest.fixture
def autorule(monkeypatch, capsys):
    return lambda *arguments: run_command(monkeypatch, capsys, *arguments)


def evaluated(path, agreements, seed=0, n_prompts=120, change=None, texts="abcdef"):
    """(rule set file, folder) of an evaluation."""
    rule_set = make_rule_set(*texts[: len(agreements)])
    matrix = simulate(np.random.default_rng(seed), agreements, n_prompts=n_prompts, discordant=0.6)
    folder = write_evaluation(path, rule_set, change(matrix) if change else matrix)
    return folder.parent / "rules.json", folder


def test_nothing_proven_is_a_finding_with_its_figures(tmp_path, autorule):
    rules, folder = evaluated(tmp_path / "noise", (0.5, 0.5))
    code, out, err = autorule("select", rules, folder, "--out", tmp_path / "x.json")
    assert code == 3 and "nothing is written" in err and not (tmp_path / "x.json").exists()
    assert "none chosen: no rule is proven on dev" in out and "(chosen)" not in out
    [row] = [line for line in out.splitlines() if line.startswith("│ uniform ")]
    assert "50.0%" not in row and row.count("-") == 3
    code, out, err = autorule("select", rules, folder, "--out", tmp_path / "x.json", "--json")
    assert code == 3 and Weightings.model_validate_json(out).kept == ()


def test_the_way_that_would_keep_something_is_named(tmp_path, autorule):
    def with_model(matrix):
        scores = np.random.default_rng(1).normal(size=matrix.n_pairs)
        return dataclasses.replace(matrix, chosen_model=scores, rejected_model=-scores)

    rules, folder = evaluated(tmp_path / "noise", (0.5, 0.5), change=with_model)
    code, _, err = autorule("select", rules, folder, "--out", tmp_path / "x.json", "--by", "hinge")
    assert code == 3 and "--by hinge:all" in err
    rules, folder = evaluated(tmp_path / "wrong", (0.05, 0.05))
    code, _, err = autorule("select", rules, folder, "--out", tmp_path / "x.json")
    assert code == 3 and "--invert turns them around" in err


def test_what_was_written_and_is_worse_is_warned_of(tmp_path, autorule):
    def with_good_model(matrix):
        scores = np.ones(matrix.n_pairs)
        return dataclasses.replace(matrix, chosen_model=scores, rejected_model=-scores)

    rules, folder = evaluated(tmp_path / "weak", (0.8, 0.5), change=with_good_model)
    code, out, err = autorule("select", rules, folder, "--out", tmp_path / "x.json")
    assert code == 0 and "Warning:" in err and "the reward model alone on 100.0%" in err
    assert load_rule_set(tmp_path / "x.json").rules and "x.json" in out


def test_the_yardstick_of_a_set_that_is_turned_around_is_the_set_as_it_was(tmp_path, autorule):
    rules, folder = evaluated(tmp_path / "turned", (0.8, 0.1, 0.15))
    code, out, _ = autorule("select", rules, folder, "--out", tmp_path / "x.json", "--invert", "--by", "uniform")
    assert code == 0 and "all rules alike, as they were" in out and "all rules alike, turned around" in out
    history = load_rule_set(tmp_path / "x.json").history[-1].reason
    assert "with some turned around, and on" in history
    again = ("select", rules, folder, "--out", tmp_path / "y.json", "--by", "uniform", "--json")
    code, out, _ = autorule(*again, "--invert")
    turned = Weightings.model_validate_json(out)
    (tmp_path / "y.json").unlink()
    plain = Weightings.model_validate_json(autorule(*again)[1])
    assert turned.before_test == plain.uniform_test and plain.before_test is None
    assert turned.before_test.value < turned.uniform_test.value


def test_unscored_pairs_are_named_and_too_many_end_with_exit_code_3(tmp_path, autorule):
    def failing(matrix):
        matrix.rejected[:30] = UNSCORED
        return matrix

    _, whole = evaluated(tmp_path / "whole", (0.7, 0.6))
    _, broken = evaluated(tmp_path / "broken", (0.7, 0.6), change=failing, texts="xy")
    code, out, err = autorule("compare", whole, broken, "--out", tmp_path / "made" / "found.json")
    assert code == 3 and f"30 of 120 pairs unscored in {broken}" in err and "On the same pairs" in out
    found = Comparison.model_validate_json((tmp_path / "made" / "found.json").read_text())
    assert [run.n_unscored for run in found.runs] == [0, 30]
    (tmp_path / "file").write_text("")
    code, _, err = autorule("compare", whole, broken, "--out", tmp_path / "file" / "found.json")
    assert code == 2 and "can't be written" in err and len(err.splitlines()) == 1


def test_two_verifiers_of_one_set_are_compared_by_their_models(tmp_path, autorule):
    folders = [evaluated(tmp_path / f"run{seed}", (0.7, 0.6), seed)[1] for seed in range(2)]
    code, _, err = autorule("compare", *folders)
    assert code == 2 and "the same rules on the same data, by the same model" in err
    for folder, model in zip(folders, ("small", "large"), strict=True):
        manifest = json.loads((folder / MANIFEST).read_text()) | {"models": {"verification": model}}
        (folder / MANIFEST).write_text(json.dumps(manifest))
    code, out, _ = autorule("compare", *folders)
    assert code == 0 and "small" in out and "large" in out
    code, out, _ = autorule("compare", *folders, "--json")
    found = Comparison.model_validate_json(out)
    assert [run.model for run in found.runs] == ["small", "large"] and len(found.differences) == 1
    assert {run.run for run in found.runs} == {str(folder) for folder in folders}  # both are named r


def test_runs_have_the_names_of_their_folders_and_the_hash_that_the_registry_shows(tmp_path, autorule):
    import hashlib

    rules, one = evaluated(tmp_path / "a", (0.7, 0.6))
    _, two = evaluated(tmp_path / "b", (0.7, 0.6), texts="xy")
    two = two.rename(two.parent / "second")
    found = Comparison.model_validate_json(autorule("compare", one, two, "--json")[1])
    sha256 = hashlib.sha256(dump_rule_set(load_rule_set(rules)).encode()).hexdigest()
    assert [run.run for run in found.runs] == ["r", "second"]
    assert found.runs[0].rule_set == f"rules {sha256[:12]}"


def test_debug_shows_the_trace_of_an_error(tmp_path, autorule, monkeypatch):
    monkeypatch.setattr("autorule.commands.options._debug", False)  # put back when the test ends
    with pytest.raises(InputError, match="give the folder of an evaluation"):
        autorule("compare", tmp_path, tmp_path, "--debug")
