"""Whether two rules are one by their words alone, and whether they may be one at all.

A rule and its opposite can differ in any word: not, fewer, after, passive, 5. No list of such words is complete in one
language, let alone in all. So what folds without asking anybody has the same words in the same order, but for a few
of which it is known that they change nothing; and two texts that are alike but for a word or two are told apart.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from autorule.rules.length import words_of_char
from autorule.rules.sense import sense_of
from autorule.rules.text import words

ENGLISH = frozenset({"the", "should", "must", "response"})
"""A text with one of them is taken for English."""
CHANGES_NOTHING = frozenset(words("the a an of its their that which it is are be being"))
SAME = {"must": "should", "shall": "should", "provide": "give", "offer": "give", "contain": "include"}
SUBJECTS = frozenset(words("response answer reply output"))
QUANTITY = frozenset(words("few little couple lot bit"))
"""Words of which `a` makes something else: few examples, a few examples."""
NEGATIONS = frozenset(
    words("""
    not no never without avoid avoids avoided avoiding refrain refrains refraining cannot t neither none nothing omit
    omits omitting exclude excludes excluding forbid forbids prohibit prohibits prevent prevents refuse refuses lack
    lacks ignore ignores skip skips remove removes hardly barely
    """)
)
"""Of English: two of them say yes."""
_EXCLUDING = """
    more/less more/fewer most/least longer/shorter long/short larger/smaller higher/lower high/low many/few much/little
    before/after first/last begin/end start/end beginning/end early/late earlier/later above/below over/under only/also
    all/some all/any every/some both/either and/or maximum/minimum always/sometimes always/rarely to/from in/out
    inside/outside up/down for/against increase/decrease add/remove expand/shorten show/hide active/passive
    singular/plural past/present past/future formal/casual simple/complex concise/verbose brief/detailed short/detailed
    general/specific broad/narrow positive/negative warm/cold strong/weak best/worst better/worse easy/difficult
    easy/hard same/different true/false serious/humorous serious/playful polite/rude objective/subjective
    required/optional mandatory/optional ascending/descending accept/reject agree/disagree encourage/discourage
    uppercase/lowercase upper/lower absolute/relative old/new early/late open/closed prose/list
"""
OPPOSITES = tuple(frozenset(pair.split("/")) for pair in _EXCLUDING.split())
LIMITS = frozenset(words("a only least most exactly rarely seldom scarcely fail stop instead"))
"""Words of English that make another rule where they are put in; of `a`, see QUANTITY."""
DIRECTIONS = frozenset(words("before after than over instead rather from to into precede follow by against not but"))
"""Words on whose sides no two things can change places."""
NUMBERS = frozenset(words("one two three four five six seven eight nine ten eleven twelve twenty hundred half double"))
FEW = 2
"""In so few words a rewording may be an opposite; one of a script that writes no words apart counts as `SHARE` of what
it says, so that these are six characters of Chinese."""
SHARE = 1 / 2.4


def wording(text: str) -> tuple[str, ...]:
    """The same for rules that are one whatever their meaning: the words that can change it, in order.

    Of English, articles and the like go, plurals are singulars, and a few words of one meaning are one. Of other
    languages nobody here knows which words change nothing, and all count.
    """
    own = words(text)
    if ENGLISH.isdisjoint(own):
        return tuple(own)
    if own[0] in ("the", "a", "every", "each") and own[1:2] and own[1] in SUBJECTS:
        own = ["response", *own[2:]]
    kept = [
        word
        for word, following in zip(own, [*own[1:], ""], strict=True)
        if word not in CHANGES_NOTHING or (word == "a" and following in QUANTITY)
    ]
    return tuple(_canonical(word) for word in kept)


def are_opposed(one: str, other: str) -> bool:
    """Whether two rules that are alike by their words or by vectors can't be taken for one: they differ in whether
    they negate, in a number, in words that exclude each other, in the order around a word such as `before`, or, in one
    or two words in place of others, by what nobody can tell from an opposite."""
    first, second = _units(one), _units(other)
    if first == second:
        return False
    if sense_of(one) != sense_of(other) or _numbers(first) != _numbers(second):
        return True
    left, right = Counter(first) - Counter(second), Counter(second) - Counter(first)
    is_english = not ENGLISH.isdisjoint(words(one)) and not ENGLISH.isdisjoint(words(other))
    if not left and not right:
        return not is_english or not DIRECTIONS.isdisjoint(first)
    few = max(_length(left), _length(right)) <= FEW
    if few and (not is_english or (left and right)):
        return True
    return is_english and (
        not LIMITS.isdisjoint([*left, *right])
        or _negates(first) != _negates(second)
        or any(_excludes(left, right, pair) or _excludes(right, left, pair) for pair in OPPOSITES)
    )


def _units(text: str) -> tuple[str, ...]:
    """The wording, with words of scripts that write none apart as their characters."""
    return tuple(unit for word in wording(text) for unit in (word if _is_unspaced(word) else (word,)))


def _is_unspaced(word: str) -> bool:
    return not word.isascii() and words_of_char(word[0]) is not None


def _length(units: Counter[str]) -> float:
    return sum(n * _weight(unit) for unit, n in units.items())


def _weight(unit: str) -> float:
    if unicodedata.category(unit[0]).startswith("M"):  # a vowel sign or tone of Thai, which goes with its letter
        return 0
    return SHARE * (words_of_char(unit[0]) or 0) if _is_unspaced(unit) else 1


def _negates(units: Sequence[str]) -> bool:
    return sum(unit in NEGATIONS for unit in units) % 2 == 1


def _numbers(units: Sequence[str]) -> list[str]:
    return [unit for unit in units if unit in NUMBERS or any(map(str.isnumeric, unit)) or unit[0] in "<>≤≥≠"]


def _excludes(left: Counter[str], right: Counter[str], pair: frozenset[str]) -> bool:
    return any(word in left and not (pair - {word}).isdisjoint(right) for word in pair)


def _canonical(word: str) -> str:
    if len(word) > 4 and word.isascii() and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return SAME.get(word, word)
