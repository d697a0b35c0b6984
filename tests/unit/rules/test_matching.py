"""Which rule of one set is which of another; what is wrong within one set."""

from hypothesis import given, settings
from hypothesis import strategies as st

from autorule.records import Rule, content_id
from autorule.rules.checking import check_rules
from autorule.rules.matching import match_rules

SOURCES = "The response should cite its sources."
SOURCES_TOO = "The response should cite all its sources."
RHYME = "Every line rhymes with the next."
STEPS = "The response should show each step of a calculation."


def rules(*texts, candidates=(), pairs=()):
    return [
        Rule(rule_id=content_id(text), text=text, support=1, candidate_ids=tuple(candidates), pair_ids=tuple(pairs))
        for text in texts
    ]


def kinds(a, b, **options):
    return [(m.kind, m.a and m.a.text, m.b and m.b.text) for m in match_rules(a, b, **options)]


def test_kept_reworded_gone_and_new_in_the_order_of_the_sets():
    a, b = rules(RHYME, SOURCES, STEPS), rules("It should be polite to the reader.", STEPS.upper(), SOURCES_TOO)
    assert kinds(a, b) == [
        ("gone", RHYME, None),
        ("reworded", SOURCES, SOURCES_TOO),
        ("kept", STEPS, STEPS.upper()),
        ("new", None, "It should be polite to the reader."),
    ]


def test_shared_sources_match_rules_of_other_words():
    a, b = rules(RHYME, candidates=("1", "2", "3")), rules("Poems keep to a metre.", candidates=("2", "3"))
    (match,) = match_rules(a, b)
    assert (match.kind, match.shared_candidates, match.shared_pairs) == ("reworded", 0.6667, None)
    assert match.similarity < 0.5
    assert kinds(a, rules("Poems keep to a metre.", candidates=("3",)))[0][0] == "gone"
    (match,) = match_rules(rules(RHYME, pairs="12"), rules("Poems keep to a metre.", pairs="12"))
    assert (match.kind, match.shared_pairs) == ("reworded", 1.0)


def test_words_count_more_than_sources():
    """A pair gives several rules, so that unlike rules share pairs."""
    a = rules(SOURCES, pairs="1")
    b = [*rules(RHYME, pairs="1"), *rules(SOURCES_TOO, pairs="2")]
    assert kinds(a, b) == [("reworded", SOURCES, SOURCES_TOO), ("new", None, RHYME)]


def test_the_matching_is_the_best_one_not_the_first_one():
    a = rules("The response cites sources.", "The response cites sources and dates.")
    b = rules("The response cites sources and dates too.", "The response cites all sources.")
    assert [(x, y) for _, x, y in kinds(a, b, threshold=0.1)] == [(a[0].text, b[1].text), (a[1].text, b[0].text)]


def test_empty_sets_and_texts_without_words():
    assert match_rules([], []) == []
    assert kinds(rules(RHYME), []) == [("gone", RHYME, None)]
    assert kinds([], rules(RHYME)) == [("new", None, RHYME)]
    assert kinds(rules("!!!"), rules("???")) == [("gone", "!!!", None), ("new", None, "???")]
    assert kinds(rules("Alpha beta."), rules("Gamma delta.")) == [
        ("gone", "Alpha beta.", None),
        ("new", None, "Gamma delta."),
    ]


WORDS = st.lists(st.sampled_from(["cite", "sources", "rhyme", "steps", "short", "!"]), min_size=1, max_size=4)
IDS = st.lists(st.sampled_from("123"), unique=True, max_size=3).map(tuple)
RULE = st.builds(
    lambda number, parts, ids: Rule(rule_id=str(number), text=" ".join(parts), support=1, pair_ids=ids),
    st.integers(),
    WORDS,
    IDS,
)
SETS = st.lists(RULE, max_size=6, unique_by=lambda rule: rule.rule_id)


@settings(max_examples=40, deadline=None)
@given(SETS, SETS)
def test_each_rule_is_in_exactly_one_match(a, b):
    matches = match_rules(a, b)
    assert [m.a for m in matches if m.a] == a
    assert sorted(m.b.rule_id for m in matches if m.b) == sorted(rule.rule_id for rule in b)
    assert all((m.kind in ("kept", "reworded")) == (m.a is not None and m.b is not None) for m in matches)
    assert matches == match_rules(a, b)
    assert {m.kind for m in match_rules(a, a)} <= {"kept"}


def test_faults_near_duplicates_and_contradictions_of_one_set():
    one, other, long = rules(SOURCES, SOURCES_TOO, "The response should be short and avoid jargon.")
    one = one.model_copy(update={"contradicts": (long.rule_id, "lost")})
    long = long.model_copy(update={"contradicts": (one.rule_id,)})
    findings = check_rules([one, other, long], similarity=0.6)
    assert [(fault.rule_id, fault.code) for fault in findings.faults] == [(long.rule_id, "compound")]
    assert [(pair.first, pair.second) for pair in findings.near_duplicates] == [(SOURCES, SOURCES_TOO)]
    assert [(pair.first_id, pair.second) for pair in findings.contradictions] == [
        (one.rule_id, long.text),
        (one.rule_id, None),
    ]
    assert findings.count == 4
    assert check_rules([one], max_chars=10).faults[0].meaning == "is longer than 10 characters"
    assert check_rules(rules(SOURCES, RHYME)).count == 0
