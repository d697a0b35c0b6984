"""From each rule back to what it came from: its candidates, the chain each was mined from, and the pair behind it.

The stage files of a run are read one line at a time, and only what the rules name is kept.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from autorule.errors import InputError, in_words
from autorule.records import CandidateRule, Interpretation, PreferencePair, Record, Rule
from autorule.rules.passages import Part, Passage, PassageFinder
from autorule.rules.rule_sets import Edit, RuleSet
from autorule.rules.text import new_rule_id
from autorule.runs.files import CANDIDATES, INTERPRETATIONS, PAIRS

STAGE_FILES = (PAIRS, INTERPRETATIONS, CANDIDATES)

RecordType = TypeVar("RecordType", bound=BaseModel)


class CandidateLineage(Record):
    """One candidate behind a rule, and where it came from."""

    candidate_id: str
    text: str
    pair_id: str
    row: int
    """Number of the row in the input that the pair was read from."""
    source_id: str | None
    interpretation_id: str
    passage: Passage


class RuleLineage(Record):
    """A rule and all the candidates behind it, in the order of its `candidate_ids`; none for one written by hand."""

    rule_id: str
    text: str
    candidates: tuple[CandidateLineage, ...]


class _Chain(NamedTuple):
    """What is kept of an interpretation: never the chain itself."""

    pair_id: str
    row: int
    passages: dict[str, Passage]
    """Candidate id -> its passage."""


def missing_files(folder: Path) -> list[Path]:
    """The stage files that lineage needs and that are not in the folder."""
    return [folder / name for name in STAGE_FILES if not (folder / name).is_file()]


def trace(
    rule_set: RuleSet, run_folder: Path | Sequence[Path], rule_ids: Collection[str] | None = None
) -> list[RuleLineage]:
    """The lineage of every rule of the set, or of those in `rule_ids`, in the order of the set.

    A set that was merged from several runs needs the folders of all of them; a candidate that stands in more than one
    is traced in the first. Raises InputError, with the id and the file, for a candidate, an interpretation or a pair
    that is not there, and for a file that is missing or can't be read.
    """
    folders = [run_folder] if isinstance(run_folder, Path) else list(run_folder)
    rules = [rule for rule in rule_set.rules if rule_ids is None or rule.rule_id in rule_ids]
    wanted = {candidate_id: rule.rule_id for rule in rules for candidate_id in rule.candidate_ids}
    parts = _parts(rule_set)
    found: dict[str, CandidateLineage] = {}
    for folder in folders:
        if wanted.keys() - found.keys():
            found.update(_trace_in(folder, wanted.keys() - found.keys(), parts))
    for candidate_id, rule_id in wanted.items():
        if candidate_id not in found:
            files = " or ".join(str(folder / CANDIDATES) for folder in folders)
            raise InputError(
                f"rule {rule_id} names the candidate {candidate_id}, which is not in {files}; "
                "give the folder of the run that it was mined in with --run"
            )
    return [_lineage(rule, found) for rule in rules]


def _lineage(rule: Rule, found: dict[str, CandidateLineage]) -> RuleLineage:
    candidates = tuple(found[candidate_id] for candidate_id in rule.candidate_ids)
    if strange := sorted(set(rule.pair_ids) - {candidate.pair_id for candidate in candidates}):
        raise InputError(
            f"rule {rule.rule_id} names the pair {strange[0]}, which none of its candidates in {CANDIDATES} came from; "
            "mend pair_ids in the rule set"
        )
    return RuleLineage(rule_id=rule.rule_id, text=rule.criterion, candidates=candidates)


def _parts(rule_set: RuleSet) -> tuple[Part, ...]:
    """What the candidates were mined from. A set out of several runs may have used both; the better passage wins."""
    sources = {source.extract_from for source in rule_set.provenance} or {"chain"}
    chain: tuple[Part, ...] = ("chain",) if sources & {"chain", "both"} else ()
    return (*chain, "answer") if sources & {"answer", "both"} else chain


def _trace_in(folder: Path, wanted: Collection[str], parts: tuple[Part, ...]) -> dict[str, CandidateLineage]:
    """The lineage of those wanted candidates that this run mined, by id."""
    candidates = {c.candidate_id: c for c in _read(folder / CANDIDATES, CandidateRule) if c.candidate_id in wanted}
    if not candidates:
        return {}
    chains = _chains(folder / INTERPRETATIONS, candidates.values(), parts)
    source_ids = _source_ids(folder / PAIRS, {(chain.pair_id, chain.row) for chain in chains.values()})
    traced = {}
    for candidate in candidates.values():
        chain = chains[candidate.interpretation_id]
        traced[candidate.candidate_id] = CandidateLineage(
            candidate_id=candidate.candidate_id,
            text=candidate.text,
            pair_id=chain.pair_id,
            row=chain.row,
            source_id=source_ids[chain.pair_id, chain.row],
            interpretation_id=candidate.interpretation_id,
            passage=chain.passages[candidate.candidate_id],
        )
    return traced


def _chains(path: Path, candidates: Collection[CandidateRule], parts: tuple[Part, ...]) -> dict[str, _Chain]:
    """The passages of the candidates, by interpretation."""
    by_chain: dict[str, list[CandidateRule]] = {}
    for candidate in candidates:
        by_chain.setdefault(candidate.interpretation_id, []).append(candidate)
    chains = {}
    for interpretation in _read(path, Interpretation):
        if own := by_chain.get(interpretation.interpretation_id):
            finders = [PassageFinder(text, part) for part in parts if (text := getattr(interpretation, part)).strip()]
            if not finders:
                raise InputError(
                    f"{path}: interpretation {interpretation.interpretation_id} holds no {' and no '.join(parts)}, "
                    f"which candidate {own[0].candidate_id} was mined from; mend the file or make the run again"
                )
            passages = {candidate.candidate_id: _best_passage(finders, candidate.text) for candidate in own}
            chains[interpretation.interpretation_id] = _Chain(interpretation.pair_id, interpretation.row, passages)
    for interpretation_id, own in by_chain.items():
        if interpretation_id not in chains:
            raise InputError(
                f"the interpretation {interpretation_id} of candidate {own[0].candidate_id} is not in {path}; "
                "the files of the folder are of different runs"
            )
    return chains


def _best_passage(finders: Sequence[PassageFinder], candidate: str) -> Passage:
    return max((finder.find(candidate) for finder in finders), key=lambda passage: passage.score)


def _source_ids(path: Path, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], str | None]:
    """The source id of each wanted pair, by pair id and row: one pair may come twice, with either label."""
    found = {
        (pair.pair_id, pair.row): pair.source_id
        for pair in _read(path, PreferencePair)
        if (pair.pair_id, pair.row) in wanted
    }
    for pair_id, row in sorted(wanted - found.keys()):
        raise InputError(
            f"the pair {pair_id} of row {row} is not in {path}; the files of the folder are of different runs"
        )
    return found


def _read(path: Path, kind: type[RecordType]) -> Iterator[RecordType]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield kind.model_validate_json(line)
                except ValidationError as error:
                    first = error.errors()[0]
                    where = ".".join(map(str, first["loc"]))
                    raise InputError(
                        f"{path}, line {number}: no {kind.__name__} ({where + ': ' if where else ''}{first['msg']}); "
                        "give the folder of a run that this version of autorule made"
                    ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {in_words(error)}; give the folder of the run with --run") from error


def history_of(rule_set: RuleSet, rule: Rule) -> list[Edit]:
    """The edits that led to the rule, also those of its earlier wordings."""
    ids, texts = {rule.rule_id}, {rule.text}
    found = []
    for entry in reversed(rule_set.history):
        if entry.rule_id in ids or entry.after in texts:
            found.append(entry)
            if entry.before:
                texts.add(entry.before)
                ids.add(new_rule_id(entry.before))
    return found[::-1]
