import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from autorule.errors import InputError
from autorule.records import Verdict
from autorule.verification.check import CheckConfig, check_verifier, sample_labels
from autorule.verification.labels import read_labels
from autorule.verification.labels.ifeval import RULES
from autorule.verification.metrics import best_threshold, flip_rate, measure_quality, reliability

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def verdict(p, label=None):
    named = label or (None if p is None else "yes" if p >= 0.5 else "no")
    return Verdict(completion_id="c", rule_id="r", verdict=named, p_yes=p)


def test_worked_example_of_the_figures():
    verdicts = [verdict(0.9), verdict(0.8), verdict(0.3), verdict(0.6), verdict(None), verdict(0.2, "not_applicable")]
    quality = measure_quality(verdicts, [True, True, False, False, True, False])
    assert (quality.n, quality.n_unscored, quality.n_not_applicable) == (6, 1, 1)
    assert quality.accuracy == pytest.approx(3 / 4)
    assert quality.balanced_accuracy == pytest.approx(3 / 4)
    assert quality.auc == 1.0
    assert (quality.threshold, quality.balanced_accuracy_at_threshold) == (pytest.approx(0.8), 1.0)


def test_perfectly_calibrated_verdicts_have_no_calibration_error():
    p = np.array([0.25] * 4 + [0.75] * 4)
    truth = np.array([True, False, False, False, True, True, True, False])
    bins = reliability(truth, p)
    assert [(b.n, b.mean_p_yes, b.share_satisfied) for b in bins] == [(4, 0.25, 0.25), (4, 0.75, 0.75)]
    assert measure_quality([verdict(x) for x in p], truth.tolist()).ece == pytest.approx(0.0)


def test_one_sided_labels_have_no_ranking_and_no_threshold():
    quality = measure_quality([verdict(0.9), verdict(0.1)], [True, True])
    assert (quality.auc, quality.threshold, quality.balanced_accuracy) == (None, None, None)
    assert best_threshold(np.array([True]), np.array([0.3])) == (None, None)


def test_flips_are_counted_among_verdicts_that_are_there_twice():
    one = [verdict(0.9), verdict(0.9), verdict(None), verdict(0.1)]
    other = [verdict(0.9), verdict(0.1), verdict(0.9), verdict(None)]
    assert flip_rate(one, other) == pytest.approx(1 / 2)
    assert flip_rate([verdict(None)], [verdict(0.1)]) is None


def rows(tmp_path, *entries):
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, entries)))
    return path


LABELS = [
    {"prompt": f"p{i}", "completion": f"text {i}", "rule": rule, "satisfied": (i + j) % 2 == 0}
    for i in range(12)
    for j, rule in enumerate(("It should be short.", "It should rhyme."))
]


def test_rows_become_labels_and_the_sample_goes_by_completion(tmp_path):
    labels = read_labels(rows(tmp_path, *LABELS), "rows", {})
    assert len(labels) == 24
    drawn = sample_labels(labels, 5, seed=0)
    assert len(drawn) == 10
    assert drawn == sample_labels(labels, 5, seed=0)
    assert drawn != sample_labels(labels, 5, seed=1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"satisfied": "perhaps"}, "row 1: satisfied is 'perhaps'; write true or false"),
        ({"satisfied": None}, "row 1: satisfied is None"),
        ({"rule": ""}, "row 1: rule is ''"),
        ({"completion": 3}, "row 1: completion"),
    ],
)
def test_a_label_is_never_guessed(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        read_labels(rows(tmp_path, {**LABELS[0], **change}), "rows", {})


def test_a_check_reports_quality_flips_and_speed(tmp_path):
    labels = read_labels(rows(tmp_path, *LABELS), "rows", {})
    config = CheckConfig.model_validate(
        {"model": {"backend": "scripted", "model": "tests.scripts:helpful"}, "cache": {"enabled": False}}
    )
    (report,) = check_verifier(labels, config)
    assert report.quality.n == 24
    assert set(report.flips) == {"paraphrase 1", "paraphrase 2", "choice order", "batch composition"}
    assert report.flips["batch composition"] == 0, "a scripted answer has no company"
    assert report.n_sent == 24


def test_ifeval_and_rbr_gold_are_read():
    if not DATA.is_dir():
        pytest.skip("the real data is not here")
    responses = DATA / "ifeval" / "ifeval_responses.jsonl.gz"
    with gzip.open(responses, "rt", encoding="utf-8") as file:
        n_labels = sum(len(json.loads(line)["rules"]) for line in file)
    labels = read_labels(responses, "ifeval", {})
    assert len(labels) == n_labels
    assert {label.kind for label in labels} == RULES.keys()
    gold = read_labels(DATA / "rbr_gold" / "rbr_gold_train.jsonl", "rbr_gold", {})
    assert len({label.completion.row for label in gold}) == 351
    assert 0 < sum(label.satisfied for label in gold) < len(gold)


def check_of(tmp_path, model, **verification):
    rows = [
        {"prompt": "Name a fruit.", "completion": f"Pear {i}.", "rule": rule, "satisfied": True}
        for i in range(4)
        for rule in ("It should be short.", "It should be kind.")
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = CheckConfig.model_validate(
        {
            "model": {"backend": "scripted", "model": model},
            "cache": {"path": tmp_path / "answers.sqlite"},
            "verification": verification,
        }
    )
    [report] = check_verifier(read_labels(path, "rows", {}, None), config)
    return report


def test_company_is_measured_past_the_cache(tmp_path):
    """Alone and in company a question has the same key: the cache would say that company changes nothing."""
    assert check_of(tmp_path, "tests.scripts:minds_company").flips["batch composition"] == 1.0


def test_the_order_of_choices_is_measured_only_where_the_prompt_shows_it(tmp_path):
    assert "choice order" in check_of(tmp_path, "tests.scripts:helpful").flips
    assert "choice order" not in check_of(tmp_path, "tests.scripts:helpful", prompt="verification.small").flips
