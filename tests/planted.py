"""A scripted model that plants known rules in its chains, and a merger that errs as models do.

Forty rules, each told in five paraphrases with slots, so that the same rule comes in well over a hundred wordings that
share few words. One candidate in ten is noise that nobody repeats; one answer in twenty of the miner is broken JSON.
The merger sees its own prompt and nothing else: it knows what a sentence means, and yet forgets one in twenty and puts
one in fifty behind a wrong rule. Every answer is a function of the request.
"""

import json
import re

from autorule.backends.base import GenerateRequest
from autorule.backends.scripted import ScriptedBackend
from autorule.records import Failure, ModelOutput, Usage
from tests.scripts import digest

RULES = (  # verb and object, and the same in other words
    ("state", "its conclusion", "give away", "the final answer"),
    ("quote", "its sources", "cite", "references"),
    ("follow", "the requested layout", "adopt", "the wanted format"),
    ("admit", "uncertainty", "own up to", "doubts about facts"),
    ("keep", "a friendly tone", "hold on to", "warm wording"),
    ("respect", "the word limit", "stay inside", "the allowed length"),
    ("offer", "a worked example", "bring in", "an illustration"),
    ("avoid", "technical jargon", "do without", "specialist vocabulary"),
    ("check", "arithmetic", "verify", "every calculation"),
    ("match", "the language of the user", "reply in", "the tongue of the question"),
    ("leave out", "irrelevant asides", "omit", "digressions"),
    ("handle", "edge cases", "cover", "unusual inputs"),
    ("warn about", "safety hazards", "flag", "dangers"),
    ("define", "unfamiliar terms", "explain", "rare words"),
    ("use", "numbered steps", "lay out", "an ordered sequence"),
    ("refuse", "harmful demands", "turn down", "requests to hurt people"),
    ("end with", "a short recap", "close on", "a brief summary"),
    ("ask for", "missing details", "inquire after", "absent information"),
    ("correct", "false premises", "point out", "mistaken assumptions"),
    ("stay in", "the assigned role", "never leave", "the given persona"),
    ("preserve", "the original meaning", "carry over", "what the source text says"),
    ("produce", "runnable code", "write", "a program that executes"),
    ("protect", "private data", "keep secret", "personal records"),
    ("spell", "proper nouns correctly", "render", "names without typos"),
    ("compare", "alternatives fairly", "weigh", "competing options evenly"),
    ("give", "concrete figures", "name", "exact quantities"),
    ("put", "headings above sections", "set", "titles over each part"),
    ("credit", "other people's ideas", "acknowledge", "borrowed thoughts"),
    ("respond to", "all sub-questions", "treat", "each portion of a multi-part query"),
    ("sound", "grammatical", "obey", "the rules of syntax"),
    ("use", "metric units", "measure in", "kilograms and metres"),
    ("describe", "pictures for the blind", "supply", "alternative text of images"),
    ("mention", "drawbacks", "bring up", "disadvantages"),
    ("keep", "a neutral stance", "take", "no political side"),
    ("repeat", "nothing", "say", "every point once only"),
    ("suit", "young readers", "be fit for", "an audience of children"),
    ("show", "empathy", "express", "compassion for grief"),
    ("date", "historical events", "place", "happenings of the past in time"),
    ("rhyme", "where verse is wanted", "make", "poems chime"),
    ("propose", "next actions", "suggest", "what to do afterwards"),
)
MANNERS = (
    "", " clearly", " as a matter of course", " without being asked", " throughout", " in every case", " early on",
    " wherever it applies",
)  # fmt: skip
WHO = ("response", "answer", "reply", "text")
PARAPHRASES = (
    "The {who} should {verb} {thing}{manner}.",
    "A good {who} will {other_verb} {other_thing}{manner}.",
    "It is expected to {verb} {thing}{manner} in the {who}.",
    "Make sure that the {who} manages to {other_verb} {thing}{manner}.",
    "What matters{manner} is whether the {who} does {verb} {other_thing}.",
)
THINGS = (
    "lanterns", "harbours", "violins", "glaciers", "orchards", "compasses", "tapestries", "falcons", "windmills",
    "almanacs", "cathedrals", "beehives", "puppets", "deltas", "anvils", "meadows", "sundials", "ferries", "quarries",
)  # fmt: skip
DEEDS = ("praise", "rank", "rename", "recount", "sketch", "lament", "tally", "revisit", "embellish", "belittle")
FORGETS, ERRS, BREAKS = 5, 2, 5
"""Per cent."""


