"""From a rule back to its candidates, passages of chains, and pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.errors import InputError
from autorule.records import CandidateRule, Interpretation, Rule, content_id
from autorule.rules.lineage import missing_files, trace
from autorule.rules.passages import PassageFinder, sentences
from autorule.rules.rule_sets import Provenance
from autorule.runs.files import CANDIDATES, INTERPRETATIONS, PAIRS, write_records
from tests.conftest import make_pair, make_rule_set

CHAIN = """Okay, let me compare them. Response A is long, e.g. it repeats the question twice.

1. Response B cites two studies for its numbers.
2. Response A gives no sources at all! It also sounds sure of itself.
Dr. Smith would want the caveats. Overall, B explains each step."""


def passage(candidate, chain=CHAIN):
    found = PassageFinder(chain, "chain").find(candidate)
    assert chain[found.start : found.end] == found.text
    return found


def chain_of(number, chain=CHAIN, answer="It is the sources."):
    pair = make_pair(prompt=f"Question {number}?", row=number, source_id=f"s{number}")
    return pair, Interpretation(
        interpretation_id=content_id("i", number),
        pair_id=pair.pair_id,
        row=number,
        order=None,
        chain=chain,
        answer=answer,
        chain_source="field",
    )


def candidate_of(interpretation, text):
    return CandidateRule(
        candidate_id=content_id("c", interpretation.interpretation_id, text),
        text=text,
        interpretation_id=interpretation.interpretation_id,
        pair_id=interpretation.pair_id,
    )


def make_run(folder, text="The response should cite sources.", n=3, rule_of=None, **chain):
    """A run folder of n pairs with a candidate each, and the rule set of the one rule that they make."""
    folder.mkdir(exist_ok=True)
    made = [chain_of(number, **chain) for number in range(1, n + 1)]
    candidates = [candidate_of(interpretation, text) for _, interpretation in made]
    write_records(folder / PAIRS, [pair for pair, _ in made])
    write_records(folder / INTERPRETATIONS, [interpretation for _, interpretation in made])
    write_records(folder / CANDIDATES, candidates)
    rule = Rule(
        rule_id=content_id("rule", text),
        text=text,
        support=n,
        candidate_ids=tuple(sorted(c.candidate_id for c in candidates)),
        pair_ids=tuple(sorted(c.pair_id for c in candidates)),
    )
    return make_rule_set("x").model_copy(update={"rules": (rule,)})


def mined_from(rule_set, part):
    source = Provenance(
        models={}, prompts={}, sampling={}, seed=0, extract_from=part, n_pairs=3, n_candidates=3, prompt_hashes=()
    )
    return rule_set.model_copy(update={"provenance": (source,)})


def test_sentences_end_at_stops_and_lines_but_not_within_abbreviations_and_numbers():
    found = [CHAIN[span.start : span.end] for span in sentences(CHAIN)]
    assert found == [
        "Okay, let me compare them.",
        "Response A is long, e.g. it repeats the question twice.",
        "1. Response B cites two studies for its numbers.",
        "2. Response A gives no sources at all!",
        "It also sounds sure of itself.",
        "Dr. Smith would want the caveats.",
        "Overall, B explains each step.",
    ]
    assert len(sentences("它很短。它引用了来源！")) == 2
    assert sentences(" \n ") == []


@pytest.mark.parametrize(
    ("candidate", "beginning"),
    [
        ("The response should explain each of its steps.", "Overall, B explains"),
        ("The response should cite studies where it gives numbers.", "1. Response B cites"),
        ("The response should not repeat the question.", "Response A is long"),
        ("The response should rhyme.", "Okay, let me"),
    ],
)
def test_the_passage_is_the_sentence_that_shares_most_words(candidate, beginning):
    assert passage(candidate).text.startswith(beginning)


def test_two_sentences_are_taken_only_when_clearly_better():
    both = passage("The response should give sources and should not sound sure of itself.")
    assert both.text == "2. Response A gives no sources at all! It also sounds sure of itself."
    assert passage("The response should explain each step.").text == "Overall, B explains each step."


def test_scores_say_how_much_is_shared():
    assert passage("The response should explain each step.").score == 1
    assert passage("The response should rhyme.").score == 0
    assert 0 < passage("The response should explain each limerick.").score < 1
    assert passage("应引用来源", "它很短。它引用了来源！").text == "它引用了来源！"


def test_of_equal_sentences_the_earliest_is_taken():
    assert passage("It should be short.", "B is short. A is short.").start == 0


@given(st.text(min_size=1).filter(str.strip), st.text())
def test_any_candidate_gets_a_passage_of_any_chain(chain, candidate):
    found = passage(candidate, chain)
    assert found.text.strip() == found.text != ""
    assert 0 <= found.score <= 1
    assert found == passage(candidate, chain)


def test_every_candidate_of_every_rule_is_traced_to_its_pair(tmp_path):
    rule_set = make_run(tmp_path)
    (lineage,) = trace(rule_set, tmp_path)
    assert [c.candidate_id for c in lineage.candidates] == list(rule_set.rules[0].candidate_ids)
    assert {c.pair_id for c in lineage.candidates} == set(rule_set.rules[0].pair_ids)
    assert sorted((c.row, c.source_id) for c in lineage.candidates) == [(1, "s1"), (2, "s2"), (3, "s3")]
    assert {c.passage.part for c in lineage.candidates} == {"chain"}
    assert missing_files(tmp_path) == []


def test_the_passage_comes_from_what_was_mined(tmp_path):
    rule_set = make_run(tmp_path)
    (from_answer,) = trace(mined_from(rule_set, "answer"), tmp_path)
    assert {(c.passage.part, c.passage.text) for c in from_answer.candidates} == {("answer", "It is the sources.")}
    (from_both,) = trace(mined_from(make_run(tmp_path, "It explains each step."), "both"), tmp_path)
    assert {c.passage.part for c in from_both.candidates} == {"chain"}


def test_a_rule_written_by_hand_has_no_sources(tmp_path):
    make_run(tmp_path)
    assert [line.candidates for line in trace(make_rule_set("One rule.", "Another."), tmp_path)] == [(), ()]


def test_a_merged_set_is_traced_in_the_folders_of_all_its_runs(tmp_path):
    one = make_run(tmp_path / "a")
    other = make_run(tmp_path / "b", "The response should explain each step.")
    both = one.model_copy(update={"rules": (*one.rules, *other.rules)})
    first, second = trace(both, [tmp_path / "a", tmp_path / "b"])
    assert (len(first.candidates), len(second.candidates)) == (3, 3)
    assert trace(both, [tmp_path / "a"], {one.rules[0].rule_id}) == [first]
    with pytest.raises(InputError, match=r"names the candidate .* not in .*02_candidate_rules.jsonl"):
        trace(both, tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (CANDIDATES, "names the candidate {} which is not in {}"),
        (INTERPRETATIONS, "the interpretation {} is not in {}"),
        (PAIRS, "the pair {} is not in {}"),
    ],
)
def test_a_reference_to_nothing_names_the_id_and_the_file(tmp_path, name, message):
    rule_set = make_run(tmp_path)
    lines = (tmp_path / name).read_text().splitlines(keepends=True)
    (tmp_path / name).write_text("".join(lines[:2]))
    with pytest.raises(InputError, match=message.format(".*", f".*{name}")):
        trace(rule_set, tmp_path)


def test_files_that_are_no_stage_files(tmp_path):
    rule_set = make_run(tmp_path)
    (tmp_path / INTERPRETATIONS).write_text('{"chain": 1}\n')
    with pytest.raises(InputError, match=r"01_interpretations.jsonl, line 1: no Interpretation"):
        trace(rule_set, tmp_path)
    (tmp_path / INTERPRETATIONS).unlink()
    with pytest.raises(InputError, match="can't be read"):
        trace(rule_set, tmp_path)
    assert missing_files(tmp_path) == [tmp_path / INTERPRETATIONS]


def test_a_pair_that_no_candidate_came_from_is_an_error(tmp_path):
    rule_set = make_run(tmp_path)
    rule = rule_set.rules[0].model_copy(update={"pair_ids": ("nowhere",)})
    with pytest.raises(InputError, match="names the pair nowhere"):
        trace(rule_set.model_copy(update={"rules": (rule,)}), tmp_path)


def test_an_interpretation_without_a_chain_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no chain"):
        trace(make_run(tmp_path, chain=" \n"), tmp_path)
