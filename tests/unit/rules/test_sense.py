"""A rule and its opposite never fold, in any language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.backends.text_vectors import text_vectors
from autorule.config.stages import SynthesisConfig
from autorule.extraction.synthesis import fold
from autorule.records import CandidateRule
from autorule.rules.sense import KNOWN, NEGATIONS, SHORT, sense_of

OPPOSITES = {
    "English": (
        "The response should end with a full example of the code.",
        "The response should not end with a full example of the code.",
    ),
    "English, shortened": ("Do give a full example of the code.", "Don't give a full example of the code."),
    "German": (
        "Die Antwort soll am Ende ein Beispiel mit Quelltext enthalten.",
        "Die Antwort soll am Ende kein Beispiel mit Quelltext enthalten.",
    ),
    "German, imperative": ("Die Antwort nennt ihre Quellen.", "Die Antwort nennt ihre Quellen nicht."),
    "French": ("La réponse doit inclure un exemple complet.", "La réponse ne doit pas inclure un exemple complet."),
    "French, elided": ("La réponse indique ses sources.", "La réponse n'indique pas ses sources."),
    "Russian": ("Ответ должен содержать полный пример кода.", "Ответ не должен содержать полный пример кода."),
    "Spanish": ("La respuesta debe incluir un ejemplo completo.", "La respuesta no debe incluir un ejemplo completo."),
    "Spanish, sin": ("La respuesta debe darse con ejemplos.", "La respuesta debe darse sin ejemplos."),
    "Chinese": ("回答应该在最后给出完整的代码示例和参考来源。", "回答不应该在最后给出完整的代码示例和参考来源。"),
    "Japanese": (
        "回答は最後に完全なコード例と出典を含むべきである。",
        "回答は最後に完全なコード例と出典を含むべきではない。",
    ),
    "Japanese, polite": ("回答には絵文字を使います。", "回答には絵文字を使いません。"),
    "Korean": ("답변은 마지막에 전체 예제를 포함해야 한다.", "답변은 마지막에 전체 예제를 포함하지 않아야 한다."),
    "Italian": ("Risposta breve, con esempi completi alla fine.", "Risposta breve, senza esempi completi alla fine."),
    "Portuguese": ("Deve incluir um exemplo completo no final.", "Não deve incluir um exemplo completo no final."),
    "Dutch": (
        "Het antwoord moet een volledig voorbeeld bevatten.",
        "Het antwoord moet geen volledig voorbeeld bevatten.",
    ),
    "Polish": ("Odpowiedź powinna zawierać pełny przykład.", "Odpowiedź nie powinna zawierać pełnego przykładu."),
    "Hindi": ("उत्तर में पूरा उदाहरण होना चाहिए।", "उत्तर में पूरा उदाहरण नहीं होना चाहिए।"),
    "Arabic": ("يجب أن تتضمن الإجابة مثالا كاملا.", "يجب ألا تتضمن الإجابة مثالا كاملا."),
    "Vietnamese": ("Câu trả lời nên có ví dụ đầy đủ.", "Câu trả lời không nên có ví dụ đầy đủ."),
    "Swahili, which nobody told of": (
        "Jibu liwe na mfano kamili wa msimbo mwishoni.",
        "Jibu liwe bila mfano kamili wa msimbo mwishoni.",
    ),
}


def candidates(*texts):
    return [
        CandidateRule(candidate_id=f"c{n}", text=text, interpretation_id=f"i{n}", pair_id=f"p{n}")
        for n, text in enumerate(texts)
    ]


@pytest.mark.parametrize("language", OPPOSITES)
def test_a_rule_and_its_opposite_stay_two(language):
    config = SynthesisConfig(fold_similarity=0.3)  # so low that likeness alone would fold nearly anything
    assert len(fold(candidates(*OPPOSITES[language]), config, text_vectors)) == 2


def test_one_word_of_a_known_language_makes_no_text_of_it():
    for one, other in (
        ("Ang response ay dapat maikli.", "Ang response ay di dapat maikli."),
        ("Ihre response de kogel mogel.", "Ihre response de kogel nej mogel."),
    ):
        assert sense_of(one) != sense_of(other)


def test_the_same_in_other_words_still_folds():
    one = "The response should give a complete example of the code at the end."
    other = "The response should give the complete example of code at its end."
    assert len(fold(candidates(one, other), SynthesisConfig(fold_similarity=0.5), text_vectors)) == 1


@given(st.sampled_from(sorted(KNOWN)), st.sampled_from(sorted(NEGATIONS)), st.text(alphabet="абвгд xyz", max_size=30))
def test_a_negation_changes_the_sense_of_what_has_none(known, negation, rest):
    plain = f"{known} {rest}"
    if sense_of(plain) is False:
        assert sense_of(f"{plain} {negation}") is True


@given(
    st.lists(st.text(alphabet="ابتثجحخ", min_size=5, max_size=9), min_size=2, max_size=8),
    st.text(alphabet="ابتثجحخ", min_size=1, max_size=SHORT),
)
def test_where_nothing_is_known_a_short_word_makes_another_sense(long_words, short):
    assert sense_of(" ".join(long_words)) != sense_of(" ".join([*long_words, short]))
