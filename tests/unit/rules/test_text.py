"""Which texts are the same rule."""

import unicodedata

import pytest

from autorule.rules.text import clean_rule, new_rule_id, normalise_rule


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
