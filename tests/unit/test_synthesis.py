import json

import pytest

from autorule.asking import ask
from autorule.backends.base import output_from_text
from autorule.backends.scripted import ScriptedBackend
from autorule.errors import ParseError
from autorule.prompting import load_prompt
from autorule.records import CandidateRule, Failure, Usage, content_id
from autorule.similarity import leader_clusters, similar_pairs
from autorule.stage_config import SynthesisConfig
from autorule.synthesis import (
    Merged,
    after_round,
    apply_merge,
    build_request,
    finish,
    fold,
    in_order,
    merge_groups,
    parse_merge,
)

CONFIG = SynthesisConfig()
PROMPT = load_prompt("synthesis")


def candidate(text: str, pair: str) -> CandidateRule:
    return CandidateRule(candidate_id=content_id(text, pair), text=text, interpretation_id=pair, pair_id=pair)


def drafts(*texts: str):
    return in_order(
        fold([candidate(text, f"p{i}") for i, text in enumerate(texts)], SynthesisConfig(fold_similarity=1))
    )


def parse(answer: str, n_rules: int, finish_reason="stop", variant="synthesis"):
    request = build_request(drafts("It should be short.", "It should be brief."), load_prompt(variant), CONFIG)
    return parse_merge(request, output_from_text(answer, finish_reason, Usage(), "m"), n_rules)


def test_golden_prompt():
    request = build_request(drafts("It should be short.", "Answers ought to rhyme."), PROMPT, CONFIG)
    assert "\n```\n1. Answers ought to rhyme.\n2. It should be short.\n```\n" in request.messages[0].content
    assert request.json_schema["required"] == ["rules"]


def test_folding_joins_same_and_nearly_same_words_and_counts_distinct_pairs():
    candidates = [
        candidate("The response should state the answer first.", "p1"),
        candidate("the response should state the answer first", "p1"),
        candidate("The response should state the answers first.", "p2"),
        candidate("A poem ought to rhyme in every line.", "p3"),
    ]
    folded = fold(candidates, SynthesisConfig(fold_similarity=0.6))
    assert [(d.support, len(d.candidates)) for d in folded] == [(2, 3), (1, 1)]
    assert folded[0].text == "the response should state the answer first", "as common as the others, and the shortest"
    assert fold([], CONFIG) == []


def test_the_order_of_candidates_does_not_matter():
    texts = [f"The response should mention {word} in its text." for word in ("alpha", "beta", "gamma", "delta")]
    candidates = [candidate(text, f"p{i % 3}") for i, text in enumerate(texts * 2)]
    forward, backward = (finish(fold(order, CONFIG), CONFIG) for order in (candidates, candidates[::-1]))
    assert forward == backward


@pytest.mark.parametrize(
    ("answer", "merged"),
    [
        ('{"rules": [{"rule": "It should be short", "from": [1, 2]}]}', [Merged("It should be short.", (0, 1))]),
        ('```json\n{"rules": [{"rule": "It is short.", "from": [2]}]}\n```', [Merged("It is short.", (1,))]),
        (
            '<think>{"rules": [{"rule": "no", "from": [1]}]}</think>{"rules": [{"rule": "It is.", "from": [1]}]}',
            [Merged("It is.", (0,))],
        ),
        (
            '{"rules": [{"rule": "...", "from": [1, 2]}]} {"rules": [{"rule": "It is.", "from": [1, 1]}]}',
            [Merged("It is.", (0,))],
        ),
    ],
    ids=["clean", "fenced", "thinking", "echoed example"],
)
def test_answers_that_can_be_read(answer, merged):
    assert parse(answer, 2) == merged


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I can't merge these.",
        '{"rules": [{"rule": "It is short.", "from": [1',
        '{"rules": [{"rule": "It is short.", "from": [3]}]}',
        '{"rules": [{"rule": "It is short.", "from": [0]}]}',
        '{"rules": [{"rule": "It is short.", "from": []}]}',
        '{"rules": [{"rule": "It is short.", "from": [true]}]}',
        '{"rules": ["It is short."]}',
    ],
    ids=["empty", "refusal", "truncated", "number too big", "number too small", "no source", "no number", "no sources"],
)
def test_answers_that_can_not_be_read(answer):
    with pytest.raises(ParseError):
        parse(answer, 2)


