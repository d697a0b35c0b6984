"""Micro-batches: each request gets its own answer, whatever the others are."""

import asyncio

import pytest

from autorule.errors import BackendError, ConfigError
from autorule.rewards import RuleReward
from autorule.serving.batching import Batcher, FullError, Item
from tests.conftest import make_rule_set

MODEL = {"backend": "scripted", "model": "tests.scripts:by_words_slowly"}


def batcher(reward=None, **options):
    rule_set = make_rule_set("Mention pears.", "Mention apples.")
    return Batcher(reward or RuleReward(rule_set, MODEL, cache={"enabled": False}), **options)


def item(text, **columns):
    return Item("Name a fruit.", text, columns)


def gather(own, *requests):
    async def all_of_them():
        return await asyncio.gather(*map(own.score, requests), return_exceptions=True)

    return asyncio.run(all_of_them())


def test_a_bad_request_is_its_senders_alone():
    own = batcher(n_workers=1)
    good = [[item("pears")] for _ in range(9)]
    bad = [item("pears", rules=["x"])]
    answers = gather(own, *good[:5], bad, *good[5:])
    assert isinstance(answers.pop(5), ConfigError)
    assert [[one.reward for one in answer] for answer in answers] == [[0.5]] * 9


def test_columns_of_one_request_are_not_those_of_another():
    own = batcher(n_workers=1)
    rule_id = own._reward.rules[0].rule_id
    [first], [second] = gather(own, [item("pears")], [item("pears", rules=[rule_id], other=1)])
    assert (first.reward, second.reward) == (0.5, 1.0)


def test_a_verifier_that_is_away_is_asked_once_for_a_batch():
    class Away:
        calls = 0

        def score(self, *_):
            self.calls += 1
            raise BackendError("nobody there")

    away = Away()
    answers = gather(batcher(away, n_workers=1), [item("a")], [item("b")], [item("c")])
    assert all(isinstance(answer, BackendError) for answer in answers)
    assert away.calls <= 2


def test_room_that_is_taken_and_room_that_never_is():
    own = batcher(n_workers=1, max_waiting=2)
    answers = gather(own, [item("a")] * 2, [item("b")], [item("c")] * 3)
    assert len(answers[0]) == 2
    assert isinstance(answers[1], FullError)
    assert isinstance(answers[2], ConfigError)


def test_requests_whose_clients_left_are_not_scored():
    scored = []

    class Noting:
        def score(self, prompts, completions, columns):
            scored.extend(completions)
            return list(completions)

    async def leave():
        own = batcher(Noting(), n_workers=1)
        waiting = [asyncio.ensure_future(own.score([item(str(i))])) for i in range(5)]
        await asyncio.sleep(0)
        for task in waiting[1:4]:
            task.cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    answers = asyncio.run(leave())
    assert answers[0] == ["0"] and answers[4] == ["4"]
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[1:4])
    assert set(scored) == {"0", "4"}


@pytest.mark.parametrize("n", [1, 7, 40])
def test_every_item_is_answered_in_order(n):
    texts = [("plums", "pears", "pears apples")[i % 3] for i in range(n)]
    [answer] = gather(batcher(max_batch=4, n_workers=3), [item(text) for text in texts])
    assert [one.reward for one in answer] == [(i % 3) / 2 for i in range(n)]
