from collections import Counter

import pytest

from autorule.config.layers import build_config
from autorule.config.runs import ExtractConfig
from autorule.errors import ConfigError
from autorule.preferences.sampling import sample_pairs
from tests.conftest import make_pair

STRATEGIES = ("random", "stratified", "diverse", "contrastive")
TOPICS = ("bread", "trains", "poems", "taxes")


def many(n=60):
    return [
        make_pair(
            f"Tell me about {TOPICS[i % 4]}, part {i}.",
            "x" * (50 + i),
            "y" * 50,
            row=i + 1,
            stratum="rare" if i < 3 else "common",
        )
        for i in range(n)
    ]


def ids(pairs):
    return [pair.pair_id for pair in pairs]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_draw_depends_on_seed_and_pairs_alone(strategy):
    pairs = many()
    swapped = [p.model_copy(update={"chosen": p.rejected, "rejected": p.chosen}) for p in pairs]
    drawn = ids(sample_pairs(pairs, 10, 3, strategy))
    assert len(set(drawn)) == 10
    assert drawn == ids(sample_pairs(swapped, 10, 3, strategy)), "the label changes nothing"
    assert set(drawn) == set(ids(sample_pairs(reversed(pairs), 10, 3, strategy))), "nor does the order of the rows"
    rows = [pair.row for pair in sample_pairs(pairs, 10, 3, strategy)]
    assert rows == sorted(rows)
    assert len(ids(sample_pairs(pairs, None, 3, strategy))) == len(ids(sample_pairs(pairs, 100, 3, strategy))) == 60


@pytest.mark.parametrize("strategy", ["random", "stratified", "diverse"])
def test_another_seed_draws_others(strategy):
    assert ids(sample_pairs(many(), 10, 3, strategy)) != ids(sample_pairs(many(), 10, 4, strategy))


def test_stratified_gives_each_stratum_as_many_as_can_be():
    drawn = Counter(pair.stratum for pair in sample_pairs(many(), 10, 0, "stratified"))
    assert drawn == {"rare": 3, "common": 7}
    assert Counter(pair.stratum for pair in sample_pairs(many(), 4, 0, "stratified")) == {"rare": 2, "common": 2}


def test_contrastive_takes_pairs_of_about_equal_length_first():
    drawn = list(sample_pairs(many(), 5, 0, "contrastive"))
    assert all(len(p.chosen[0].content) <= 50 / 0.9 for p in drawn)


def test_diverse_prompts_are_farther_apart_than_random_ones():
    others = ["Which trains run at night?", "Write four lines that rhyme.", "Explain income tax simply."]
    pairs = [make_pair(f"Tell me about the bread of baker number {i}.", row=i) for i in range(1, 57)]
    pairs += [make_pair(text, row=60 + i) for i, text in enumerate(others)]
    drawn = [p.prompt[0].content for p in sample_pairs(pairs, 4, 0, "diverse")]
    assert set(others) <= set(drawn)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draw": "stratified", "limit": 5}, "stratum"),
        ({"draw": "diverse"}, "needs a limit"),
        ({"draw": "best", "limit": 5}, "draw"),
    ],
)
def test_draws_that_can_not_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_config(ExtractConfig, {"pairs": "a.jsonl"}, settings)
