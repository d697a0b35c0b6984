"""Figures of rules and of the set, each against another implementation or by hand."""

import dataclasses
import itertools

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import linalg, stats
from sklearn.metrics import matthews_corrcoef

from autorule.config.stages import RewardConfig
from autorule.errors import InputError
from autorule.evaluation.evaluate import evaluate
from autorule.records import Rule, Verdict
from autorule.rewards.rule_reward import tally_verdicts
from autorule.statistics.accuracies import accuracies, margin_bins, slice_accuracies
from autorule.statistics.agreement import effective_sizes, measure_agreement
from autorule.statistics.curves import learning_curves
from autorule.statistics.matrix import NO, NOT_APPLICABLE, UNSCORED, YES, PairMatrix
from autorule.statistics.redundancy import phi_of_differences, phi_of_verdicts
from autorule.statistics.resampling import bootstrap_means
from autorule.statistics.rewarded import rewarded_scores
from autorule.statistics.splits import on_test
from autorule.statistics.weighting import log_odds
from tests.conftest import make_rule_set
from tests.simulated_verdicts import simulate

AGREEMENTS = (0.75, 0.65, 0.5, 0.4)


def rules_of(matrix, weights=None):
    weights = weights or [1.0] * matrix.n_rules
    return [
        Rule(rule_id=i, text=f"Text of {i}.", support=1, weight=w)
        for i, w in zip(matrix.rule_ids, weights, strict=True)
    ]


