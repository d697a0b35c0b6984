"""The union of rule sets, without a model: the same words join, near duplicates fold into the better supported rule."""

from collections.abc import Sequence
from typing import NamedTuple

from autorule.errors import RuleSetError
from autorule.records import Rule
from autorule.rules.editing import changed, remap_contradictions, shortened, without_dangling
from autorule.rules.matching import cosines
from autorule.rules.rule_sets import Edit, Provenance, RuleSet
from autorule.rules.text import normalise_rule
from autorule.rules.wording import are_opposed


class _Group(NamedTuple):
    """Rules that become one: the first one's text and weight, everyone's sources."""

    members: tuple[Rule, ...]
    reasons: tuple[str, ...]
    """For each member but the first, why it joins."""

    @property
    def rule(self) -> Rule:
        first = self.members[0]
        if all(member == first for member in self.members):
            return first
        pair_ids = sorted({key for member in self.members for key in member.pair_ids})
        return first.model_copy(
            update={
                "support": len(pair_ids) or max(member.support for member in self.members),
                "candidate_ids": tuple(sorted({key for member in self.members for key in member.candidate_ids})),
                "pair_ids": tuple(pair_ids),
                "aspect": next((member.aspect for member in self.members if member.aspect), None),
                "contradicts": tuple(dict.fromkeys(key for member in self.members for key in member.contradicts)),
                "pinned": any(member.pinned for member in self.members),
                "statistics": {},  # measured with one of the rules, not with all that this one now stands for
            }
        )


def merge_rule_sets(
    rule_sets: Sequence[RuleSet],
    names: Sequence[str],
    by: str,
    similarity: float = 0.9,
    verification_of: int | None = None,
) -> RuleSet:
    """One rule set with the rules of all, best supported first.

    `names` are what errors call the sets. Of rules with the same words or a cosine of at least `similarity`, the best
    supported one stays and takes over the sources of the others. How rules are verified and rewarded must be the same
    in all sets, or is taken from set number `verification_of` (from 1). Raises RuleSetError when they differ, when
    there is no such set, and when one id means two rules.
    """
    chosen = _one_to_verify_with(rule_sets, names, verification_of)
    groups = _fold(_join(rule_sets, names), similarity)
    # One id may have had several rules with the same words, never rules of different groups (see _join).
    new_ids = {member.rule_id: group.rule.rule_id for group in groups for member in group.members}
    rules = remap_contradictions([group.rule for group in groups], new_ids)
    provenance: list[Provenance] = []
    for source in (source for rule_set in rule_sets for source in rule_set.provenance):
        if source not in provenance:
            provenance.append(source)
    history = joined_history(rule_sets)
    edits = [edit for group in groups for edit in _edits(group, by)]
    rules = sorted(without_dangling(rules), key=lambda rule: (-rule.support, rule.text))
    tuned = tuple(sorted({key for rule_set in rule_sets for key in rule_set.tuned_prompts}))
    return changed(chosen, rules, edits, provenance=tuple(provenance), tuned_prompts=tuned, history=history)


def joined_history(rule_sets: Sequence[RuleSet]) -> tuple[Edit, ...]:
    """The edits of all sets; what two of them share, as copies of one file do, is there once."""
    history: list[Edit] = []
    for rule_set in rule_sets:
        history += [edit for edit in rule_set.history if edit not in history]
    return tuple(history)


def differences(one: RuleSet, other: RuleSet) -> list[str]:
    """In which settings of verification and reward the two sets differ, with both values."""
    found = []
    for section in ("verification", "reward"):
        # The sha256 stands for the prompt: its name and text would only say the same again.
        before = getattr(one, section).model_dump(mode="json", exclude={"prompt"})
        after = getattr(other, section).model_dump(mode="json", exclude={"prompt"})
        for name, value in before.items():
            if after[name] != value and name == "prompt_sha256":
                found.append(f"verification.prompt ({_prompt_of(one)}, {_prompt_of(other)})")
            elif after[name] != value:
                found.append(f"{section}.{name} ({value!r}, {after[name]!r})")
    return found


def _prompt_of(rule_set: RuleSet) -> str:
    return f"{rule_set.verification.prompt.name!r} {rule_set.verification.prompt_sha256[:8]}"


def _one_to_verify_with(rule_sets: Sequence[RuleSet], names: Sequence[str], number: int | None) -> RuleSet:
    if number is not None:
        if not 1 <= number <= len(rule_sets):
            raise RuleSetError(f"--verification-of {number}: there are {len(rule_sets)} rule sets; give 1 to that")
        return rule_sets[number - 1]
    for name, rule_set in zip(names[1:], rule_sets[1:], strict=True):
        if found := differences(rule_sets[0], rule_set):
            raise RuleSetError(
                f"{names[0]} and {name} differ in {', '.join(found)}; say whose is right with --verification-of "
                f"NUMBER, from 1 to {len(rule_sets)}"
            )
    return rule_sets[0]


def _join(rule_sets: Sequence[RuleSet], names: Sequence[str]) -> list[_Group]:
    """The rules of all sets, those with the same words as one group."""
    meaning: dict[str, tuple[str, str]] = {}
    same: dict[str, list[Rule]] = {}
    for name, rule_set in zip(names, rule_sets, strict=True):
        for rule in rule_set.rules:
            key = normalise_rule(rule.criterion) or rule.criterion
            first_key, first_name = meaning.setdefault(rule.rule_id, (key, name))
            if first_key != key:
                raise RuleSetError(
                    f"the id {rule.rule_id} means two rules, {shortened(first_key)!r} in {first_name} and "
                    f"{shortened(key)!r} in {name}; give one another rule_id"
                )
            same.setdefault(key, []).append(rule)
    return [_Group(tuple(sorted(rules, key=_rank)), ("the same words",) * (len(rules) - 1)) for rules in same.values()]


def _fold(groups: Sequence[_Group], threshold: float) -> list[_Group]:
    """Each group joins the most similar better supported one that stays, if there is one within the threshold."""
    groups = sorted(groups, key=lambda group: _rank(group.rule))
    similarity = cosines([group.rule.criterion for group in groups])
    leaders: dict[int, _Group] = {}
    for index, group in enumerate(groups):
        near = [i for i, own in leaders.items() if similarity[index, i] >= threshold and not _opposite(own, group)]
        leader = max(near, key=lambda place: similarity[index, place], default=None)
        if leader is None:
            leaders[index] = group
            continue
        own = leaders[leader]
        reasons = (*own.reasons, *(f"similarity {similarity[index, leader]:.2f}" for _ in group.members))
        leaders[leader] = _Group((*own.members, *group.members), reasons)
    return list(leaders.values())


def _opposite(one: _Group, other: _Group) -> bool:
    """Whether rules of two groups contradict each other, as far as the sets say so or their words show (wording.py)."""
    return any(
        left.rule_id in right.contradicts
        or right.rule_id in left.contradicts
        or are_opposed(left.criterion, right.criterion)
        for left in one.members
        for right in other.members
    )


def _rank(rule: Rule) -> tuple[int, bool]:
    """Best supported first, then pinned; of equal ones, sorting keeps the order of the sets as they are given."""
    return (-rule.support, not rule.pinned)


def _edits(group: _Group, by: str) -> list[Edit]:
    first, *others = group.members
    return [
        Edit(
            action="merged", by=by, rule_id=first.rule_id, before=member.criterion, after=first.criterion, reason=reason
        )
        for member, reason in zip(others, group.reasons, strict=True)
        if member != first
    ]
