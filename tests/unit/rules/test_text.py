"""Which texts are the same rule."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.records import Rule, content_id
from autorule.rules.faults import changed_by_hand
from autorule.rules.text import clean_rule, former_rule_ids, new_rule_id, normalise_rule, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Use C++ for code.", "Use C# for code."),
        ("Use C for code.", "Use C++ for code."),
        ("उत्तर मिल पर हो", "उत्तर मेल पर हो"),
    ],
)
def test_symbols_and_vowel_signs_tell_rules_apart(one, other):
    assert new_rule_id(one) != new_rule_id(other)


@pytest.mark.parametrize("text", ["Name a café.", "उत्तर मिल पर हो", "Đáp án phải ngắn."])
def test_composed_and_decomposed_letters_are_one_rule(text):
    assert len({new_rule_id(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}) == 1


def test_punctuation_case_and_underscores_make_no_difference():
    assert normalise_rule("Be **short**, and_clear!") == "be short and clear"
    assert normalise_rule("Be **short**, and_clear – naïve!") == "be short and clear naïve"


def test_half_a_surrogate_pair_becomes_a_question_mark():
    assert clean_rule("Use an emoji \ud83d here") == "Use an emoji ? here."


@given(st.lists(st.text(alphabet="abcXYZéßжИ回答が", min_size=1, max_size=8), min_size=1, max_size=9), st.data())
def test_the_id_of_a_rule_of_letters_is_a_hash_of_its_words(own, data):
    marks = data.draw(st.lists(st.sampled_from([" ", ", ", " - ", "; ", " (", ") ", "/"]), min_size=9, max_size=9))
    text = "".join(part for pair in zip(own, marks, strict=False) for part in pair) + "."
    letters = unicodedata.normalize("NFC", text.casefold())
    assert new_rule_id(text) == content_id("rule", " ".join(re.findall(r"\w+", letters)))


@pytest.mark.parametrize(
    ("text", "of_old"),
    [
        ("Use 👍 in US English.", "use in us english"),
        ("Name < 3 of 5%.", "name < 3 of 5"),
        ("Name < 3 of 5%.", "name 3 of 5"),
        ("Keep it at -1.5 degrees (-).", "keep it at 1 5 degrees"),
    ],
)
def test_a_rule_set_with_ids_of_old_loads_without_a_warning(text, of_old):
    former = content_id("rule", of_old)
    assert former in former_rule_ids(text) and new_rule_id(text) != former
    assert changed_by_hand([Rule(rule_id=former, text=text, support=1)]) is None


def test_dashes_hyphens_and_emphasis_are_no_words():
    text = "Short- and well-known - of 3-5 **words**, Q&A (see above); `<b>`, e.g. 'this'..."
    assert words(text) == "short and well known of 3 5 words q a see above b e g this".split()  # noqa: SIM905
    assert words("Emphasis in CAPS: IT IS") == ["emphasis", "in", "caps", "IT", "is"]
    assert words("WHO ASKS US") == ["who", "asks", "us"]  # where all are capitals, nobody knows


def test_marks_are_ordered_in_short_rows(monkeypatch):
    given_to = []
    monkeypatch.setattr(unicodedata, "normalize", lambda form, text: given_to.append(text) or text)
    for pair in ("\u0316\u0301", "\u0301\u0327", "\u0e38\u0e48"):
        assert words("a" + pair * 20_000 + " b")[-1] == "b"
        rows = re.findall(r"[\u0300-\u036f\u0e38\u0e48]+", given_to[-1])
        assert max(map(len, rows)) <= 30
