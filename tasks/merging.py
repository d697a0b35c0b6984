"""The calls of synthesis: merges in rounds, reviews, splits, contradictions."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from autorule.backends.asking import ask
from autorule.backends.base import GenerateRequest
from autorule.backends.cached import CachedBackend
from autorule.backends.text_vectors import Vectoriser
from autorule.config.stages import SynthesisConfig
from autorule.errors import RunFailedError
from autorule.extraction.answer_bounds import ran_on
from autorule.extraction.merging import (
    apply_merge,
    build_request,
    build_review,
    drafts_of,
    parse_merge,
    parse_review,
    read_merge,
)
from autorule.extraction.rule_checks import (
    apply_split,
    build_contradictions,
    build_split,
    compound_drafts,
    parse_contradictions,
    parse_split,
    to_compare,
)
from autorule.extraction.synthesis import (
    Draft,
    Dropped,
    after_round,
    best_list,
    check_single_merge,
    choose,
    fits_one_call,
    join_same,
    list_room,
    merge_groups,
    vectors_of,
)
from autorule.prompting import Prompt, load_prompt
from autorule.records import Failure, ModelOutput
from autorule.rules.similarity import similar_pairs
from autorule.rules.text import new_rule_id
from autorule.runs import progress
from autorule.runs.files import FAILURES
from autorule.runs.run_folder import Run
from autorule.tasks.stage_logs import results_text

Parsed = TypeVar("Parsed")
log = logging.getLogger(__name__)


class Merger(NamedTuple):
    """What every call of the stage needs."""

    run: Run
    backend: CachedBackend
    config: SynthesisConfig
    max_rule_chars: int
    vectorise: Vectoriser

    def prompt(self, name: str) -> Prompt:
        return load_prompt(getattr(self.config, name))

    def ask_all(
        self, requests: Sequence[GenerateRequest], parse: Callable[[GenerateRequest, ModelOutput], Parsed]
    ) -> dict[str, Parsed]:
        """Request id -> parsed answer. A call that fails is noted, and what it was about stays as it was; an answer
        whose list ran on is counted."""

        def parse_counted(request: GenerateRequest, output: ModelOutput) -> tuple[Parsed, bool]:
            return parse(request, output), ran_on(request, output)

        lists_cut = 0
        distinct = list({request.request_id: request for request in requests}.values())
        progress.announce("synthesis", len(distinct))
        started = time.monotonic()
        answers: dict[str, Parsed] = {}
        failures = []
        for request, result in ask(self.backend, distinct, parse_counted, self.config.asks):
            progress.advance("synthesis", calls=self.backend.new_counts())
            if isinstance(result, Failure):
                failures.append(result)
            else:
                answers[request.request_id], cut = result
                lists_cut += cut
        self.run.add_failures(failures)
        self.run.count(merges_failed=len(failures), lists_cut=lists_cut)
        counts = self.backend.take_counts()
        self.run.add_usage("synthesis", counts)
        if distinct:
            log.info("synthesis: %s", results_text(len(answers), len(failures), counts, time.monotonic() - started))
        self.run.stop_if_over_budget()
        return answers


def merge_in_rounds(merger: Merger, drafts: list[Draft]) -> list[Draft]:
    """Clusters, then wider clusters, until one list fits a call; and then that list."""
    config, room = merger.config, list_room(merger.config, merger.prompt("prompt"))
    for round_index in range(config.merge_rounds):
        if round_index > 0 and fits_one_call(drafts, config, room):
            break
        vectors = vectors_of(drafts, merger.vectorise)
        drafts = _merge(merger, drafts, merge_groups(drafts, vectors, config, round_index, room))
    if config.merge_rounds > 1 and len(last := best_list(drafts, config, room)) > 1:
        drafts = _merge(merger, drafts, [last])
    return drafts


def merge_once(merger: Merger, drafts: list[Draft]) -> tuple[list[Draft], list[Dropped]]:
    """One call with every draft, as the paper has it; what the answer leaves out is dropped, as there.

    Raises RunFailedError when there is no usable answer: unmerged candidates are no rule set of this method.
    """
    if len(drafts) < 2:
        return drafts, []
    check_single_merge(drafts, merger.config)
    config, prompt = merger.config.model_copy(update={"review": False}), merger.prompt("prompt")
    request = build_request(drafts, prompt, config, merger.max_rule_chars)
    answers = merger.ask_all([request], lambda request, output: parse_merge(request, output, len(drafts)))
    if request.request_id not in answers:
        raise RunFailedError(f"the single merge of {len(drafts)} candidates failed; {FAILURES} says why")
    merge = read_merge(drafts, answers[request.request_id], prompt, merger.max_rule_chars, config, merger.vectorise)
    left_out = tuple(drafts[number] for number in merge.forgotten)
    return join_same(drafts_of(drafts, merge.rules)), [Dropped(left_out, "left out by the merge")]


def _merge(merger: Merger, drafts: list[Draft], groups: Sequence[tuple[Draft, ...]]) -> list[Draft]:
    """All drafts after these groups were merged. The members of a merge that failed stay as they were."""
    config, prompt = merger.config, merger.prompt("prompt")
    asked = {
        request.request_id: (request, group)
        for group in groups
        for request in [build_request(group, prompt, config, merger.max_rule_chars)]
    }
    answers = merger.ask_all(
        [request for request, _ in asked.values()],
        lambda request, output: parse_merge(request, output, len(asked[request.request_id][1])),
    )
    merges = {
        key: read_merge(asked[key][1], answer, prompt, merger.max_rule_chars, config, merger.vectorise)
        for key, answer in answers.items()
    }
    reviews = {}
    if config.review:
        review_prompt = merger.prompt("review_prompt")
        to_ask = {key: merge for key, merge in merges.items() if merge.to_review and merge.rules}
        reviews = {key: build_review(merge, review_prompt, config) for key, merge in to_ask.items()}
    sizes = {
        request.request_id: (len(merges[key].to_review), len(merges[key].rules)) for key, request in reviews.items()
    }
    reviewed = merger.ask_all(
        list(reviews.values()), lambda request, output: parse_review(request, output, *sizes[request.request_id])
    )
    after = {
        key: apply_merge(merge, reviewed.get(reviews[key].request_id) if key in reviews else None)
        for key, merge in merges.items()
    }
    return after_round(drafts, {key: group for key, (_, group) in asked.items()}, after)


def split(merger: Merger, drafts: list[Draft], n_pairs: int) -> list[Draft]:
    """The drafts, with the compound ones among those that would become rules split."""
    compound = compound_drafts(choose(drafts, merger.config, n_pairs)[0], merger.max_rule_chars)
    if not compound:
        return drafts
    prompt = merger.prompt("split_prompt")
    request = build_split(compound, prompt, merger.config, merger.max_rule_chars)
    answers = merger.ask_all([request], lambda request, output: parse_split(request, output, len(compound)))
    parts = answers.get(request.request_id, {})
    parted = apply_split(compound, parts, prompt, merger.max_rule_chars)
    return after_round(drafts, {"split": compound}, {"split": parted})


def contradictions(merger: Merger, kept: list[Draft]) -> list[tuple[str, str]]:
    """Pairs of rule ids that contradict each other, looked for among similar rules only."""
    prompt = merger.prompt("contradiction_prompt")
    vectors = vectors_of(kept, merger.vectorise)
    calls = to_compare(list(similar_pairs(vectors, merger.config.contradiction_similarity)))
    asked = {}
    for pairs in calls:
        texts = [(kept[pair.first].text, kept[pair.second].text) for pair in pairs]
        request = build_contradictions(texts, prompt, merger.config)
        asked[request.request_id] = (request, texts)
    answers = merger.ask_all(
        [request for request, _ in asked.values()],
        lambda request, output: parse_contradictions(request, output, len(asked[request.request_id][1])),
    )
    found = [asked[key][1][number] for key, numbers in answers.items() for number in numbers]
    return [(new_rule_id(one), new_rule_id(other)) for one, other in found]