@pytest.fixture(scope="module")
def matrix():
    """Verdicts of every kind, lengths, scores of a model, positions, a slice; three pairs a prompt."""
    rng = np.random.default_rng(7)
    made = simulate(rng, AGREEMENTS, n_prompts=150, per_prompt=3)
    for labels in (made.chosen, made.rejected):
        labels[rng.random(labels.shape) < 0.05] = UNSCORED
        labels[rng.random(labels.shape) < 0.1] = NOT_APPLICABLE
    n = made.n_pairs
    scores = rng.normal(size=(2, n))
    return dataclasses.replace(
        made,
        chosen_length=rng.integers(50, 400, n).astype(float),
        rejected_length=rng.integers(50, 400, n).astype(float),
        chosen_p=np.where(made.chosen >= 0, rng.random(made.chosen.shape), np.nan),
        rejected_p=np.where(made.rejected >= 0, rng.random(made.chosen.shape), np.nan),
        chosen_model=scores[0] + 0.5,
        rejected_model=scores[1],
        chosen_first=(rng.random(n) < 0.3).astype(float),
        one_call=rng.random(n),
        slices={"kind": [("a", "b", "rare")[min(2, i % 40 // 19)] for i in range(n)]},
    )


@pytest.fixture(scope="module")
def found(matrix):
    return evaluate(matrix, rules_of(matrix, [2.0, 1.0, 1.0, 0.5]), rounds=300)


def test_shares_of_verdicts_are_counts(matrix, found):
    labels = np.concatenate([matrix.chosen, matrix.rejected])
    for i, one in enumerate(found.rules):
        column = labels[:, i].tolist()
        yes, no = column.count(YES), column.count(NO)
        assert one.saturation == yes / (yes + no)
        assert one.na_rate == column.count(NOT_APPLICABLE) / len(column)
        assert one.unscored_rate == column.count(UNSCORED) / len(column)
        sides = list(zip(matrix.chosen[:, i], matrix.rejected[:, i], strict=True))
        known = [pair for pair in sides if set(pair) <= {YES, NO}]
        apart = [pair for pair in known if pair[0] != pair[1]]
        assert one.coverage == len(known) / len(sides) and one.discordant_rate == len(apart) / len(known)
        assert (one.n_discordant, one.agreement.value) == (len(apart), apart.count((YES, NO)) / len(apart))


def test_effective_sizes_are_those_of_cluster_robust_errors():
    matrix = simulate(np.random.default_rng(0), AGREEMENTS, n_prompts=200, per_prompt=4, spread=0.3)
    differences = matrix.differences()
    agrees, apart = differences == 1, np.abs(differences) == 1
    found = effective_sizes(agrees, apart, matrix.prompts)
    for i in range(4):
        own = apart[:, i]
        y = agrees[own, i].astype(float)
        _, sizes = np.unique(matrix.prompts[own], return_counts=True)
        # Bell and McCaffrey's CR2, with the matrices of its definition; without them, errors are those of statsmodels.
        parts = np.split(y - y.mean(), np.cumsum(sizes)[:-1])
        corrected = [linalg.inv(linalg.sqrtm(np.eye(m) - np.full((m, m), 1 / len(y)))) for m in sizes]
        variance = sum((root @ part).sum() ** 2 for root, part in zip(corrected, parts, strict=True)) / len(y) ** 2
        plain = sm.OLS(y, np.ones(len(y))).fit(
            cov_type="cluster", cov_kwds={"groups": matrix.prompts[own], "use_correction": False}
        )
        assert sum(part.sum() ** 2 for part in parts) / len(y) ** 2 == pytest.approx(plain.bse[0] ** 2)
        few = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, len(y) ** 2 / (sizes**2).sum() - 1)) ** 2
        assert found[i] == pytest.approx(min(len(y), few * y.mean() * (1 - y.mean()) / variance))


def test_phi_is_the_correlation_of_verdicts_where_both_are_known(matrix):
    phi, of_differences = phi_of_verdicts(matrix), phi_of_differences(matrix)
    verdicts, differences = np.concatenate(matrix.values()), matrix.differences()
    for i, j in ((0, 1), (1, 3), (2, 2)):
        known = ~np.isnan(verdicts[:, [i, j]]).any(axis=1)
        expected = matthews_corrcoef(verdicts[known, i].astype(int), verdicts[known, j].astype(int))
        assert phi[i, j] == pytest.approx(expected, abs=1e-9)
        known = ~np.isnan(differences[:, [i, j]]).any(axis=1)
        expected = stats.pearsonr(differences[known, i], differences[known, j]).statistic
        assert of_differences[i, j] == pytest.approx(expected, abs=1e-9)
    assert np.isfinite(phi).all() and np.isfinite(of_differences).all()


def test_correlation_with_length_is_point_biserial(matrix, found):
    lengths = np.concatenate([matrix.chosen_length, matrix.rejected_length])
    verdicts = np.concatenate(matrix.values())
    for i, one in enumerate(found.rules):
        known = ~np.isnan(verdicts[:, i])
        expected = stats.pointbiserialr(verdicts[known, i].astype(bool), lengths[known]).statistic
        assert one.length_correlation == pytest.approx(expected, abs=1e-9)


def test_length_matched_agreement_is_that_of_pairs_of_about_equal_length(matrix, found):
    alike = [
        i for i, (a, b) in enumerate(zip(matrix.chosen_length, matrix.rejected_length, strict=True))
        if abs(a - b) <= 0.2 * max(a, b)
    ]  # fmt: skip
    for column, one in enumerate(found.rules):
        told = [
            matrix.chosen[i, column] for i in alike if {matrix.chosen[i, column], matrix.rejected[i, column]} == {0, 1}
        ]
        assert one.length_matched_agreement.value == pytest.approx(np.mean(told))


def told_right(matrix, weights):
    """Pair by pair, with plain loops."""
    right = []
    for i in range(matrix.n_pairs):
        scores = []
        for labels in (matrix.chosen[i], matrix.rejected[i]):
            counted = [(w, label) for w, label in zip(weights, labels, strict=True) if label in (YES, NO) and w]
            total = sum(w for w, _ in counted)
            scores.append(sum(w * label for w, label in counted) / total if total else None)
        if None in scores:
            right.append(None)
        else:
            right.append(0.5 if abs(scores[0] - scores[1]) < 1e-9 else float(scores[0] > scores[1]))
    return right


def without_failures(matrix):
    """The pairs with a verdict of every rule on both sides: of four rules, one missing is more than a fifth."""
    rows = [i for i in range(matrix.n_pairs) if UNSCORED not in (*matrix.chosen[i], *matrix.rejected[i])]
    assert 0 < len(rows) < matrix.n_pairs
    return matrix.of(np.array(rows))


def test_gain_is_what_the_set_loses_without_the_rule(matrix, found):
    weights = [2.0, 1.0, 1.0, 0.5]
    scored = without_failures(matrix)
    whole = np.mean([0.5 if one is None else one for one in told_right(scored, weights)])
    for i, one in enumerate(found.rules):
        rest = [0.0 if j == i else w for j, w in enumerate(weights)]
        assert one.gain == pytest.approx(whole - np.mean([0.5 if r is None else r for r in told_right(scored, rest)]))


def test_accuracies_are_those_of_plain_loops(matrix):
    weights = [2.0, 1.0, 1.0, 0.5]
    by_name = {one.name: one for one in accuracies(matrix, rules_of(matrix, weights), RewardConfig(), 300, 0)}
    for name, own in (("uniform, hard", [1.0] * 4), ("weighted, hard", weights)):
        known = [one for one in told_right(matrix, own) if one is not None]
        assert by_name[name].n_pairs == len(known) and by_name[name].accuracy.value == pytest.approx(np.mean(known))
        assert by_name[name].tied == known.count(0.5) / len(known)
    longer, equal = matrix.chosen_length > matrix.rejected_length, matrix.chosen_length == matrix.rejected_length
    assert by_name["longer response"].accuracy.value == pytest.approx(np.mean(longer + 0.5 * equal))
    assert by_name["reward model"].accuracy.value == np.mean(matrix.chosen_model > matrix.rejected_model)
    assert by_name["one call about both"].accuracy.value == np.mean(matrix.one_call > 0.5)
    assert by_name["response that the data gives second"].accuracy.value == 1 - matrix.chosen_first.mean()
    assert by_name["random"].accuracy.value == 0.5
    assert set(by_name) >= {"uniform, soft", "weighted, soft", "uniform, hard, lengths alike"}


def test_the_bootstrap_over_prompts_is_that_of_scipy_over_their_means():
    rng = np.random.default_rng(2)
    values = rng.random(400)
    mine = bootstrap_means(np.column_stack([values, values - 0.1]), np.arange(400), rounds=4000)
    scipys = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert (mine[0].low, mine[0].high) == pytest.approx(tuple(scipys), abs=0.004)
    assert (mine[1].low, mine[1].high) == pytest.approx((mine[0].low - 0.1, mine[0].high - 0.1))
    # Pairs that are copies of each other add nothing: the interval is that of one of each prompt.
    copied = bootstrap_means(np.repeat(values, 5)[:, None], np.repeat(np.arange(400), 5), rounds=4000)[0]
    assert (copied.low, copied.high) == pytest.approx((mine[0].low, mine[0].high), abs=1e-9)
    [nothing] = bootstrap_means(np.full((4, 1), np.nan), np.arange(4), rounds=100)
    assert nothing.value is None and nothing.low is None


def test_slices_are_accuracies_of_their_pairs(matrix):
    found = {one.value: one for one in slice_accuracies(matrix, rules_of(matrix), RewardConfig(min_scored=0), 200, 0)}
    right = told_right(matrix, [1.0] * 4)
    for value in ("a", "b", "rare"):
        own = [one for one, kind in zip(right, matrix.slices["kind"], strict=True) if kind == value and one is not None]
        assert found[value].n_pairs == len(own) and found[value].accuracy.value == pytest.approx(np.mean(own))
    few = dataclasses.replace(matrix, slices={"id": [str(i // 7) for i in range(matrix.n_pairs)]})
    [together] = slice_accuracies(few, rules_of(matrix), RewardConfig(min_scored=0), 200, 0)
    known = [one for one in right if one is not None]
    assert together.value == "(65 values of fewer than 20 pairs each)"
    assert (together.n_pairs, together.accuracy.value) == (len(known), pytest.approx(np.mean(known)))


def test_margins_hold_each_pair_once_and_nothing_tied(matrix):
    bins = margin_bins(matrix, rules_of(matrix))
    right = [one for one in told_right(matrix, [1.0] * 4) if one not in (None, 0.5)]
    assert sum(one.n_pairs for one in bins) == len(right)
    assert sum(one.n_pairs * one.accuracy.value for one in bins) == pytest.approx(sum(right))
    assert all(one.low <= one.high for one in bins)
    assert all(one.high < other.low for one, other in itertools.pairwise(bins))


def test_curves_end_where_all_rules_and_all_of_dev_are(matrix):
    curves, scored = learning_curves(matrix, rounds=200), without_failures(matrix)
    test = on_test(scored.prompts)
    dev_part, test_part = scored.of(~test), scored.of(test)

    def accuracy(weights):
        return np.mean([0.5 if one is None else one for one in told_right(test_part, weights)])

    assert [point.n for point in curves.by_rules] == [1, 2, 3, 4]
    assert curves.by_rules[-1].accuracy.value == pytest.approx(accuracy([1.0] * 4))
    surest = int(np.argmax(measure_agreement(dev_part).low))
    assert curves.by_rules[0].accuracy.value == pytest.approx(accuracy([float(i == surest) for i in range(4)]))
    assert curves.by_pairs[0].n == 25 and curves.by_pairs[-1].n == dev_part.n_pairs
    weights = np.maximum(0, log_odds(dev_part)).tolist()
    assert curves.by_pairs[-1].accuracy.value == pytest.approx(accuracy(weights))
    assert all(point.accuracy.low < point.accuracy.value < point.accuracy.high for point in curves.by_pairs)


def test_curves_know_nothing_of_the_labels_of_test(matrix):
    turned = on_test(matrix.prompts)[:, None]
    chosen, rejected = np.where(turned, (matrix.rejected, matrix.chosen), (matrix.chosen, matrix.rejected))
    other = dataclasses.replace(matrix, chosen=chosen, rejected=rejected)
    curves, mirrored = learning_curves(matrix, rounds=100), learning_curves(other, rounds=100)
    for name in ("by_rules", "by_pairs"):
        for one, two in zip(getattr(curves, name), getattr(mirrored, name), strict=True):
            assert one.accuracy.value == pytest.approx(1 - two.accuracy.value)


@pytest.mark.parametrize("policy", ["excluded", "satisfied", "unsatisfied"])
@pytest.mark.parametrize("case", ["one rule", "one pair", "all N/A", "all unscored"])
def test_the_smallest_matrices_have_an_evaluation(case, policy):
    ids, shape = (("a",), (3, 1)) if case == "one rule" else (("a", "b"), (1 if case == "one pair" else 6, 2))
    label = {"all N/A": NOT_APPLICABLE, "all unscored": UNSCORED}.get(case, YES)
    chosen = np.full(shape, label, dtype=np.int8)
    rejected = np.where(chosen == YES, NO, chosen).astype(np.int8)
    matrix = PairMatrix(ids, chosen, rejected, np.arange(shape[0]), na_policy=policy)
    found = evaluate(matrix, rules_of(matrix), rounds=100)
    assert len(found.rules) == len(ids) and found.weightings is None and "too few" in found.no_weightings
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_no_pair_is_an_error():
    none = np.zeros((0, 2), dtype=np.int8)
    matrix = PairMatrix(("a", "b"), none, none, np.arange(0))
    with pytest.raises(InputError, match="no pair has verdicts on both sides"):
        evaluate(matrix, rules_of(matrix))


@pytest.mark.parametrize("fraction", ["hard", "soft"])
@pytest.mark.parametrize("policy", ["excluded", "satisfied", "unsatisfied"])
def test_sides_are_scored_as_the_reward_scores_them(matrix, fraction, policy):
    reward = RewardConfig(fraction=fraction, min_scored=0.8)
    made = make_rule_set("a", "b", "c", "d")
    verification = made.verification.model_copy(update={"na_policy": policy})
    rules = tuple(rule.model_copy(update={"weight": w}) for rule, w in zip(made.rules, (2, 1, 1, 0.5), strict=True))
    rule_set = made.model_copy(update={"rules": rules, "reward": reward, "verification": verification})
    own = dataclasses.replace(matrix, na_policy=policy).of(np.arange(80))
    names = {YES: "yes", NO: "no", NOT_APPLICABLE: "not_applicable", UNSCORED: None}
    sides = ((own.chosen, own.chosen_p), (own.rejected, own.rejected_p))
    for scores, (labels, p_yes) in zip(rewarded_scores(own, rules, reward), sides, strict=True):
        for score, row, p in zip(scores, labels, p_yes, strict=True):
            verdicts = [
                Verdict(
                    completion_id="c", rule_id=rule.rule_id, verdict=names[int(label)], p_yes=None if label < 0 else q
                )
                for rule, label, q in zip(rules, row.tolist(), p, strict=True)
            ]
            expected = tally_verdicts(verdicts, rule_set, rules).fraction
            assert np.isnan(score) if expected is None else score == pytest.approx(expected)
