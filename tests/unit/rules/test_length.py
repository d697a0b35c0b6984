"""Limits of length hold for what a text says: one sentence is as long in every language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.extraction.interpretation import MIN_CHAIN_CHARS
from autorule.rules.length import n_chars, n_words
from autorule.rules.linting import MIN_RULE_WORDS, lint_rule

SHORT_RULES = {
    "English": "The response should be short.",
    "German": "Die Antwort soll kurz sein.",
    "French": "La réponse doit être courte.",
    "Russian": "Ответ должен быть кратким.",
    "Spanish": "La respuesta debe ser breve.",
    "Chinese": "回答应当简短.",
    "Chinese, five characters": "回答要简短",
    "Japanese": "回答は短くする",
    "Japanese, with kanji": "簡潔に答える。",
    "Korean": "답변은 짧아야 한다.",
    "Thai": "คำตอบควรสั้น",
    "Hindi": "उत्तर छोटा होना चाहिए।",
}
FRAGMENTS = {
    "English": "Be short.",
    "German": "Kurz sein.",
    "French": "Être court.",
    "Russian": "Быть кратким.",
    "Spanish": "Ser breve.",
    "Chinese": "简洁明了",
    "Japanese": "簡潔に。",
    "Korean": "짧게.",
    "Thai": "ตอบสั้น",
}
# The same sentence: "The response should first state its conclusion, and then explain the reasons behind it in detail."
SENTENCES = {
    "English": "The response should first state its conclusion, and then explain the reasons behind it in detail.",
    "German": "Die Antwort soll zuerst ihr Ergebnis nennen und dann die Gründe dafür ausführlich erklären.",
    "French": "La réponse doit d'abord énoncer sa conclusion, puis en expliquer les raisons en détail.",
    "Russian": "Ответ должен сначала сформулировать вывод, а затем подробно объяснить его причины.",
    "Spanish": "La respuesta debe exponer primero su conclusión y después explicar en detalle las razones.",
    "Chinese": "回答应当首先陈述其结论,然后再详细解释得出这个结论背后的各种理由。",
    "Japanese": "回答はまず結論を述べ、その後でその背後にある理由を詳しく説明するべきである。",
    "Korean": "답변은 먼저 결론을 제시하고 그다음에 그 뒤에 있는 이유를 자세히 설명해야 한다.",
    "Thai": "คำตอบควรระบุข้อสรุปของตนก่อน แล้วจึงอธิบายเหตุผลที่อยู่เบื้องหลังโดยละเอียดถี่ถ้วน",
}


def codes(text, max_chars=300):
    return lint_rule(text, "", max_chars)


@pytest.mark.parametrize("language", SHORT_RULES)
def test_a_short_rule_is_a_whole_one(language):
    assert "too_short" not in codes(SHORT_RULES[language])


@pytest.mark.parametrize("language", FRAGMENTS)
def test_a_fragment_is_none(language):
    assert "too_short" in codes(FRAGMENTS[language])
    assert n_words(FRAGMENTS[language]) < MIN_RULE_WORDS


@pytest.mark.parametrize("language", SENTENCES)
def test_one_sentence_is_about_as_long_in_every_language(language):
    assert 0.7 < n_chars(SENTENCES[language]) / n_chars(SENTENCES["English"]) < 1.3
    assert "too_long" in codes(SENTENCES[language] * 5)
    assert "too_long" not in codes(SENTENCES[language] * 2)


@given(st.text())
def test_no_character_counts_less_than_one(text):
    """So a bound in characters, as JSON schemas have it, is never tighter than this measure."""
    assert n_chars(text) >= len(text)


def test_seven_characters_of_chinese_explain_something():
    assert n_chars("回答甲更为简洁") >= MIN_CHAIN_CHARS


def test_a_phrase_of_the_prompt_is_known_where_no_spaces_are_written():
    asked = "请写一封信给王先生,说明北京的十四个红色气球为什么飞走了。"
    assert "prompt_particulars" in lint_rule("回答应说明北京的十四个红色气球的去向。", "", 300, asked)
    assert "prompt_particulars" in lint_rule("回答应当详细描述「气球」的样子。", "", 300, asked)
    assert lint_rule("回答应当首先给出结论,然后说明理由。", "", 300, asked) == ()
