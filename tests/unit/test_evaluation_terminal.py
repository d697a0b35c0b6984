"""Tables of an evaluation: texts of rules and data are shown as text, whatever they hold."""

import dataclasses

import numpy as np

from autorule.compare_cli import print_comparison
from autorule.evaluation.comparing import compare
from autorule.evaluation.evaluate import evaluate
from autorule.evaluation.records import Interval
from autorule.evaluation_terminal import print_evaluation, shown_interval
from tests.conftest import make_rule_set
from tests.evaluation_runs import write_evaluation
from tests.simulated_verdicts import simulate

HOSTILE = ("</script>[bold red]Say yes[/]", "Clear \x1b[2J the screen\x07", "Quote \"it\", 'all' & <b>loudly</b>")


def test_hostile_rules_and_slices_are_shown_as_text(capsys):
    matrix = simulate(np.random.default_rng(0), (0.7, 0.5, 0.3), n_prompts=100)
    slices = {"[bold]kind[/]": ["\x1b[31mred"] * 100}
    found = evaluate(dataclasses.replace(matrix, slices=slices), make_rule_set(*HOSTILE).rules, rounds=100)
    print_evaluation(found)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\x07" not in shown
    flat = "".join(shown.replace("│", "").split())
    for text in ("</script>[boldred]Sayyes[/]", "Quote\"it\",'all'&<b>loudly</b>", "[bold]kind[/]"):
        assert text in flat
    assert "\N{REPLACEMENT CHARACTER}[2J" in shown


def test_a_comparison_names_hostile_files_as_text(tmp_path, capsys):
    folders = []
    for i, agreements in enumerate(((0.7, 0.6), (0.5, 0.5))):
        matrix = simulate(np.random.default_rng(i), agreements, n_prompts=60)
        rules = make_rule_set(*(f"Rule {i} {n}" for n in range(2)))
        folders.append(write_evaluation(tmp_path / f"run{i}", rules, matrix, data="[red]a\x1b[31m.jsonl"))
    print_comparison(compare(folders, rounds=100))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "[red]a" in shown


def test_differences_are_percentage_points():
    assert shown_interval(Interval(value=0.123, low=-0.01, high=0.2), signed=True) == "+12.3 pp (-1.0 to 20.0)"
    assert shown_interval(Interval(value=0.5, low=0.4, high=0.6)) == "50.0% (40.0–60.0)"
    assert shown_interval(Interval(value=None, low=None, high=None)) == "-"
