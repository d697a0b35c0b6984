"""Thresholds of rules from labels: only where there are enough, and only where they do better on labels not seen."""

import math
import random

import pytest

from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import VerificationConfig
from autorule.errors import InputError, RuleSetError
from autorule.rules.editing import reword
from autorule.rules.rule_sets import dump_rule_set, load_rule_set
from autorule.verification.calibration import CalibrationConfig, calibrate, measure_rule
from autorule.verification.labels.rows import Label, labelled_completion
from tests.conftest import make_rule_set, messages

SHY = "It names a fruit."  # said Yes to with 0.3 where it holds, with 0.1 where it does not
FEW = "It rhymes."
RULES = make_rule_set(SHY, FEW)
CONFIG = CalibrationConfig.model_validate(
    {
        "model": {"backend": "scripted", "model": "tests.unit.verification.test_calibration:shy"},
        "cache": {"enabled": False},
    }
)


def shy():
    return ScriptedBackend(choice_script=lambda request, _: 0.3 if "pear" in request.messages[-1].content else 0.1)


def labels(rule, n):
    texts = [f"{'pear' if i % 2 else 'stone'} {i}" for i in range(n)]
    return [Label(labelled_completion(i, None, messages("?"), t), rule, "pear" in t, rule) for i, t in enumerate(texts)]


def test_a_shy_rule_gets_a_low_threshold_and_a_rule_with_few_labels_keeps_its_own(tmp_path):
    calibrated, (shy_one, few) = calibrate(RULES, [*labels(SHY.upper(), 24), *labels(FEW, 12)], CONFIG, "me")
    assert (shy_one.n, shy_one.before, shy_one.after) == (24, 0.5, 1.0)
    assert 0.1 < calibrated.rules[0].threshold <= 0.3
    assert few.threshold is None
    assert calibrated.rules[1] == RULES.rules[1]
    assert [(edit.action, edit.rule_id) for edit in calibrated.history] == [("calibrated", RULES.rules[0].rule_id)]
    path = tmp_path / "rules.json"
    path.write_text(dump_rule_set(calibrated))
    assert load_rule_set(path) == calibrated
    reworded = reword(calibrated, calibrated.rules[0].rule_id, "It names a pear.", "me")
    assert reworded.rules[0].threshold is None, "it was chosen for another text"


def test_noise_promises_nothing():
    rng = random.Random(5)
    figures = [measure_rule([(rng.random() < 0.5, rng.random()) for _ in range(60)], 0.5) for _ in range(50)]
    assert abs(sum(f["after"] for f in figures) / 50 - 0.5) < 0.05, "held out, noise is worth nothing"
    assert all((f["threshold"] is None) == (f["gain"].low <= 0) for f in figures)
    assert all(f["gain"].value == pytest.approx(f["after"] - f["before"]) for f in figures)
    good = measure_rule([(i % 2 == 0, 0.9 if i % 2 == 0 else 0.2) for i in range(60)], 0.5)
    assert (good["before"], good["threshold"]) == (1.0, None), "there is nothing to gain"


@pytest.mark.parametrize(("n", "apart"), [(24, 1), (60, 2), (200, 1)])
def test_a_threshold_that_was_the_best_already_is_seldom_changed(n, apart):
    """Any figure that is higher by chance would change one in three."""
    changed = 0
    for seed in range(100):
        rng = random.Random(seed)
        marks = [(i % 2 == 0, rng.gauss(apart / 2 if i % 2 == 0 else -apart / 2, 1)) for i in range(n)]
        changed += measure_rule([(ok, 1 / (1 + math.exp(-x))) for ok, x in marks], 0.5)["threshold"] is not None
    assert changed <= 6


def test_what_can_not_be_calibrated_is_said():
    with pytest.raises(InputError, match=r"none of the 20 labels .* texts of its rules"):
        calibrate(RULES, labels("Something else.", 20), CONFIG, "me")
    reasoned = make_rule_set(SHY, verification=VerificationConfig(mode="reasoned"))
    with pytest.raises(RuleSetError, match="no P"):
        calibrate(reasoned, labels(SHY, 24), CONFIG, "me")