def test_a_begun_answer_of_one_line_replaces_the_whole_group():
    assert parse(" be short.", 2, variant="synthesis.small") == [Merged("The response should be short.", (0, 1))]
    for answer, reason in ((" be", "length"), (" be short.\n- The response should rhyme.", "stop")):
        with pytest.raises(ParseError):
            parse(answer, 2, reason, variant="synthesis.small")


def test_a_merge_keeps_every_candidate_also_those_it_forgot():
    group = drafts("It should be short.", "It should be brief.", "It should rhyme.")
    merged = apply_merge(group, [Merged("The response should be short.", (0, 1))], PROMPT, 300)
    assert [d.text for d in merged] == ["The response should be short.", "It should rhyme."]
    behind = {c.candidate_id for d in merged for c in d.candidates}
    assert behind == {c.candidate_id for d in group for c in d.candidates}


def test_a_merge_into_the_words_of_another_rule_loses_no_candidate():
    rules = drafts("It should be short.", "It should be brief.", "Every text should rhyme.")
    groups = {"a": [d for d in rules if "rhyme" not in d.text]}
    merged = {"a": apply_merge(groups["a"], [Merged("Every text should rhyme.", (0, 1))], PROMPT, 300)}
    (joined,) = after_round(rules, groups, merged)
    assert joined.support == 3
    again = after_round([joined], {"b": [joined], "c": [joined]}, {"b": [joined]})
    assert again == [joined], "a group that failed leaves its rules"


def test_a_merged_text_that_is_no_rule_leaves_its_members():
    group = drafts("It should be short.", "It should be brief.")
    assert apply_merge(group, [Merged("Better than Response A in all.", (0, 1))], PROMPT, 300) == group


def test_groups_are_clusters_first_and_lists_that_fit_later():
    rules = drafts(
        *(f"The response should mention the word {w}." for w in ("one", "two", "three")), "Poems rhyme at their ends."
    )
    (cluster,) = merge_groups(rules, SynthesisConfig(merge_similarity=0.3), 0)
    assert len(cluster) == 3
    assert [len(g) for g in merge_groups(rules, SynthesisConfig(max_merge_rules=3), 1)] == [3, 1]
    assert merge_groups(rules[:1], CONFIG, 1) == []


def test_the_size_cap_drops_the_least_supported_with_a_reason():
    candidates = [candidate("Poems rhyme at their ends.", f"p{i}") for i in range(3)] + [
        candidate("It should be short.", "q")
    ]
    rules, dropped = finish(fold(candidates, CONFIG), SynthesisConfig(max_rules=1))
    assert [(rule.text, rule.support) for rule in rules] == [("Poems rhyme at their ends.", 3)]
    assert [d.candidate_id for d in dropped] == [candidates[-1].candidate_id]
    assert "over the size cap of 1" in dropped[0].reason


def test_a_failed_merge_is_a_failure_of_that_merge():
    request = build_request(drafts("It should be short.", "It should be brief."), PROMPT, CONFIG)
    backend = ScriptedBackend(["no", "no"])
    ((_, failure),) = ask(backend, [request], lambda r, o: parse_merge(r, o, 2), asks=2)
    assert isinstance(failure, Failure)
    assert len(backend.log) == 2


def test_similar_pairs_agree_with_a_dense_computation():
    texts = [
        f"The response should {verb} the {noun}."
        for verb in ("state", "explain", "omit")
        for noun in ("answer", "reason", "steps")
    ]
    found = {(p.first, p.second): p.similarity for p in similar_pairs(texts, 0.4)}
    everything = {(p.first, p.second): p.similarity for p in similar_pairs(texts, 1e-9)}
    assert found == {key: value for key, value in everything.items() if value >= 0.4}
    assert all(0 < value <= 1 + 1e-9 for value in everything.values())
    assert list(similar_pairs(["", ""], 0.1)) == []


def test_clusters_hold_every_text_once_and_respect_their_size():
    texts = [f"The response should mention number {i}." for i in range(9)]
    clusters = leader_clusters(texts, 0.3, max_size=4)
    assert sorted(index for cluster in clusters for index in cluster) == list(range(9))
    assert max(map(len, clusters)) == 4


def test_json_of_a_merge_request_is_what_the_parser_reads():
    request = build_request(drafts("It should be short.", "It should be brief."), PROMPT, CONFIG)
    entry = request.json_schema["properties"]["rules"]["items"]
    answer = json.dumps({"rules": [dict.fromkeys(entry["required"], "It is short.") | {"from": [1, 2]}]})
    assert parse_merge(request, output_from_text(answer, "stop", Usage(), "m"), 2)
