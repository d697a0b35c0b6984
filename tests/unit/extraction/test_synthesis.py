import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.backends.asking import ask
from autorule.backends.base import output_from_text
from autorule.backends.scripted import ScriptedBackend
from autorule.backends.text_vectors import text_vectors
from autorule.config.layers import build_config, load_preset
from autorule.config.models import EMBEDDED
from autorule.config.runs import ExtractConfig
from autorule.config.stages import SynthesisConfig
from autorule.errors import ParseError, RunFailedError
from autorule.extraction.merging import (
    Merge,
    Merged,
    apply_merge,
    build_request,
    build_review,
    parse_merge,
    parse_review,
    read_merge,
)
from autorule.extraction.synthesis import (
    after_round,
    as_dropped,
    as_rules,
    check_single_merge,
    choose,
    fits_one_call,
    fold,
    in_order,
    list_room,
    merge_groups,
)
from autorule.prompting import load_prompt
from autorule.records import CandidateRule, Failure, Usage, content_id
from autorule.rules.similarity import leader_clusters, similar_pairs

CONFIG = SynthesisConfig()
NO_REVIEW = SynthesisConfig(review=False)
PROMPT = load_prompt("synthesis")
ROOM = list_room(CONFIG, PROMPT)


def candidate(text: str, pair: str) -> CandidateRule:
    return CandidateRule(candidate_id=content_id(text, pair), text=text, interpretation_id=pair, pair_id=pair)


def drafts(*texts: str):
    return in_order(
        fold(
            [candidate(text, f"p{i}") for i, text in enumerate(texts)], SynthesisConfig(fold_similarity=1), text_vectors
        )
    )


def merged_drafts(group, merged, config=CONFIG, reviewed=None):
    return apply_merge(read_merge(group, merged, PROMPT, 300, config, text_vectors), reviewed)


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
    folded = fold(candidates, SynthesisConfig(fold_similarity=0.6), text_vectors)
    assert [(d.support, len(d.candidates)) for d in folded] == [(2, 3), (1, 1)]
    assert folded[0].text == "the response should state the answer first", "as common as the others, and the shortest"
    assert fold([], CONFIG, text_vectors) == []


def test_opposite_rules_never_fold_without_a_model():
    text = "The response should ask clarifying questions before it answers when the request is ambiguous."
    candidates = [candidate(text, f"p{i}") for i in range(3)]
    candidates += [candidate(text.replace("should ask", "should not ask"), f"q{i}") for i in range(2)]
    assert [draft.support for draft in fold(candidates, CONFIG, text_vectors)] == [3, 2]


def test_a_share_of_the_pairs_is_rounded_up_only_where_it_is_no_whole_number():
    group = drafts(*["It should be short."] * 7)
    kept, dropped = choose(group, SynthesisConfig(min_support_share=0.07), 100)
    assert (len(kept), dropped) == (1, [])


def test_the_order_of_candidates_does_not_matter():
    texts = [f"The response should mention {word} in its text." for word in ("alpha", "beta", "gamma", "delta")]
    candidates = [candidate(text, f"p{i % 3}") for i, text in enumerate(texts * 2)]
    forward, backward = (fold(order, CONFIG, text_vectors) for order in (candidates, candidates[::-1]))
    assert as_rules(forward) == as_rules(backward)


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
    merged = merged_drafts(group, [Merged("The response should be short.", (0, 1))], NO_REVIEW)
    assert [d.text for d in merged] == ["The response should be short.", "It should rhyme."]
    behind = {c.candidate_id for d in merged for c in d.candidates}
    assert behind == {c.candidate_id for d in group for c in d.candidates}


def test_a_merge_into_the_words_of_another_rule_loses_no_candidate():
    rules = drafts("It should be short.", "It should be brief.", "Every text should rhyme.")
    groups = {"a": [d for d in rules if "rhyme" not in d.text]}
    merged = {"a": merged_drafts(groups["a"], [Merged("Every text should rhyme.", (0, 1))], NO_REVIEW)}
    (joined,) = after_round(rules, groups, merged)
    assert joined.support == 3
    again = after_round([joined], {"b": [joined], "c": [joined]}, {"b": [joined]})
    assert again == [joined], "a group that failed leaves its rules"


def test_a_merged_text_that_is_no_rule_leaves_its_members():
    group = drafts("It should be short.", "It should be brief.")
    assert merged_drafts(group, [Merged("Better than Response A in all.", (0, 1))], NO_REVIEW) == group


