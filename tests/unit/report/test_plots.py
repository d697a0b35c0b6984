"""The plots of a report: bins, pictures, and colours that are seen on a light and on a dark ground."""

import re
from importlib.resources import files

import pytest

from autorule.report.contents import _edges, read_contents
from autorule.report.drawing import THEMED, draw
from autorule.report.plots import evaluation_plots
from autorule.report.redundancy_plot import redundancy_plot
from autorule.report.write import write_report
from autorule.statistics.records import ConfidenceBin
from tests.reported_runs import evaluation_run, section


def test_the_one_call_has_its_reliability(tmp_path):
    bins = [
        {
            "low": 0.5,
            "high": 0.7,
            "confidence": 0.6,
            "n_pairs": 30,
            "accuracy": {"value": 0.5, "low": 0.3, "high": 0.7},
        },
        {
            "low": 0.8,
            "high": 1.0,
            "confidence": 0.9,
            "n_pairs": 10,
            "accuracy": {"value": 0.7, "low": 0.4, "high": 0.9},
        },
    ]
    changes = {"one_call_bins": tuple(ConfidenceBin.model_validate(one) for one in bins)}
    run = evaluation_run(tmp_path, n_rules=2, n_prompts=20, rounds=100, changes=changes)
    page = write_report(run).read_text(encoding="utf-8")
    assert "Expected calibration error 12.5%, over 40 pairs" in section(page, "calibration")
    assert section(page, "calibration").count("<figure") == 2 and (run / "report" / "reliability.png").exists()


def test_a_rule_that_never_varies_is_hatched_and_a_picture_follows_the_theme():
    phi = ((1.0, None, 0.5), (None, None, None), (0.5, None, 1.0))
    drawn = draw(redundancy_plot("phi", "verdicts", phi))
    assert "Hatched: 2 pairs of rules whose correlation is unknown" in drawn.plot.words and "<pattern" in drawn.inline
    assert drawn.inline.count("<image") == 4 == len(re.findall(r'filter="url\(#phi-tint-', drawn.inline))
    assert 'flood-color="var(--blue)"' in drawn.inline and "<filter" not in drawn.svg
    assert "<pattern" not in draw(redundancy_plot("phi", "verdicts", ((1.0, 0.5), (0.5, 1.0)))).inline


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_marks_stand_out_from_their_ground_in_both_themes():
    style = files("autorule.report").joinpath("page.css").read_text(encoding="utf-8")
    palettes = {
        name: (light, dark) for name, light, dark in re.findall(r"--(\w+): light-dark\((#\w+), (#\w+)\)", style)
    }
    for theme in (0, 1):
        for name in ("ink", "muted", "link", "blue", "orange", "green", "purple", "grey"):
            for ground in ("ground", "raised"):
                assert contrast(palettes[name][theme], palettes[ground][theme]) >= 4.5, (name, ground, theme)
        assert contrast(palettes["ink"][theme], palettes["warn"][theme]) >= 4.5
    assert {colour: f"var(--{name})" for name, (colour, _) in palettes.items() if colour in THEMED} == THEMED
    assert "opacity" not in style


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([0.5, 0.5], [0.0, 1.0]),
        ([0.0, 0.25, 0.5, 1.0], [-0.125, 0.375, 0.875, 1.375]),
    ],
)
def test_bins_of_rewards_on_a_grid_hold_as_many_points_of_it(values, edges):
    import numpy as np

    assert _edges(np.array(values)).tolist() == pytest.approx(edges)


def test_every_reward_lies_in_a_bin():
    import numpy as np

    values = np.random.default_rng(0).normal(size=500)
    counts, edges = np.histogram(values, _edges(values))
    assert counts.sum() == 500 and len(edges) <= 26
    grid = np.random.default_rng(0).integers(0, 51, 500) / 50
    assert np.histogram(grid, _edges(grid))[0].sum() == 500


def test_a_heat_map_of_two_hundred_rules_is_a_small_picture(tmp_path):
    import numpy as np

    phi = np.random.default_rng(0).uniform(-1, 1, (200, 200))
    matrix = tuple(tuple(map(float, row)) for row in phi)
    run = evaluation_run(tmp_path, n_rules=2, n_prompts=20, rounds=100, changes={"phi_verdicts": matrix})
    [plot] = [p for p in evaluation_plots(read_contents(run).evaluation) if p.name == "redundancy-verdicts"]
    drawn = draw(plot)
    assert len(drawn.inline) < 1_000_000 and "data:image/png" in drawn.inline
