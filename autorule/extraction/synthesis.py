"""Stage 3: from thousands of candidates to tens of rules. What is merged with what, and what is kept.

Candidates with the same words fold first, then near duplicates; the model merges clusters of similar rules, then wider
clusters, until one list fits a call, and then that list (merging.py has the questions). Every candidate ends behind a
rule or with a stated reason. AutoRule (arXiv 2506.15651) merges once, in a single call: `single_merge`.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from autorule.backends.text_vectors import Vectoriser
from autorule.backends.token_estimate import estimate_tokens
from autorule.config.stages import SynthesisConfig
from autorule.errors import RunFailedError
from autorule.prompting import Prompt
from autorule.records import CandidateRule, DroppedCandidate, Rule
from autorule.rules.sense import sense_of
from autorule.rules.similarity import leader_clusters
from autorule.rules.text import new_rule_id, normalise_rule
from autorule.rules.wording import are_opposed, wording

WIDER = 0.6
"""Each round of merging looks for clusters with so much of the similarity of the round before."""
TOKENS_PER_NUMBER = 4


class Draft(NamedTuple):
    """A rule on its way: its text and the candidates behind it."""

    text: str
    candidates: tuple[CandidateRule, ...]

    @property
    def support(self) -> int:
        return len({candidate.pair_id for candidate in self.candidates})


class Dropped(NamedTuple):
    """Drafts that become no rule, and why."""

    drafts: tuple[Draft, ...]
    reason: str


def fold(candidates: Iterable[CandidateRule], config: SynthesisConfig, vectorise: Vectoriser) -> list[Draft]:
    """Candidates that say the same in the same or nearly the same words, as one draft each; best supported first.

    The text of a draft is the commonest wording, then the shortest. Opposites can be as alike as two texts are: by
    words alone only those of one wording fold; by vectors of a model, all that are not opposed (rules/wording.py).
    """
    same: dict[str, list[CandidateRule]] = {}
    for candidate in candidates:
        same.setdefault(normalise_rule(candidate.text), []).append(candidate)
    drafts = in_order(_draft(group) for group in same.values())
    if config.fold_similarity == 1 or (vectors := vectors_of(drafts, vectorise)) is None:
        return drafts
    folded = []
    by_words = config.similarity.method == "tfidf"
    may_be_one: dict[Hashable, list[int]] = {}
    for index, draft in enumerate(drafts):
        may_be_one.setdefault(wording(draft.text) if by_words else sense_of(draft.text), []).append(index)
    for own in may_be_one.values():

        def opposed(one: int, other: int, own: Sequence[int] = own) -> bool:
            return not by_words and are_opposed(drafts[own[one]].text, drafts[own[other]].text)

        clusters = leader_clusters(vectors[own], config.fold_similarity, max_size=len(drafts), apart=opposed)
        folded += [_draft([c for index in cluster for c in drafts[own[index]].candidates]) for cluster in clusters]
    return in_order(folded)


def vectors_of(drafts: Sequence[Draft], vectorise: Vectoriser) -> Any:
    """One unit vector for each draft; None when there is nothing to compare."""
    return vectorise([draft.text for draft in drafts]) if len(drafts) > 1 else None


def in_order(drafts: Iterable[Draft]) -> list[Draft]:
    """By support, then text: the same for every run."""
    return sorted(drafts, key=lambda draft: (-draft.support, draft.text))


def merge_groups(
    drafts: Sequence[Draft], vectors: Any, config: SynthesisConfig, round_index: int, room: int
) -> list[tuple[Draft, ...]]:
    """What one round merges: clusters of similar drafts, several small ones in one call; later rounds wider ones.

    `room` is that of `list_room`.
    """
    if vectors is None:
        return []
    threshold = config.merge_similarity * WIDER**round_index
    groups: list[tuple[Draft, ...]] = []
    for cluster in leader_clusters(vectors, threshold, config.max_merge_rules):
        if len(cluster) == 1:
            continue
        group = tuple(drafts[index] for index in cluster)
        if groups and round_index and fits_one_call((*groups[-1], *group), config, room):
            groups[-1] += group
        else:
            groups += _in_pieces(group, config, room)
    return groups


def list_room(config: SynthesisConfig, prompt: Prompt) -> int:
    """Tokens that the list of one merge call may have: a third of the context, beside thinking and answer; and half of
    the answer, which repeats the list unless it was begun for the model and is one line."""
    context = config.context_tokens // 3
    return context if prompt.begun_answer else min(context, config.sampling.max_tokens // 2)


def fits_one_call(drafts: Sequence[Draft], config: SynthesisConfig, room: int) -> bool:
    """Whether one merge call can take the list: at most `max_merge_rules`, and no more tokens than there is room."""
    return len(drafts) <= config.max_merge_rules and list_tokens(drafts) <= room


def best_list(drafts: Sequence[Draft], config: SynthesisConfig, room: int) -> tuple[Draft, ...]:
    """As many of the best supported drafts as fit one call, but two at least: where there is no room for two, the call
    fails and is seen, and nothing is left unmerged in silence."""
    n = min(len(drafts), config.max_merge_rules)
    while n > 2 and not fits_one_call(drafts[:n], config, room):
        n -= max(1, n // 20)
    return tuple(drafts[:n])


def list_tokens(drafts: Sequence[Draft]) -> int:
    return sum(estimate_tokens(draft.text) + TOKENS_PER_NUMBER for draft in drafts)


def check_single_merge(drafts: Sequence[Draft], config: SynthesisConfig) -> None:
    """Raises RunFailedError when the list and an answer as long as it can't fit the context: what the call would lose
    can't be known."""
    needed = 2 * list_tokens(drafts)
    if needed > config.context_tokens:
        raise RunFailedError(
            f"a single merge of {len(drafts):,} distinct candidates needs about {needed:,} tokens for list and answer, "
            f"the context has {config.context_tokens:,} (synthesis.context_tokens). It was not sent: take fewer "
            "pairs (--limit), a model with a longer context, or synthesis.single_merge=false"
        )


