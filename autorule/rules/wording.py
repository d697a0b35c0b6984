"""Whether two rules are one by their words alone, and whether they may be one at all.

A rule and its opposite can differ in any word: not, fewer, after, passive, 5. No list of such words is complete in one
language, let alone in all. So what folds without asking anybody has the same words in the same order, but for a few
of which it is known that they change nothing; and two texts that are alike but for a word or two are told apart.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from autorule.rules.english import COMMON, LIMITS, is_english, may_turn
from autorule.rules.length import words_of_char
from autorule.rules.sense import sense_of
from autorule.rules.text import is_sign, words

CHANGES_NOTHING = frozenset(words("the a an of its their that which it is are be being"))
SAME = {"must": "should", "shall": "should", "provide": "give", "offer": "give", "contain": "include"}
SUBJECTS = frozenset(words("response answer reply output"))
QUANTITY = frozenset(words("few little couple lot bit"))
"""Words of which `a` makes something else: few examples, a few examples."""
_BEFORE_NOT = words("should do does did is are was were has have had would could must need")
CONTRACTED = {"can": "can", "won": "will", "shan": "shall"} | {f"{word}n": word for word in _BEFORE_NOT}
"""What stands before the t of shouldn't and the like."""
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
DIRECTIONS = frozenset(words("before after than over instead rather from to into precede follow by against not but"))
"""Words on whose sides no two things can change places."""
NUMBERS = frozenset(words("one two three four five six seven eight nine ten eleven twelve twenty hundred half double"))
FEW = 2
"""In so few words a rewording may be an opposite; one of a script that writes no words apart counts as `SHARE` of what
it says, so that these are six characters of Chinese."""
SHARE = 1 / 2.4


def wording(text: str) -> tuple[str, ...]:
    """The same for rules that are one whatever their meaning: the words that can change it, in order.

    Of English, articles and the like go (one at the end is none: use plan A), plurals are singulars, and a few words of
    one meaning are one. Of other languages nobody here knows which words change nothing, and all count.
    """
    own = words(text)
    if not is_english(own):
        return tuple(own)
    own = _written_out(own)
    if own[0] in ("the", "a", "every", "each") and own[1:2] and own[1] in SUBJECTS:
        own = ["response", *own[2:]]
    kept = [
        word
        for word, following in zip(own, [*own[1:], ""], strict=True)
        if word not in CHANGES_NOTHING or not following or (word == "a" and following in QUANTITY)
    ]
    return tuple(_canonical(word) for word in kept)


def are_opposed(one: str, other: str) -> bool:
    """Whether two rules that are alike by their words or by vectors can't be taken for one: they differ in whether
    they negate, in a number or sign, in words that exclude each other, in the order around a word such as `before`, or,
    in one or two words, by what nobody can tell from an opposite: words in place of others, and words put in that are
    not known."""
    first, second = _units(one), _units(other)
    if first == second:
        return False
    if sense_of(one) != sense_of(other) or _numbers(first) != _numbers(second):
        return True
    left, right = Counter(first) - Counter(second), Counter(second) - Counter(first)
    both_english = is_english(words(one)) and is_english(words(other))
    if not left and not right:
        return not both_english or not DIRECTIONS.isdisjoint(first)
    few = max(_length(left), _length(right)) <= FEW
    put_in = () if left and right else left or right
    if few and (not both_english or not put_in or not COMMON.issuperset(put_in)):
        return True
    return both_english and (
        any(map(may_turn, put_in))
        or not LIMITS.isdisjoint([*left, *right])
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
    return [unit for unit in units if unit in NUMBERS or any(map(str.isnumeric, unit)) or is_sign(unit)]


def _excludes(left: Counter[str], right: Counter[str], pair: frozenset[str]) -> bool:
    return any(word in left and not (pair - {word}).isdisjoint(right) for word in pair)


def _written_out(own: Sequence[str]) -> list[str]:
    """The words with `should not` for `shouldn't`, and `can not` for `cannot`."""
    written: list[str] = []
    for word in own:
        if word == "t" and written and written[-1] in CONTRACTED:
            written[-1:] = CONTRACTED[written[-1]], "not"
        else:
            written += ("can", "not") if word == "cannot" else (word,)
    return written


def _canonical(word: str) -> str:
    if len(word) > 4 and word.isascii() and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return SAME.get(word, word)
