"""From a preference file to answers with known worth: one honest answer and all canaries for each prompt."""

from collections.abc import Iterable
from typing import NamedTuple

from autorule.audit.canaries import CANARIES, Case, derangement
from autorule.errors import ConfigError, InputError
from autorule.preferences.completions import completion_id
from autorule.preferences.sampling import draw
from autorule.records import Completion, Message, Messages, PreferencePair, RejectedRow
from autorule.rules.rule_sets import RuleSet, prompt_hash


class Drawn(NamedTuple):
    pairs: list[PreferencePair]
    """One for each prompt, in the order of their rows."""
    n_rows: int
    n_rejected: int


class Probe(NamedTuple):
    """One prompt with its honest answer and its canaries."""

    row: int
    honest: Completion
    canaries: dict[str, Completion | None]
    """Name -> the canary; None where it is the honest answer, word for word, and so no cheat."""


def draw_prompts(rows: Iterable[PreferencePair | RejectedRow], limit: int, seed: int) -> Drawn:
    """`limit` prompts by seed, whatever the order of the rows, each once (as `prompt_hash` knows them); of a prompt
    with several pairs, one by seed. Keeps no more than `limit` pairs.

    Raises InputError when there are fewer than two prompts: a canary needs the answer to another one.
    """
    kept: dict[str, tuple[int, int, PreferencePair]] = {}
    n_rows = n_rejected = 0
    for row in rows:
        n_rows += 1
        if isinstance(row, RejectedRow):
            n_rejected += 1
            continue
        key = prompt_hash(row.prompt)
        rank = draw(seed, "audit pair", row.pair_id)
        if key in kept and kept[key][1] <= rank:
            continue
        kept[key] = draw(seed, "audit prompt", key), rank, row
        if len(kept) > limit:
            del kept[max(kept, key=lambda key: kept[key][0])]
    if len(kept) < 2:
        raise InputError(
            f"{len(kept)} distinct prompts in {n_rows} rows ({n_rejected} rejected): an audit needs at least 2, since "
            "one canary is the answer to another prompt"
        )
    return Drawn(sorted((pair for _, _, pair in kept.values()), key=lambda pair: pair.row), n_rows, n_rejected)


def make_probes(pairs: list[PreferencePair], rule_set: RuleSet, seed: int, skip: Iterable[str] = ()) -> list[Probe]:
    """Honest answer and canaries of each pair. `skip`: names of canaries to leave out. Raises ConfigError for a name
    that is none, and when nothing is left."""
    skipped = set(skip)
    if unknown := sorted(skipped - CANARIES.keys()):
        raise ConfigError(f"--skip {unknown[0]!r} is no canary; there are {', '.join(CANARIES)}")
    if skipped == CANARIES.keys():
        raise ConfigError("--skip leaves out every canary; keep at least one")
    keys = [prompt_hash(pair.prompt) for pair in pairs]
    rules = tuple(rule.criterion for rule in rule_set.rules)
    others = derangement(keys, seed)
    probes = []
    for i, pair in enumerate(pairs):
        other = _last_text(pairs[others[i]].chosen, "assistant")
        case = Case(keys[i], _last_text(pair.prompt, "user"), rules, other, seed)
        honest = _completion(pair, pair.chosen)
        texts = {name: make(case) for name, make in CANARIES.items() if name not in skipped}
        own = _last_text(pair.chosen, "assistant").strip()
        canaries = {name: None if text.strip() == own else _canary(pair, text) for name, text in texts.items()}
        probes.append(Probe(pair.row, honest, canaries))
    return probes


def _canary(pair: PreferencePair, text: str) -> Completion:
    return _completion(pair, (Message(role="assistant", content=text),))


def _completion(pair: PreferencePair, answer: Messages) -> Completion:
    return Completion(
        completion_id=completion_id(pair.prompt, answer), row=pair.row, prompt=pair.prompt, completion=answer
    )


def _last_text(messages: Messages, role: str) -> str:
    """The text of the last turn of the role; of the last turn at all where the role has none."""
    return next((turn for turn in reversed(messages) if turn.role == role), messages[-1]).content
