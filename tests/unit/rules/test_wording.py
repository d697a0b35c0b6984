"""What folds without a model, and what never does: a rule and its opposite differ in any word, in any language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.backends.text_vectors import text_vectors
from autorule.config.stages import SynthesisConfig
from autorule.extraction.synthesis import fold
from autorule.records import CandidateRule, Rule
from autorule.rules.matching import match_rules
from autorule.rules.merging import merge_rule_sets
from autorule.rules.similarity import leader_clusters
from autorule.rules.text import new_rule_id, normalise_rule
from autorule.rules.wording import are_opposed, wording
from tests.conftest import make_rule_set

OPPOSITES = [
    # English
    ("The response should be longer than the question.", "The response should be shorter than the question."),
    ("The response should give more examples of code.", "The response should give fewer examples of code."),
    ("The response should always cite its sources.", "The response should never cite its sources."),
    ("The response should state reasons before the answer.", "The response should state reasons after the answer."),
    ("The response should state reasons before the answer.", "The response should state the answer before reasons."),
    ("The response should only use simple words.", "The response should also use simple words."),
    ("The response should name at most 3 reasons.", "The response should name at least 3 reasons."),
    ("The response should name exactly 3 reasons.", "The response should name exactly 5 reasons."),
    ("The response should name three reasons.", "The response should name five reasons."),
    ("The response should name < 3 reasons.", "The response should name > 3 reasons."),
    ("The response should name ≤ 3 reasons.", "The response should name ≥ 3 reasons."),
    ("The response should include a summary at its end.", "The response should exclude a summary at its end."),
    ("The response should avoid technical terms.", "The response should not avoid technical terms."),
    ("The response should use the active voice.", "The response should use the passive voice."),
    ("The response should use formal language.", "The response should use informal language."),
    ("The response should hold relevant details only.", "The response should hold irrelevant details only."),
    ("The response should give a few examples.", "The response should give few examples."),
    ("All of the examples should be runnable.", "Some of the examples should be runnable."),
    ("The response should prefer lists over prose.", "The response should prefer prose over lists."),
    ("The response should be careful with claims.", "The response should be careless with claims."),
    # German
    ("Die Antwort soll länger als die Frage sein.", "Die Antwort soll kürzer als die Frage sein."),
    ("Die Antwort soll mit Beispielen enden.", "Die Antwort soll ohne Beispiele enden."),
    ("Die Antwort soll höflich und knapp sein.", "Die Antwort soll weder höflich noch knapp sein."),
    ("Die Antwort soll verständlich geschrieben sein.", "Die Antwort soll unverständlich geschrieben sein."),
    ("Die Antwort soll höchstens 3 Gründe nennen.", "Die Antwort soll mindestens 3 Gründe nennen."),
    ("Die Antwort nennt zuerst das Ergebnis.", "Die Antwort nennt zuletzt das Ergebnis."),
    ("Die Antwort soll auch Listen enthalten.", "Die Antwort soll nur Listen enthalten."),
    # French
    ("La réponse doit citer ses sources.", "La réponse ne doit jamais citer ses sources."),
    ("La réponse doit donner un exemple.", "La réponse ne doit donner aucun exemple."),
    ("La réponse doit être plus courte.", "La réponse doit être moins courte."),
    ("La réponse doit contenir au plus 3 points.", "La réponse doit contenir au moins 3 points."),
    ("La réponse vient avant les raisons.", "La réponse vient après les raisons."),
    # Russian, Ukrainian
    ("Ответ должен быть с примерами кода.", "Ответ должен быть без примеров кода."),
    ("Ответ должен быть длиннее вопроса.", "Ответ должен быть короче вопроса."),
    ("Ответ должен быть понятным для всех.", "Ответ должен быть непонятным для всех."),
    ("Ответ содержит не более 3 причин.", "Ответ содержит не менее 3 причин."),
    ("Відповідь має містити приклади.", "Відповідь не має містити приклади."),
    # Spanish, Italian, Portuguese
    ("La respuesta debe ser más larga.", "La respuesta debe ser menos larga."),
    ("La respuesta debe incluir todos los pasos.", "La respuesta debe omitir todos los pasos."),
    ("La respuesta siempre debe citar fuentes.", "La respuesta nunca debe citar fuentes."),
    ("La risposta deve essere più lunga.", "La risposta deve essere meno lunga."),
    ("La risposta deve citare tutte le fonti.", "La risposta non deve citare tutte le fonti."),
    ("A resposta deve ter no máximo 3 pontos.", "A resposta deve ter no mínimo 3 pontos."),
    ("A resposta deve vir antes da explicação.", "A resposta deve vir depois da explicação."),
    # Dutch, Polish, Turkish
    ("Het antwoord moet langer zijn dan de vraag.", "Het antwoord moet korter zijn dan de vraag."),
    ("Het antwoord moet duidelijk geschreven zijn.", "Het antwoord moet onduidelijk geschreven zijn."),
    ("Odpowiedź powinna być dłuższa od pytania.", "Odpowiedź powinna być krótsza od pytania."),
    ("Odpowiedź zawsze podaje źródła.", "Odpowiedź nigdy nie podaje źródeł."),
    ("Yanıt kaynaklarını belirtmelidir.", "Yanıt kaynaklarını belirtmemelidir."),
    ("Yanıt örnekli olmalıdır.", "Yanıt örneksiz olmalıdır."),
    # Chinese, Japanese, Korean
    ("回答应该比问题更长一些。", "回答应该比问题更短一些。"),
    ("回答应该使用专业术语。", "回答应该避免专业术语。"),
    ("回答应该至少给出三个例子。", "回答应该至多给出三个例子。"),
    ("回答应该给出三个例子。", "回答应该给出五个例子。"),
    ("回答应该先给结论再给理由。", "回答应该先给理由再给结论。"),
    ("回答中必须有参考来源。", "回答中没有参考来源。"),
    ("回答必须使用表格说明。", "回答禁止使用表格说明。"),
    ("回答は質問より長くするべきです。", "回答は質問より短くするべきです。"),
    ("回答では専門用語を使うこと。", "回答では専門用語を使わずに書くこと。"),
    ("回答では絵文字を使用する。", "回答では絵文字を禁止する。"),
    ("回答は3つ以上の例を挙げる。", "回答は3つ以下の例を挙げる。"),
    ("답변은 질문보다 길어야 한다.", "답변은 질문보다 짧아야 한다."),
    ("답변에는 예시가 있어야 한다.", "답변에는 예시가 없어야 한다."),
    ("답변에서 전문 용어를 쓰세요.", "답변에서 전문 용어를 쓰지 말아 주세요."),
    # Arabic, Hindi, Thai, Hebrew
    ("يجب أن تكون الإجابة مع أمثلة.", "يجب أن تكون الإجابة بدون أمثلة."),
    ("الإجابة أطول من السؤال.", "الإجابة أقصر من السؤال."),
    ("الإجابة تذكر المصادر.", "الإجابة لا تذكر المصادر."),
    ("उत्तर प्रश्न से लंबा होना चाहिए।", "उत्तर प्रश्न से छोटा होना चाहिए।"),
    ("उत्तर में स्रोत हमेशा हों।", "उत्तर में स्रोत कभी न हों।"),
    ("คำตอบควรใช้ศัพท์เทคนิค", "คำตอบไม่ควรใช้ศัพท์เทคนิค"),
    ("คำตอบควรยาวกว่าคำถาม", "คำตอบควรสั้นกว่าคำถาม"),
    ("התשובה צריכה להיות ארוכה.", "התשובה צריכה להיות קצרה."),
    # a language that nobody told of, and invented ones
    ("Jibu liwe refu kuliko swali lenyewe.", "Jibu liwe fupi kuliko swali lenyewe."),
    ("Zorbal kemti la vondrak pirmosel.", "Zorbal kemti la unvondrak pirmosel."),
    ("Tikvo is marendo kolvasti brumpel.", "Tikvo is marendo kolvastime brumpel."),
    ("Brumpel kol marendo.", "Marendo kol brumpel."),
    # signs, symbols and names that are no other words
    ("The response should end with 👍.", "The response should end with 👎."),
    ("The response should mark it with ❤️.", "The response should mark it with 💔."),
    ("Antwort: ✅", "Antwort: ❌"),
    ("回答应该使用 ✅。", "回答应该使用 ❌。"),
    ("The response should have = 100 words.", "The response should have != 100 words."),
    ("The response should have ~100 words.", "The response should have 100 words."),
    ("Keep the temperature at -5 degrees.", "Keep the temperature at 5 degrees."),
    ("Keep the temperature at −5 degrees.", "Keep the temperature at +5 degrees."),
    ("The response should give a plus (+) for it.", "The response should give a plus (-) for it."),
    ("The response should use '-' for bullets.", "The response should use '*' for bullets."),
    ("The response should write x -> y.", "The response should write x <- y."),
    ("The response should write x → y.", "The response should write x ← y."),
    ("The response should change 5% of it.", "The response should change 5 of it."),
    ("回答应该占５％的篇幅。", "回答应该占５的篇幅。"),
    ("The response should cost $5.", "The response should cost €5."),
    ("The response should be 1.5 lines long.", "The response should be 1-5 lines long."),
    ("The response should rate it A+.", "The response should rate it A-."),
    ("The response should rate it A.", "The response should rate it A-."),
    ("The response should be in US English.", "The response should be in us English."),
    ("The response should use plan A.", "The response should use plan."),
    ("The response should end with :).", "The response should end with :(."),
    # a word put in, of English
    ("The response should be formal.", "The response should be less formal."),
    ("The response should cite sources.", "The response should cite few sources."),
    ("The response should be technical.", "The response should be minimally technical."),
    ("The response should include warnings.", "The response should include zero warnings."),
    ("The response should explain steps.", "The response should under explain steps."),
    ("The response should use humor.", "The response should minimise humor use."),
    ("The response should cite sources.", "The response should cite sources when asked."),
    ("The response should use jargon.", "The response should use jargon sparingly."),
    ("The response should use details.", "The response should use irrelevant details."),
    ("The response should use an agreeable tone.", "The response should use a dis-agreeable tone."),
    ("The response should be maikli.", "The response should hindi be maikli."),
    # of another language, with words of English in it
    ("Ang response ay dapat maikli.", "Ang response ay hindi dapat maikli."),
    ("Response ætti að vera stutt.", "Response ætti ekki að vera stutt."),
    ("response ছোট হবে।", "response ছোট হবে না।"),
    ("جواب response مختصر ہو", "جواب response مختصر نہ ہو"),
    ("Response harus singkat.", "Response tak harus singkat."),
    ("Die Antwort sollte the API nutzen.", "Die Antwort sollte the API nie nutzen."),
    ("A resposta should ser a curta.", "A resposta should ser curta."),
]


def folded(one, other, similarity=0.05):
    candidates = [
        CandidateRule(candidate_id=f"c{n}", text=text, interpretation_id=f"i{n}", pair_id=f"p{n}")
        for n, text in enumerate((one, other))
    ]
    return fold(candidates, SynthesisConfig(fold_similarity=similarity), text_vectors)


def matched(one, other, threshold=0.05):
    a, b = ([Rule(rule_id=new_rule_id(text), text=text, support=1)] for text in (one, other))
    return [match.kind for match in match_rules(a, b, threshold)]


@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_a_rule_and_its_opposite_are_never_one(one, other):
    assert len(folded(one, other)) == len(folded(other, one)) == 2
    assert matched(one, other) == matched(other, one) == ["gone", "new"]
    assert are_opposed(one, other)


@pytest.mark.parametrize(("one", "_"), OPPOSITES)
def test_case_punctuation_and_spaces_make_no_other_rule(one, _):
    reworded = "  **" + one.upper().rstrip(".。।") + "** ! "
    if normalise_rule(reworded) == normalise_rule(one):  # İ and ı are letters of their own
        assert len(folded(one, reworded)) == 1
        assert not are_opposed(one, reworded)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The response should give an example.", "The response should give examples."),
        ("The response should cite the sources.", "A response must cite its sources."),
        ("The response should provide a summary of the steps.", "The answer should give the summary of its steps."),
        ("The response should not use jargon.", "The response shouldn't use jargon."),
        ("The response can not use jargon in its answers.", "The response cannot use jargon in its answers."),
    ],
)
def test_words_of_english_that_change_nothing_fold(one, other):
    assert len(folded(one, other)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The response should cite its sources.", "The response should cite all its sources."),
        (
            "The response should give reasons for each claim.",
            "Each claim in the response should have its reasons given.",
        ),
        ("Die Antwort soll ihre Quellen nennen.", "Quellen soll die Antwort am Ende vollständig nennen."),
    ],
)
def test_other_words_are_a_reworded_rule(one, other):
    assert matched(one, other, 0.2) == ["reworded"]


WORDS = st.lists(st.text(alphabet="abджξ", min_size=1, max_size=9), min_size=2, max_size=9)


@given(WORDS, st.data())
def test_another_word_in_any_place_is_another_wording(own, data):
    place = data.draw(st.integers(0, len(own) - 1))
    new = data.draw(st.text(alphabet="abджξ", min_size=1, max_size=9))
    changed = {
        "put in": [*own[:place], new, *own[place:]],
        "put instead": [*own[:place], new, *own[place + 1 :]],
        "left out": [*own[:place], *own[place + 1 :]],
        "moved": [*own[:place], *own[place + 1 :], own[place]],
    }
    for other in changed.values():
        if normalise_rule(" ".join(other)) != normalise_rule(" ".join(own)):
            assert wording(" ".join(other)) != wording(" ".join(own))


def test_two_that_are_apart_never_meet_behind_a_third():
    import numpy as np

    vectors = np.ones((3, 1))  # all alike
    assert leader_clusters(vectors, 0.9, 3, apart=lambda one, other: {one, other} == {1, 2}) == [[0, 1], [2]]


def test_the_sign_before_a_number_is_in_the_id_of_a_rule():
    assert new_rule_id("Use < 3 words.") != new_rule_id("Use > 3 words.")
    assert new_rule_id("Use <b> tags.") == new_rule_id("Use b tags.")
    assert new_rule_id("Keep −5.") == new_rule_id("Keep -5.") != new_rule_id("Keep 5.")


@given(st.sampled_from(OPPOSITES), st.sampled_from("👍👎✅❌→←±%€≈"), st.data())
def test_a_sign_that_is_put_in_makes_another_rule(pair, sign, data):
    own = pair[0].split()
    place = data.draw(st.integers(0, len(own)))
    other = " ".join([*own[:place], sign, *own[place:]])
    assert normalise_rule(other) != normalise_rule(pair[0])
    assert are_opposed(pair[0], other)


@pytest.mark.parametrize("word", ["", "Ang", "Die Antwort", "Jibu", "La respuesta", "Odpowiedź"])
@given(st.text(alphabet="bdgklmprtvz", min_size=3, max_size=9))
def test_a_word_that_nobody_knows_is_never_passed_over(word, new):
    one, other = f"{word} response should maikli", f"{word} response should {new} maikli"
    assert are_opposed(one, other) and wording(one) != wording(other)


@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_sets_that_are_merged_keep_both_of_opposites(one, other):
    sets = [make_rule_set(text) for text in (one, other)]
    assert len(merge_rule_sets(sets, ["a", "b"], "me", similarity=0.05).rules) == 2


def test_opposites_do_not_meet_behind_a_rule_that_leaves_it_open():
    texts = ("The response should name three reasons.", *(f"The response should name {n} reasons." for n in ("3", "5")))
    sets = [make_rule_set(text) for text in texts]
    assert len(merge_rule_sets(sets, ["a", "b", "c"], "me", similarity=0.05).rules) == 3
