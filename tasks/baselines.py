"""What rules must beat, and how steady their verdicts are: the calls of an evaluation beside the verdicts."""

import json
import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from autorule.backends import open_cached
from autorule.backends.cached import CachedBackend
from autorule.errors import BudgetSpentError, CacheError, DiskError, in_words
from autorule.evaluation.baseline_table import write_baselines
from autorule.evaluation.config import EvaluateConfig
from autorule.evaluation.flips import flip_rates
from autorule.evaluation.one_call import OneCall, one_call
from autorule.records import Completion
from autorule.rewards.reward_model import RewardModel
from autorule.rules.rule_sets import RuleSet
from autorule.runs import progress
from autorule.runs.budget import budget_of
from autorule.runs.files import BASELINES, FLIPS, part_path, read_records
from autorule.runs.run_folder import Run
from autorule.storage import write_text
from autorule.tasks.preparation import COMPLETIONS
from autorule.tasks.shards import read_parts
from autorule.tasks.stage_logs import results_text
from autorule.tasks.steps import step

Sides = list[tuple[Completion, Completion]]
BASELINES_SHOWN = "baselines"
"""Name of the progress: each order of one call is a step, and so is each pair that a reward model scores."""
log = logging.getLogger(__name__)


@step("measure-baselines")
def measure_baselines(run: Run, rule_set: RuleSet, config: EvaluateConfig, n_shards: int) -> None:
    """One call about both responses, and the scores of a reward model, pair by pair; what failed is no score."""
    if config.one_call or config.reward_model is not None:
        with _noting_failure(run, "baselines"):
            _measure_baselines(run, rule_set, config, n_shards)
        run.stop_if_over_budget()


def _measure_baselines(run: Run, rule_set: RuleSet, config: EvaluateConfig, n_shards: int) -> None:
    backend = _backend(run, config)
    model = RewardModel(config.reward_model) if config.reward_model is not None else None
    n_calls = (2 * config.one_call + (model is not None)) * run.manifest.funnel.held_out_pairs
    progress.announce(BASELINES_SHOWN, n_calls)
    started = time.monotonic()
    log.info("baselines begin: %s pairs", f"{run.manifest.funnel.held_out_pairs:,}")
    records = []
    for sides in _sides(run, n_shards):
        asked = _ask_once(run, rule_set, backend, sides) if config.one_call else [OneCall()] * len(sides)
        scores = _model_scores(model, sides) if model is not None else [(None, None)] * len(sides)
        for (chosen, _), one, (best, worst) in zip(sides, asked, scores, strict=True):
            records.append(
                {
                    "row": chosen.row, "one_call_first": one.first, "one_call_second": one.second,
                    "chosen_model": best, "rejected_model": worst,
                }
            )  # fmt: skip
    write_baselines(run.folder / BASELINES, records)
    run.note_file(BASELINES, len(records))
    run.add_usage("evaluation", backend.counts)
    n_done = sum(one["one_call_first"] is not None or one["chosen_model"] is not None for one in records)
    n_failed, seconds = len(records) - n_done, time.monotonic() - started
    log.info("baselines end: %s", results_text(n_done, n_failed, backend.counts, seconds, "pairs"))


@step("measure-flips")
def measure_flips(run: Run, rule_set: RuleSet, config: EvaluateConfig, n_shards: int) -> None:
    """Asks about some of the completions in other words and orders."""
    if config.flip_sample:
        with _noting_failure(run, "flips"):
            _measure_flips(run, rule_set, config, n_shards)
        run.stop_if_over_budget()


def _measure_flips(run: Run, rule_set: RuleSet, config: EvaluateConfig, n_shards: int) -> None:
    backend = _backend(run, config)
    n_completions = run.manifest.funnel.completions
    wanted = set(random.Random(config.seed).sample(range(n_completions), min(config.flip_sample, n_completions)))
    completions = enumerate(read_parts(run, COMPLETIONS, n_shards, Completion))
    drawn = [completion for place, completion in completions if place in wanted]
    started = time.monotonic()
    log.info("flips begin: %s completions in other words and orders", f"{len(drawn):,}")
    found, failures = flip_rates(drawn, rule_set, backend)
    run.add_failures(failures)
    write_text(run.folder / FLIPS, json.dumps(found, indent=2) + "\n")
    run.note_file(FLIPS, len(found))
    run.add_usage("evaluation", backend.counts)
    n_failed = len({failure.item_id.partition(":")[0] for failure in failures})
    seconds = time.monotonic() - started
    results = results_text(len(drawn) - n_failed, n_failed, backend.counts, seconds)
    log.info("flips end: %s", results)


@contextmanager
def _noting_failure(run: Run, what: str) -> Iterator[None]:
    """As for a shard: what is missing is noted, and the verdicts that were paid for are evaluated all the same."""
    try:
        yield
    except (BudgetSpentError, DiskError, CacheError):
        raise
    except Exception as error:
        log.error("%s failed: %s", what, in_words(error), exc_info=error)
        run.update(failed_shards=(*run.manifest.failed_shards, f"{what}: {in_words(error)}"))


def _backend(run: Run, config: EvaluateConfig) -> CachedBackend:
    return open_cached(config.model, config.cache, budget_of(run.folder, config.budget))


def _sides(run: Run, n_shards: int) -> Iterator[Sides]:
    """(chosen, rejected) of the pairs of each shard."""
    for shard in range(n_shards):
        completions = list(read_records(part_path(run.folder, COMPLETIONS, shard), Completion))
        yield list(zip(completions[::2], completions[1::2], strict=True))


def _ask_once(run: Run, rule_set: RuleSet, backend: CachedBackend, sides: Sides) -> list[OneCall]:
    longest = rule_set.verification.max_conversation_chars

    def answered() -> None:
        progress.advance(BASELINES_SHOWN, calls=backend.new_counts())

    found, failures = one_call(sides, backend, longest, answered)
    run.add_failures(failures)
    if len(failures) == 2 * len(sides):
        log.warning("one call about both: no answer at all, such as %s", failures[0].message)
    return found


def _model_scores(model: RewardModel, sides: Sides) -> list[tuple[float | None, float | None]]:
    conversations = [side.prompt + side.completion for pair in sides for side in pair]
    scores = model.scores(conversations)
    progress.advance(BASELINES_SHOWN, len(sides))
    failed = [score for score in scores if isinstance(score, str)]
    if failed:
        log.warning("the reward model gave no score to %d of %d responses: %s", len(failed), len(scores), failed[0])
    known = [score if isinstance(score, float) else None for score in scores]
    return list(zip(known[::2], known[1::2], strict=True))