def test_groups_are_clusters_of_similar_rules_and_grow_from_round_to_round():
    rules = drafts(
        *(f"The response should mention the word {w}." for w in ("one", "two", "three")),
        "Poems rhyme at their ends.",
        "Poems rhyme, all their lines.",
    )
    vectors = text_vectors([rule.text for rule in rules])
    first = merge_groups(rules, vectors, CONFIG, 0, ROOM)
    assert sorted(map(len, first)) == [2, 3], "one call a cluster"
    (packed,) = merge_groups(rules, vectors, CONFIG, 1, ROOM)
    assert set(packed) == set(rules), "clusters that fit one call share it"
    assert [len(g) for g in merge_groups(rules, vectors, SynthesisConfig(max_merge_rules=2), 0, ROOM)] == [2, 2]
    assert merge_groups(rules[:1], None, CONFIG, 1, ROOM) == []


def test_a_call_takes_what_its_context_and_its_answer_can_hold():
    rules = drafts(*(f"The response should mention the word number {i}." for i in range(90)))

    def fits(**settings):
        config = SynthesisConfig(**settings)
        return fits_one_call(rules, config, list_room(config, PROMPT))

    assert fits()
    assert not fits(max_merge_rules=89)
    assert not fits(context_tokens=2048)
    assert not fits(sampling={"max_tokens": 1000})


def test_a_single_merge_that_can_not_fit_is_refused_with_the_figures():
    rules = drafts(*(f"The response should mention the word number {i}." for i in range(90)))
    check_single_merge(rules, CONFIG)
    with pytest.raises(RunFailedError, match=r"90 distinct candidates needs about [\d,]+ tokens .* has 2,048"):
        check_single_merge(rules, SynthesisConfig(context_tokens=2048))


def test_too_little_support_and_the_size_cap_drop_with_a_reason():
    candidates = [candidate("Poems rhyme at their ends.", f"p{i}") for i in range(3)]
    candidates += [candidate("It should be short.", f"q{i}") for i in range(2)] + [candidate("Use headings.", "r")]
    folded = fold(candidates, CONFIG, text_vectors)
    kept, left = choose(folded, SynthesisConfig(max_rules=1, min_support_share=0.2), n_pairs=6)
    rules = as_rules(kept)
    assert [(rule.text, rule.support) for rule in rules] == [("Poems rhyme at their ends.", 3)]
    dropped = {d.candidate_id: d.reason for d in as_dropped(left, rules)}
    assert set(dropped) == {c.candidate_id for c in candidates[3:]}
    assert "over the size cap of 1 rules (support 2)" in dropped[candidates[3].candidate_id]
    assert "support 1 is below 2 of 6 pairs" in dropped[candidates[5].candidate_id]


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
    found = {(p.first, p.second): p.similarity for p in similar_pairs(text_vectors(texts), 0.4)}
    everything = {(p.first, p.second): p.similarity for p in similar_pairs(text_vectors(texts), 1e-9)}
    assert found == {key: value for key, value in everything.items() if value >= 0.4}
    assert all(0 < value <= 1 + 1e-9 for value in everything.values())
    assert list(similar_pairs(text_vectors(["", ""]), 0.1)) == []


def test_clusters_hold_every_text_once_and_respect_their_size():
    texts = [f"The response should mention number {i}." for i in range(9)]
    clusters = leader_clusters(text_vectors(texts), 0.3, max_size=4)
    assert sorted(index for cluster in clusters for index in cluster) == list(range(9))
    assert max(map(len, clusters)) == 4


def test_json_of_a_merge_request_is_what_the_parser_reads():
    request = build_request(drafts("It should be short.", "It should be brief."), PROMPT, CONFIG)
    entry = request.json_schema["properties"]["rules"]["items"]
    answer = json.dumps({"rules": [dict.fromkeys(entry["required"], "It is short.") | {"from": [1, 2]}]})
    assert parse_merge(request, output_from_text(answer, "stop", Usage(), "m"), 2)


