"""Whether a text is English, and what a word of it does to a rule when it is put in.

Where a text is taken for English, words are passed over. So one English word in another language must not do: a good
part of the words must be those that are common in English rules, and are no words of its neighbours.
"""

from collections.abc import Sequence

from autorule.rules.text import words

SHARE = 0.4
"""Of the words of a text, without those that are told of neither language, must be common ones of English."""
NEITHER = frozenset(words("response responses a an of"))
COMMON = frozenset(
    words("""
    the should must shall will would can could may and or to in for with at by from as is are was be been being it its
    this that these those which who what how why when where if than then so such not each every all any both either
    only also just more most less least very too other another same own without within before after about into onto
    over under between through during against instead rather because while unless until there their them they he she
    you your we our his her one two three four five six seven eight nine ten have has had do does did give gives giving
    given provide provides providing offer offers include includes including included contain contains use uses used
    using make makes keep keeps stay stays avoid avoids state states explain explains explaining show shows cite cites
    name names mention mentions describe describes list lists answer answers answering respond responds ask asks asked
    question questions user users reader readers request requests prompt example examples source sources reason reasons
    step steps claim claims fact facts detail details detailed code text word words sentence sentences paragraph
    paragraphs line lines language tone style summary introduction conclusion heading headings table tables bullet
    points point information instructions instruction task topic context content key main brief concise short long
    shorter longer clear clearly simple plain polite formal informal direct directly complete correct accurate relevant
    specific general helpful friendly neutral first last next final end ends ending begin begins beginning start starts
    starting order write writes writing written read tell say says address addresses follow follows acknowledge present
    presents ensure focus reply replies output english full whole new good well easy fully where possible needed
    necessary appropriate important uses used like them themselves shouldn don doesn didn isn aren wasn weren won can
    couldn wouldn mustn hasn haven needn
    """)
)
LIMITS = frozenset(
    words("""
    a only least most exactly rarely seldom scarcely hardly barely fail stop instead less fewer few little zero minimal
    minimally minimise minimize reduce limit avoid
    """)
)
"""Words that make another rule wherever they stand; of `a`, see wording.py."""
TURNING_WORDS = LIMITS.union(
    words("""
    fails stops just nearly almost low lower lowest minimum minimises minimising minimizes minimizing maximum nil null
    half partly partially under over above below beyond overly excessive excessively unduly reduces reduced reducing
    limits limited limiting decrease decreases cut cuts drop drops restrict restricts restricted shun shuns abstain
    abstains discourage discourages oppose opposes reject rejects resist resists replace replaces eliminate eliminates
    suppress suppresses hide hides delete deletes shorten withhold withholds decline declines deny denies minus absent
    missing lacking insufficient insufficiently sparse sparsely sparing sparingly scarce rare infrequent infrequently
    occasional occasionally sometimes small tiny poor poorly bad badly weak weakly false falsely wrong wrongly fake
    incorrect incorrectly incomplete inaccurate inconsistent indirect indirectly informal informally inappropriate
    ineffective impolite imprecise improper impersonal impossible contrary opposite reverse reversed counter except
    excepting but if unless until when optional optionally maybe perhaps may might could need needn free devoid void
    semi quasi pseudo de mal no not without
    """)
)
"""Words that may make another rule where they are put in and nothing else is changed."""
TURNING = ("un", "non", "dis", "mis", "anti", "ir", "il", "under", "over", "counter")
"""Beginnings of words that may, as `less` at their end."""


def is_english(own: Sequence[str], others: frozenset[str] = frozenset()) -> bool:
    """Whether the words are those of an English text; `others`: words that are not counted."""
    told = [word for word in own if word not in NEITHER and word not in others]
    return bool(told) and sum(word in COMMON for word in told) >= SHARE * len(told)


def may_turn(word: str) -> bool:
    """Whether a word may make another rule where it is put in."""
    return word in TURNING_WORDS or word.startswith(TURNING) or word.endswith(("less", "lessly"))
