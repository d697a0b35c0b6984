"""Whether two rules can be one in other words: a rule and its opposite differ in a word, or in part of one.

One such word hardly changes how alike two texts are. So rules fold only within one sense.
"""

from collections.abc import Hashable

from autorule.rules.english import COMMON, is_english
from autorule.rules.text import words

NEGATIONS = frozenset(
    words("""
    not no never without avoid avoids avoided avoiding refrain refrains cannot t nor neither none nothing
    nicht kein keine keinen keinem keiner keines nie niemals ohne weder vermeide vermeidet vermeiden nichts
    ne n pas jamais sans aucun aucune ni éviter évite évitez rien
    nunca sin jamás tampoco evitar evite evita evitando ningún ninguna ninguno
    não sem nem nenhum nenhuma non mai senza né nessun nessuna nessuno evitare
    не ни нет без никогда нельзя избегать избегай избегает избегайте никакой никаких
    niet geen nooit zonder vermijd nie bez nigdy żadnych ani unikaj
    inte icke aldrig utan ej ingen inget inga ikke ikkje uten uden aldri ekki engin án ei älä ilman ilma ära
    nem ne nincs nélkül soha bez nikada hayır yok hindi huwag wala walang tak tiada usah bila si sio hapana
    না নয় নেই ছাড়া نہ نہیں مت بغیر نه نباید نكنيد غیر نہيں
    nu fără niciodată nikdy žádné değil asla δεν μην ποτέ χωρίς ніколи لا لم لن ليس بدون دون نه לא אין בלי
    न नहीं मत बिना không chớ đừng tidak jangan tanpa bukan
    """)
)
"""`t` is what is left of "don't", `n` of "n'est"."""
NEGATION_MARKS = (
    *("不", "没", "沒", "无", "無", "别", "別", "勿", "莫", "非", "未", "避免", "禁止"),
    *("ない", "なく", "なし", "ません", "まい", "ずに", "べからず", "避け"),
    *("않", "안 ", "없", "못", "마십", "말아", "말 것", "금지", "피하"),
)
"""Where a script writes no spaces between words."""
_OTHERS = (
    frozenset(words("die der das dem und antwort sollte sollen soll muss ist sind ein eine einen einem den mit zu am")),
    frozenset(words("la le les l réponse doit doivent et des du de une un est dans avec")),
    frozenset(words("la el los las respuesta debe deben de que y con un una en")),
    frozenset(words("ответ ответа должен должна должно и в на с что")),
)
KNOWN = COMMON.union(*_OTHERS)
"""Words by which a text is taken for one of a language whose negations stand above."""
_SHARE = 3
"""One word of so many must be known; one alone may be borrowed by any language."""
SHORT = 4


def sense_of(text: str) -> Hashable:
    """The same for rules that may be one in other words; another for a rule and its opposite.

    Of a language that is known, what counts is whether the text negates. Of others nobody can tell which short word
    is a negation, and texts that differ in one are taken for different.
    """
    own = words(text)
    negates = not NEGATIONS.isdisjoint(own) or any(mark in text for mark in NEGATION_MARKS)
    if _is_known(text, own):
        return negates
    return negates, tuple(sorted(word for word in own if len(word) <= SHORT))


def _is_known(text: str, own: list[str]) -> bool:
    told = [word for word in own if word not in NEGATIONS]
    n_unspaced = sum("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af" for char in text)
    return (
        is_english(own, NEGATIONS)
        or any(0 < len(told) <= _SHARE * sum(word in other for word in told) for other in _OTHERS)
        or n_unspaced * _SHARE > len(text)
    )