def wording(rule: int, number: int) -> str:
    """A paraphrase of a planted rule, chosen by a number."""
    verb, thing, other_verb, other_thing = RULES[rule]
    template = PARAPHRASES[number % len(PARAPHRASES)]
    number //= len(PARAPHRASES)
    who, manner = WHO[number % len(WHO)], MANNERS[number // len(WHO) % len(MANNERS)]
    return template.format(
        who=who, manner=manner, verb=verb, thing=thing, other_verb=other_verb, other_thing=other_thing
    )


def noise(number: int) -> str:
    parts = (DEEDS, THINGS, THINGS, THINGS)
    words = [names[digest(f"{number} {i}") % len(names)] for i, names in enumerate(parts)]
    return f"The response should {words[0]} {words[1]} beside {words[2]} from {words[3]}."


def meaning(text: str) -> str:
    """Which planted rule a sentence tells, as a competent reader knows; other sentences mean only themselves."""
    for index, (verb, thing, other_verb, other_thing) in enumerate(RULES):
        if any(f"{v} {t}" in text for v in (verb, other_verb) for t in (thing, other_thing)):
            return f"rule {index}"
    return text


def chain(shown: str) -> str:
    """The thinking about one pair: two or three planted rules, and noise now and then."""
    number = digest(shown)
    planted = {number % 40, number // 40 % 40, *([number // 1600 % 40] if number % 2 else [])}
    sentences = [wording(rule, digest(f"{shown} {rule}")) for rule in sorted(planted)]
    if number // 3 % 4 == 0:
        sentences.append(noise(number))
    lines = "\n".join(f"- {sentence}" for sentence in sentences)
    return f"I read both texts with care. What the preferred one gets right:\n{lines}\nThat decided it."


def mined(shown: str, asked_again: bool) -> str:
    rules = re.findall(r"^- (.*)$", shown.split("```")[1], re.MULTILINE)
    answer = json.dumps({"rules": rules})
    return answer[: len(answer) // 2] if digest(shown + str(asked_again)) % 100 < BREAKS else answer


def merged(shown: str) -> str:
    """One rule for each meaning in the list, in the words of its shortest member; with the merger's errors."""
    listed = dict(re.findall(r"^(\d+)\. (.*)$", shown, re.MULTILINE))
    members: dict[str, list[int]] = {}
    for number, text in listed.items():
        members.setdefault(meaning(text), []).append(int(number))
    texts = {key: min((listed[str(n)] for n in numbers), key=len) for key, numbers in members.items()}
    answer = {key: [] for key in members}
    for key, numbers in members.items():
        for number in numbers:
            chance = digest(f"{shown} {number}")
            if chance % 100 < FORGETS:
                continue
            wrong = FORGETS <= chance % 100 < FORGETS + ERRS
            answer[list(members)[chance // 100 % len(members)] if wrong else key].append(number)
    return json.dumps({"rules": [{"rule": texts[key], "from": found} for key, found in answer.items() if found]})


def reviewed(shown: str) -> str:
    """Which rule each statement tells again, with the same errors."""
    rules, statements = (
        dict(re.findall(r"^(\d+)\. (.*)$", part, re.MULTILINE)) for part in shown.split("And here are statements")
    )
    by_meaning = {meaning(text): int(number) for number, text in rules.items()}
    matches = []
    for number, text in statements.items():
        chance = digest(f"{shown} {number} again")
        if chance % 100 < FORGETS:
            continue
        rule = by_meaning.get(meaning(text), 0)
        if FORGETS <= chance % 100 < FORGETS + ERRS:
            rule = chance // 100 % (len(rules) + 1)
        matches.append({"statement": int(number), "rule": rule})
    return json.dumps({"matches": matches})


def _answer(request: GenerateRequest) -> ModelOutput | Failure | str:
    shown = request.messages[-1].content
    if request.stage == "interpretation":
        return ModelOutput(
            text="It is the better one.",
            reasoning=chain(shown),
            reasoning_source="field",
            finish_reason="stop",
            usage=Usage(prompt_tokens=len(shown) // 4, completion_tokens=80),
        )
    if request.stage == "mining":
        return mined(shown, asked_again=bool(request.follow_up))
    if "And here are statements" in shown:
        return reviewed(shown)
    if shown.startswith("Each of these rules"):
        rules = re.findall(r"^(\d+)\. (.*)$", shown, re.MULTILINE)
        return json.dumps({"rules": [{"from": int(number), "parts": [text]} for number, text in rules]})
    if shown.startswith("Here are pairs"):
        return '{"contradictions": []}'
    return merged(shown)


def planter() -> ScriptedBackend:
    return ScriptedBackend(_answer, name="planter")
