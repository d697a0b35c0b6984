"""Tables of an evaluation: texts of rules and data are shown as text, whatever they hold."""

import dataclasses

import numpy as np
import pytest

from autorule.evaluation.comparing import compare
from autorule.evaluation.evaluate import evaluate
from autorule.rules.editing import find_rule
from autorule.statistics.records import Accuracy, Interval
from autorule.terminal.comparison import print_comparison
from autorule.terminal.evaluation import print_accuracies, print_evaluation, print_rules, shown_interval
from autorule.terminal.tables import Column, print_rows
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


LONG = "The response should say what it does not know, and why, before it says anything else that could be wrong."
FIGURES = ("+12.3 pp (-10.0 to 20.0)", "50.0% (45.6–52.5)", "1,234,567", "100%", "keep")


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_figure_is_cut_and_no_line_is_wider_than_the_terminal(capsys, width):
    columns = [Column("rule", is_text=True), *map(Column, ("difference", "accuracy", "pairs", "ties", "decision"))]
    print_rows("Rules", columns, [(LONG, *FIGURES), (LONG, *FIGURES)], width=width)
    shown = capsys.readouterr().out
    assert "…" not in shown and max(map(len, shown.splitlines())) <= width
    for figure in FIGURES:
        assert shown.count(figure) == 2
    words = " ".join(shown.replace("│", " ").split())
    assert words.count("does") == 2 and all(word in words for word in LONG.split())


def test_what_no_terminal_shows_is_wide_and_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    print_rows("Rules", [Column("rule", is_text=True), *map(Column, "abcde")], [(LONG, *FIGURES)])
    shown = capsys.readouterr().out
    assert all(figure in shown for figure in FIGURES) and "┃" in shown
    assert max(map(len, shown.splitlines())) > 100


def test_a_rule_is_named_by_what_rules_edit_takes(capsys):
    matrix = simulate(np.random.default_rng(0), (0.7, 0.5), n_prompts=100)
    rule_set = make_rule_set("Be brief.", "Be kind.")
    print_rules(evaluate(matrix, rule_set.rules, rounds=100))
    shown = capsys.readouterr().out
    for rule in rule_set.rules:
        [line] = [line for line in shown.splitlines() if rule.text in line]
        assert find_rule(rule_set, line.split("│")[1].strip()) == rule


def test_the_number_that_interval_and_p_go_by_is_shown_where_pairs_share_prompts(capsys):
    rules = make_rule_set("Be brief.", "Be kind.").rules
    for per_prompt in (1, 5):
        matrix = simulate(np.random.default_rng(0), (0.7, 0.5), 60, per_prompt, spread=0.3 * (per_prompt > 1))
        found = evaluate(matrix, rules, rounds=100)
        print_rules(found)
        shown = capsys.readouterr().out
        assert ("go by the effective number of pairs" in shown) == (per_prompt > 1)
    assert all(f"{one.n_effective:.1f}" in shown for one in found.rules)


def test_rules_that_tell_few_pairs_apart_are_marked(capsys):
    matrix = simulate(np.random.default_rng(0), (0.7, 0.7), n_prompts=100)
    matrix.chosen[2:, 1] = matrix.rejected[2:, 1] = 1
    matrix.chosen[:2, 1], matrix.rejected[:2, 1] = 1, 0
    print_rules(evaluate(matrix, make_rule_set("Often.", "Rare.").rules, rounds=100))
    shown = capsys.readouterr().out
    assert "2 few" in shown and shown.count(" few ") == 1
    assert "Sorted by the lower end of the interval" in shown and "few: it tells fewer than 10 pairs apart" in shown


def test_ties_of_what_was_never_scored_are_unknown(capsys):
    nothing = Interval(value=None, low=None, high=None)
    print_accuracies((Accuracy(name="reward model", accuracy=nothing, n_pairs=0, tied=None),))
    shown = capsys.readouterr().out
    assert "0%" not in shown
