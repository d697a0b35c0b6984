"""Changes by hand and the union of sets: what changes, what stays, what the history says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autorule.config.stages import RewardConfig, VerificationConfig
from autorule.errors import AutoruleError, ConfigError, RuleSetError
from autorule.records import Rule
from autorule.rules.editing import Changes, apply, find_rule
from autorule.rules.merging import merge_rule_sets
from autorule.rules.rule_sets import Edit, dump_rule_set, load_rule_set
from autorule.rules.saving import check_free, save_rule_set, user_name
from autorule.rules.text import new_rule_id
from tests.conftest import make_rule_set

CITE, SHORT, RHYME = "The response should cite its sources.", "It should be short.", "Every line should rhyme."


def make_rule(text, support=2, **fields):
    fields = {"candidate_ids": (f"c{text[:5]}",), "pair_ids": tuple(f"p{i}" for i in range(support)), **fields}
    return Rule(rule_id=new_rule_id(text), text=text, support=support, **fields)


def set_of(*rules, **settings):
    return make_rule_set("x", **settings).model_copy(update={"rules": rules})


def edited(rule_set, **changes):
    return apply(rule_set, Changes(**changes), "anna", "because")


RULES = set_of(
    make_rule(CITE, statistics={"agreement": 0.7}, aspect="evidence", weight=2.0),
    make_rule(SHORT, contradicts=(new_rule_id(CITE), new_rule_id(RHYME))),
    make_rule(RHYME, statistics={"agreement": 0.6}),
)
CITE_ID, SHORT_ID, RHYME_ID = (rule.rule_id for rule in RULES.rules)


def test_a_reworded_rule_has_the_id_of_its_text_and_keeps_its_sources_alone():
    after = edited(RULES, reword=[(CITE_ID[:6], "- It should name its sources")])
    rule = after.rules[0]
    assert (rule.text, rule.rule_id) == ("It should name its sources.", new_rule_id("It should name its sources."))
    before = RULES.rules[0]
    for name in ("support", "candidate_ids", "pair_ids", "aspect", "weight"):
        assert getattr(rule, name) == getattr(before, name)
    assert rule.statistics == {}
    assert after.rules[1].contradicts == (rule.rule_id, RHYME_ID)
    assert after.rules[2] == RULES.rules[2]
    edit = Edit(action="reworded", by="anna", rule_id=rule.rule_id, before=CITE, after=rule.text, reason="because")
    assert after.history == (edit,)


def test_dropping_pinning_and_adding():
    after = edited(RULES, drop=[RHYME_ID], pin=[CITE_ID], add=["It should greet the reader"])
    assert [(rule.text, rule.pinned) for rule in after.rules] == [
        (CITE, True),
        (SHORT, False),
        ("It should greet the reader.", False),
    ]
    assert after.rules[1].contradicts == (CITE_ID,)
    assert [(edit.action, edit.before, edit.after) for edit in after.history] == [
        ("added", None, "It should greet the reader."),
        ("pinned", None, None),
        ("dropped", RHYME, None),
    ]
    again = edited(after, unpin=[CITE_ID])
    assert again.rules[0].pinned is False
    assert again.history[:-1] == after.history


def test_the_only_rule_can_be_replaced_but_not_dropped():
    one = set_of(make_rule(CITE))
    with pytest.raises(RuleSetError, match="is the last rule"):
        edited(one, drop=[CITE_ID])
    assert [rule.text for rule in edited(one, drop=[CITE_ID], add=[SHORT]).rules] == [SHORT]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "nothing to change"),
        ({"drop": ["nothing"]}, "no rule has the id 'nothing'; the first ones are"),
        ({"drop": [CITE_ID[:9] + "zz"]}, f"near ones are {CITE_ID}"),
        ({"drop": [""]}, "no rule has the id ''"),
        ({"reword": [(CITE_ID, CITE)]}, "has this text already"),
        ({"reword": [(CITE_ID, "it SHOULD be short")]}, f"rule {SHORT_ID} says that already"),
        ({"reword": [(CITE_ID, " ")]}, "has no word"),
        ({"add": ["..."]}, "has no word"),
        ({"add": [RHYME]}, f"rule {RHYME_ID} says that already"),
        ({"unpin": [CITE_ID]}, "is not pinned"),
        ({"drop": [CITE_ID], "pin": [CITE_ID]}, "named by --drop and by --pin"),
        ({"pin": [CITE_ID], "unpin": [CITE_ID]}, "named by --pin and by --unpin"),
        ({"drop": [CITE_ID], "reword": [(CITE_ID, "New text.")]}, "named by --drop and by --reword"),
    ],
)
def test_what_can_not_be_done_is_one_line(changes, message):
    with pytest.raises(AutoruleError, match=message) as caught:
        edited(RULES, **changes)
    assert "\n" not in str(caught.value)


def test_an_id_goes_by_a_beginning_that_only_one_rule_has():
    twins = [make_rule(CITE).model_copy(update={"rule_id": rule_id}) for rule_id in ("ab", "abc", "abd")]
    rule_set = set_of(*twins)
    assert find_rule(rule_set, "ab").rule_id == "ab"
    assert find_rule(rule_set, "abd").rule_id == "abd"
    with pytest.raises(RuleSetError, match="'a' is the beginning of 3 ids: ab "):
        find_rule(rule_set, "a")


def test_a_set_that_would_be_of_no_use_is_not_made():
    weightless = set_of(make_rule(CITE), make_rule(SHORT, weight=0.0))
    with pytest.raises(RuleSetError, match="all weights are 0"):
        edited(weightless, drop=[CITE_ID])


TEXT = st.text(st.sampled_from("ab ."), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "drop", "pin", "unpin", "reword"]), st.integers(0, 9), TEXT)))
def test_whatever_is_edited_loads_again(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("edits") / "rules.json"
    rule_set = RULES
    for action, number, text in steps:
        rule_id = rule_set.rules[number % len(rule_set.rules)].rule_id
        change = {"add": [text], "reword": [(rule_id, text)]}.get(action, [rule_id])
        try:
            after = edited(rule_set, **{action: change})
        except RuleSetError:
            continue
        assert len(after.history) == len(rule_set.history) + 1
        rule_set = after
    save_rule_set(path, rule_set)
    assert load_rule_set(path) == rule_set
    ids = {rule.rule_id for rule in rule_set.rules}
    assert all(set(rule.contradicts) <= ids - {rule.rule_id} for rule in rule_set.rules)
    assert len({rule.text.casefold() for rule in rule_set.rules}) == len(ids)


def test_files_are_not_overwritten_unasked(tmp_path):
    path = tmp_path / "rules.json"
    save_rule_set(path, RULES)
    with pytest.raises(ConfigError, match="exists; give another --out"):
        check_free(path, force=False)
    check_free(path, force=True)
    with pytest.raises(ConfigError, match="is a folder"):
        check_free(tmp_path, force=True)
    with pytest.raises(ConfigError, match="make its folder"):
        save_rule_set(tmp_path / "no/rules.json", RULES)
    assert [p.name for p in tmp_path.iterdir()] == ["rules.json"]


def test_a_link_stays_a_link(tmp_path):
    save_rule_set(tmp_path / "rules.json", RULES)
    (tmp_path / "link.json").symlink_to(tmp_path / "rules.json")
    save_rule_set(tmp_path / "link.json", edited(RULES, pin=[CITE_ID]))
    assert (tmp_path / "link.json").is_symlink()
    assert load_rule_set(tmp_path / "rules.json").rules[0].pinned


def test_the_name_for_the_history(monkeypatch):
    assert user_name(" anna ") == "anna"
    with pytest.raises(ConfigError, match="--by is empty"):
        user_name(" ")
    monkeypatch.setattr("getpass.getuser", lambda: "ben")
    assert user_name(None) == "ben"


CITE_TOO = "The response should cite all its sources."


def merged(*sets, **options):
    return merge_rule_sets(sets, [f"file {i}" for i in range(1, len(sets) + 1)], "anna", **options)


def test_the_same_words_join_and_bring_their_sources():
    mine = make_rule(
        CITE, 3, candidate_ids=("c1", "c2"), pair_ids=("p1", "p2", "p3"), statistics={"a": 1.0}, weight=2.0
    )
    yours = make_rule(CITE.upper(), 2, candidate_ids=("c2", "c3"), pair_ids=("p3", "p4"), pinned=True, aspect="x")
    after = merged(set_of(yours, make_rule(RHYME, statistics={"a": 0.5})), set_of(mine))
    assert [rule.text for rule in after.rules] == [CITE, RHYME]
    rule = after.rules[0]
    assert (rule.support, rule.candidate_ids, rule.pair_ids) == (4, ("c1", "c2", "c3"), ("p1", "p2", "p3", "p4"))
    assert (rule.pinned, rule.weight, rule.aspect, rule.statistics) == (True, 2.0, "x", {})
    assert after.rules[1].statistics == {"a": 0.5}
    edit = Edit(action="merged", by="anna", rule_id=CITE_ID, before=CITE.upper(), after=CITE, reason="the same words")
    assert after.history == (edit,)


def test_near_duplicates_fold_into_the_better_supported_one_and_contradictions_follow():
    folded = make_rule(CITE_TOO, 1)
    against = make_rule(RHYME, 1, contradicts=(folded.rule_id, "lost"))
    after = merged(set_of(folded, against), set_of(make_rule(CITE, 5)), similarity=0.5)
    assert [(rule.text, rule.contradicts) for rule in after.rules] == [(CITE, ()), (RHYME, (CITE_ID,))]
    assert after.history[0].before == CITE_TOO
    assert after.history[0].reason.startswith("similarity 0.")
    assert len(merged(set_of(folded), set_of(make_rule(CITE, 5)), similarity=1).rules) == 2


def test_opposites_do_not_fold():
    opposite = make_rule("The response should not cite its sources.")
    assert len(merged(set_of(opposite), set_of(make_rule(CITE)), similarity=0.3).rules) == 2
    noted = make_rule(CITE_TOO, contradicts=(CITE_ID,))
    assert len(merged(set_of(noted), set_of(make_rule(CITE)), similarity=0.3).rules) == 2


def test_a_set_merged_with_itself_is_itself():
    after = merged(RULES, RULES)
    assert sorted(after.rules, key=lambda r: r.text) == sorted(RULES.rules, key=lambda r: r.text)
    assert after.history == ()
    assert dump_rule_set(merged(RULES, RULES, RULES)) == dump_rule_set(after)


def test_rules_without_pairs_have_the_greatest_support():
    by_hand = [make_rule(CITE, support, candidate_ids=(), pair_ids=()) for support in (0, 4)]
    assert merged(set_of(by_hand[0]), set_of(by_hand[1])).rules[0].support == 4


def test_sets_that_verify_differently_need_a_word_on_whose_is_right():
    strict = set_of(make_rule(RHYME), verification=VerificationConfig(threshold=0.9), reward=RewardConfig(scale=10))
    plain = set_of(make_rule(CITE))
    with pytest.raises(
        RuleSetError, match=r"file 1 and file 2 differ in verification.threshold \(0.5, 0.9\), reward.sc"
    ):
        merged(plain, strict)
    assert merged(plain, strict, verification_of=2).verification.threshold == 0.9
    assert merged(plain, strict, verification_of=1).reward.scale == 1
    with pytest.raises(RuleSetError, match="there are 2 rule sets"):
        merged(plain, strict, verification_of=3)
    small = set_of(make_rule(RHYME), verification=VerificationConfig(prompt="verification.small"))
    with pytest.raises(RuleSetError, match=r"verification.prompt \('verification' \w{8}, 'verification.small' "):
        merged(plain, small)


def test_an_id_that_means_two_rules_is_an_error():
    stolen = make_rule(RHYME).model_copy(update={"rule_id": CITE_ID})
    with pytest.raises(RuleSetError, match=f"the id {CITE_ID} means two rules"):
        merged(set_of(make_rule(CITE)), set_of(stolen))


def test_a_check_and_an_aspect_are_given_and_taken_away():
    before = make_rule_set("It should be short.", "It should be kind.")
    rule_id = before.rules[0].rule_id
    check = '{"kind": "count", "of": "words", "at_most": 100}'
    after = apply(before, Changes(check=[(rule_id[:6], check)], aspect=[(rule_id[:6], "form")]), "me")
    assert after.rules[0].check.at_most == 100 and after.rules[0].aspect == "form"
    assert [edit.action for edit in after.history] == ["checked", "sorted"]
    again = apply(after, Changes(check=[(rule_id, "")], aspect=[(rule_id, "")]), "me")
    assert again.rules[0] == before.rules[0]


@pytest.mark.parametrize(("check", "named"), [("{", "Expecting"), ('{"kind": "code"}', "kind"), ("3", "valid")])
def test_a_bad_check_names_the_rule(check, named):
    rule_set = make_rule_set("It should be short.")
    with pytest.raises(RuleSetError, match=rf"(?s)check .* of rule {rule_set.rules[0].rule_id}.*{named}"):
        apply(rule_set, Changes(check=[(rule_set.rules[0].rule_id, check)]), "me")