def test_forgotten_and_unlike_members_are_reviewed():
    group = drafts("It should be short.", "It should be short indeed.", "Verse ought to rhyme.", "Cite all sources.")
    short, indeed, cite, verse = (
        next(i for i, d in enumerate(group) if d.text.startswith(start))
        for start in ("It should be short.", "It should be short i", "Cite", "Verse")
    )
    answer = [Merged("It should be short.", (short, indeed, verse))]
    merge = read_merge(group, answer, PROMPT, 300, CONFIG, text_vectors)
    assert merge.rules == (Merged("It should be short.", (short, indeed)),)
    assert (merge.doubtful, merge.forgotten) == ({verse: 0}, (cite,))
    request = build_review(merge, load_prompt("synthesis_review"), CONFIG)
    assert "1. It should be short." in request.messages[0].content
    statements = [group[number].text for number in merge.to_review]
    assert all(f"{i}. {text}" in request.messages[0].content for i, text in enumerate(statements, start=1))

    def texts(reviewed):
        return {draft.text: draft.support for draft in apply_merge(merge, reviewed)}

    apart = {"It should be short.": 2, "Verse ought to rhyme.": 1, "Cite all sources.": 1}
    assert texts(None) == texts({}) == apart, "without a review that confirms it nothing unlike is joined"
    position = {number: i for i, number in enumerate(merge.to_review)}
    assert texts({position[verse]: 0}) == {"It should be short.": 3, "Cite all sources.": 1}
    assert texts({position[cite]: 0}) == {"It should be short.": 3, "Verse ought to rhyme.": 1}


def test_a_number_under_two_rules_is_asked_about_again():
    group = drafts("It should be short.", "It should be quite short.", "It should be short in all.")
    merge = read_merge(
        group,
        [Merged("It should be short.", (0, 1)), Merged("It should be quite short.", (1, 2))],
        PROMPT,
        300,
        CONFIG,
        text_vectors,
    )
    assert 1 in merge.doubtful


@pytest.mark.parametrize(
    ("answer", "matches"),
    [
        ('{"matches": [{"statement": 1, "rule": 2}, {"statement": 2, "rule": 0}]}', {0: 1}),
        ('Well: {"matches": []}', {}),
        ('{"matches": [{"statement": 3, "rule": 1}]}', None),
        ('{"matches": [{"statement": 1, "rule": 3}]}', None),
        ('{"matches": [{"statement": 1}]}', None),
        ("[1]", None),
    ],
)
def test_answers_to_a_review(answer, matches):
    group = drafts("It should be short.", "Verse ought to rhyme.")
    merge = Merge(tuple(group), (Merged("It should be short.", (0,)),), {}, (1,))
    request = build_review(merge, load_prompt("synthesis_review"), CONFIG)
    output = output_from_text(answer, "stop", Usage(), "m")
    if matches is None:
        with pytest.raises(ParseError):
            parse_review(request, output, 2, 2)
    else:
        assert parse_review(request, output, 2, 2) == matches


@given(st.data())
def test_no_merge_loses_a_candidate(data):
    words = ("short", "long", "polite", "in verse", "sourced", "plain", "formal", "dated")
    group = drafts(*(f"The response should be {word}." for word in words[: data.draw(st.integers(2, 8))]))
    numbers = st.lists(st.integers(0, len(group) - 1), min_size=1, unique=True).map(tuple)
    texts = st.sampled_from(["The response should be brief.", "It is Response A.", *(d.text for d in group)])
    answer = data.draw(st.lists(st.builds(Merged, texts, numbers), max_size=5))
    merge = read_merge(group, answer, PROMPT, 300, data.draw(st.sampled_from([CONFIG, NO_REVIEW])), text_vectors)
    reviews = st.dictionaries(
        st.integers(0, max(0, len(merge.to_review) - 1)), st.integers(0, max(0, len(merge.rules) - 1))
    )
    reviewed = data.draw(st.none() | reviews) if merge.rules and merge.to_review else None
    after = after_round(group, {"k": group}, {"k": apply_merge(merge, reviewed)})
    assert {c.candidate_id for d in after for c in d.candidates} == {
        c.candidate_id for d in group for c in d.candidates
    }


def test_a_short_answer_bounds_the_list_only_where_it_repeats_the_list():
    """The embedded preset allows 28 tokens for its one line: that must not leave its clusters unmerged."""
    embedded = build_config(ExtractConfig, load_preset(EMBEDDED), {"pairs": "a"}).synthesis
    rules = drafts(*(f"The response should mention the word {w}." for w in ("one", "two", "three", "four", "five")))
    vectors = text_vectors([rule.text for rule in rules])
    room = list_room(embedded, load_prompt(embedded.prompt))
    (group,) = merge_groups(rules, vectors, embedded, 0, room)
    assert len(group) == 5
    for pair in merge_groups(rules, vectors, embedded, 0, list_room(embedded, PROMPT)):
        assert len(pair) == 2, "a pair is always asked about: if it can't be answered, that shows as a failure"
