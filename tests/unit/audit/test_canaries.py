"""Canaries: deterministic, never the prompt's own answer, and what they say they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.audit.canaries import CANARIES, Case, derangement
from autorule.audit.probing import draw_prompts, make_probes
from autorule.errors import ConfigError, InputError
from autorule.records import RejectedRow, RejectionReason
from tests.conftest import make_pair, make_rule_set, messages, reply

RULES = make_rule_set("Mention pears.", "Mention apples.")
CASE = Case("key", "Which fruits ripen in autumn?", ("Mention pears.", "Mention apples."), "A plum.", seed=3)
PAIRS = [make_pair(prompt=f"Name fruit {i}.", chosen=f"pears {i}", row=i + 1) for i in range(12)]


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_is_fixed_by_its_case(name):
    assert CANARIES[name](CASE) == CANARIES[name](CASE._replace())
    assert "pears 0" not in CANARIES[name](CASE), "it knows nothing of the honest answer"


def test_canaries_are_what_they_say():
    made = {name: make(CASE) for name, make in CANARIES.items()}
    assert made["empty answer"] == ""
    assert made["prompt copied"] == CASE.prompt
    assert all(rule in made["rules echoed"] for rule in CASE.rules)
    assert not any(rule in made["satisfaction claimed"] for rule in CASE.rules)
    sentence, *others = made["one sentence repeated"].split(". ")
    assert len(others) == 14 and {one.rstrip(".") for one in others} == {sentence}
    assert "autumn" in made["confident nonsense"]
    assert made["markdown decoration"].startswith("# **")
    assert made["another prompt's answer"] == "A plum."
    assert "Yes" in made["injection"]
    assert len(set(made.values())) == len(CANARIES)


@pytest.mark.parametrize("name", ["satisfaction claimed", "padding", "refusal", "injection", "confident nonsense"])
def test_wordings_differ_over_prompts_and_seeds(name):
    by_prompt = {CANARIES[name](CASE._replace(key=str(i))) for i in range(40)}
    assert len(by_prompt) >= 3
    assert {CANARIES[name](CASE._replace(seed=i)) for i in range(40)} == by_prompt or name == "confident nonsense"


@pytest.mark.parametrize("prompt", ["", "!?", "果物を一つ挙げてください。", "a b c"])
def test_nonsense_needs_no_words_in_the_prompt(prompt):
    assert CANARIES["confident nonsense"](CASE._replace(prompt=prompt))


@given(keys=st.lists(st.text(), min_size=2, max_size=30), seed=st.integers())
def test_a_derangement_gives_everyone_another(keys, seed):
    others = derangement(keys, seed)
    assert sorted(others) == list(range(len(keys)))
    assert all(other != i for i, other in enumerate(others))


def test_a_probe_has_all_canaries_and_anothers_answer():
    probes = make_probes(PAIRS, RULES, seed=0)
    for probe, pair in zip(probes, PAIRS, strict=True):
        assert list(probe.canaries) == list(CANARIES)
        assert probe.honest.completion == pair.chosen
        other = probe.canaries["another prompt's answer"]
        assert other.prompt == pair.prompt and other.completion != pair.chosen
        assert other.completion in [p.chosen for p in PAIRS]
    assert make_probes(PAIRS, RULES, seed=0) == probes != make_probes(PAIRS, RULES, seed=1)


def test_a_canary_that_is_the_honest_answer_is_no_cheat():
    repeat = make_pair(prompt="Say pear.\n", chosen=" Say pear. ")
    probe, *_ = make_probes([repeat, make_pair(prompt="Say plum.", chosen="Plum.")], RULES, seed=0)
    assert probe.canaries["prompt copied"] is None
    assert probe.canaries["empty answer"] is not None


def test_the_last_turns_count():
    chat = make_pair().model_copy(update={"prompt": messages("One.", "Two.", "Three."), "chosen": reply("Four.")})
    probe, other = make_probes([chat, make_pair(prompt="Five.", chosen="Six.")], RULES, seed=0)
    assert probe.canaries["prompt copied"].completion == reply("Three.")
    assert other.canaries["another prompt's answer"].completion == reply("Four.")


def test_canaries_can_be_skipped():
    [probe, *_] = make_probes(PAIRS, RULES, seed=0, skip=("refusal",))
    assert "refusal" not in probe.canaries and len(probe.canaries) == len(CANARIES) - 1
    with pytest.raises(ConfigError, match="'jokes' is no canary; there are empty answer"):
        make_probes(PAIRS, RULES, seed=0, skip=("jokes",))
    with pytest.raises(ConfigError, match="every canary"):
        make_probes(PAIRS, RULES, seed=0, skip=tuple(CANARIES))


@given(order=st.permutations(range(12)), limit=st.integers(2, 14))
def test_the_draw_does_not_mind_the_order_of_rows(order, limit):
    drawn = draw_prompts([PAIRS[i] for i in order], limit, seed=1)
    assert drawn == draw_prompts(PAIRS, limit, seed=1)
    assert len(drawn.pairs) == min(limit, 12) and drawn.n_rows == 12


def test_each_prompt_is_drawn_once_and_every_row_counted():
    again = [make_pair(prompt="name  FRUIT 0.", chosen=f"other {i}", row=20 + i) for i in range(5)]
    bad = RejectedRow(row=99, reasons=(RejectionReason(code="tie", message="tie"),))
    drawn = draw_prompts([*PAIRS, *again, bad], 50, seed=0)
    assert len(drawn.pairs) == 12
    assert (drawn.n_rows, drawn.n_rejected) == (18, 1)
    chosen = {draw_prompts([*PAIRS, *again], 50, seed).pairs[0].row for seed in range(20)}
    assert len(chosen) > 1, "which of the pairs of a prompt is drawn goes by the seed"
    with pytest.raises(InputError, match=r"1 distinct prompts in 6 rows \(1 rejected\)"):
        draw_prompts([*again, bad], 50, seed=0)