def after_round(
    drafts: Sequence[Draft], groups: Mapping[str, Sequence[Draft]], merged: Mapping[str, Sequence[Draft]]
) -> list[Draft]:
    """All drafts after a round: the results of the groups that were merged, and every draft that no merge replaced."""
    replaced = {draft.text for key in merged for draft in groups[key]}
    untouched = (draft for draft in drafts if draft.text not in replaced)
    return in_order(join_same([*untouched, *(draft for key in groups for draft in merged.get(key, ()))]))


def choose(drafts: Sequence[Draft], config: SynthesisConfig, n_pairs: int) -> tuple[list[Draft], list[Dropped]]:
    """The drafts that become rules, best supported first, and the others with the reason."""
    ordered = in_order(join_same(drafts))
    least = max(1, math.ceil(round(config.min_support_share * n_pairs, 6)))  # 0.07 of 100 is 7, not 7.000000000000001
    supported = [draft for draft in ordered if draft.support >= least]
    kept = supported[: config.max_rules]
    below, over = ordered[len(supported) :], supported[len(kept) :]
    dropped = [
        Dropped((draft,), f"support {draft.support} is below {least} of {n_pairs} pairs (min_support_share)")
        for draft in below
    ]
    dropped += [Dropped((d,), f"over the size cap of {config.max_rules} rules (support {d.support})") for d in over]
    return kept, dropped


def as_rules(drafts: Sequence[Draft], contradictions: Iterable[tuple[str, str]] = ()) -> list[Rule]:
    """The drafts as rules, in their order; `contradictions` are pairs of rule ids."""
    contradicted: dict[str, set[str]] = {}
    for one, other in contradictions:
        contradicted.setdefault(one, set()).add(other)
        contradicted.setdefault(other, set()).add(one)
    return [
        Rule(
            rule_id=new_rule_id(draft.text),
            text=draft.text,
            support=draft.support,
            candidate_ids=tuple(sorted({candidate.candidate_id for candidate in draft.candidates})),
            pair_ids=tuple(sorted({candidate.pair_id for candidate in draft.candidates})),
            contradicts=tuple(sorted(contradicted.get(new_rule_id(draft.text), ()))),
        )
        for draft in drafts
    ]


def as_dropped(dropped: Iterable[Dropped], rules: Sequence[Rule]) -> list[DroppedCandidate]:
    """Every candidate behind no rule, with the first reason that was given for it."""
    behind = {candidate_id for rule in rules for candidate_id in rule.candidate_ids}
    reasons: dict[str, str] = {}
    for drafts, reason in dropped:
        for candidate in (c for draft in drafts for c in draft.candidates if c.candidate_id not in behind):
            reasons.setdefault(candidate.candidate_id, reason)
    return [DroppedCandidate(candidate_id=key, reason=reason) for key, reason in sorted(reasons.items())]


def join_same(drafts: Iterable[Draft]) -> list[Draft]:
    """The drafts, those with the same words joined."""
    joined: dict[str, Draft] = {}
    for draft in drafts:
        key = normalise_rule(draft.text)
        before = joined.get(key)
        joined[key] = Draft(before.text, distinct((*before.candidates, *draft.candidates))) if before else draft
    return list(joined.values())


def distinct(candidates: Iterable[CandidateRule]) -> tuple[CandidateRule, ...]:
    return tuple({candidate.candidate_id: candidate for candidate in candidates}.values())


def _in_pieces(group: tuple[Draft, ...], config: SynthesisConfig, room: int) -> list[tuple[Draft, ...]]:
    """The group, cut where one call can't take it whole."""
    pieces = []
    while group:
        piece = best_list(group, config, room)
        pieces.append(piece)
        group = group[len(piece) :]
    return [piece for piece in pieces if len(piece) > 1]


def _draft(candidates: Sequence[CandidateRule]) -> Draft:
    counts = Counter(candidate.text for candidate in candidates)
    text = min(counts, key=lambda text: (-counts[text], len(text), text))
    return Draft(text, tuple(candidates))
