"""Held-out pairs as completions, and what their verdicts say about the rules."""

from collections.abc import Iterator
from typing import Any

from autorule.errors import InputError
from autorule.evaluation.config import EvaluateConfig
from autorule.evaluation.evaluate import evaluate
from autorule.evaluation.pair_table import SEEN, leaked_pairs, pair_rows, write_pair_table
from autorule.evaluation.reading import read_flips, read_matrix, read_position_bias
from autorule.evaluation.too_many_failures import unscored_message
from autorule.preferences.completions import completions_of
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import check_file
from autorule.preferences.reading import read_pairs
from autorule.preferences.sampling import sample_pairs
from autorule.records import Completion, PreferencePair, RejectedRow
from autorule.rewards.reward_model import RewardModel
from autorule.rules.rule_sets import RuleSet, load_rule_set, prompt_keys
from autorule.runs.files import EVALUATION, HELD_OUT_PAIRS, REJECTED_HELD_OUT
from autorule.runs.run_folder import Run
from autorule.statistics.records import Evaluation
from autorule.storage import write_text
from autorule.tasks.preparation import COMPLETIONS, check_model, common_reason
from autorule.tasks.shards import write_parts
from autorule.tasks.stage_logs import log_funnel
from autorule.tasks.steps import step


def check_before_evaluation(config: EvaluateConfig) -> RuleSet:
    """The rule set. Raises what would end the run later: a missing file, package, key or server."""
    rule_set = load_rule_set(config.rules)
    check_file(config.pairs)
    check_model(config.model)
    if config.reward_model is not None:
        RewardModel(config.reward_model).check()
    return rule_set


class HeldOutPairs:
    """Reads and draws the pairs of an evaluation, and notes what is left out, or leaked, while they stream by."""

    def __init__(self, config: EvaluateConfig, rule_set: RuleSet) -> None:
        self._config = config
        self._seen = rule_set.seen_prompts
        self.rejected: list[RejectedRow] = []
        self.leaked: list[int] = []
        """Rows whose prompts the rules were mined from, kept or weighed by."""
        self.n_usable = 0
        self.n_drawn = 0

    def __iter__(self) -> Iterator[PreferencePair]:
        for pair in sample_pairs(self._usable(), self._config.limit, self._config.seed):
            self.n_drawn += 1
            if self.is_leaked(pair):
                self.leaked.append(pair.row)
            yield pair

    def check(self) -> None:
        """Raises InputError when what was drawn can't be evaluated: leaked pairs that are neither allowed nor left out,
        since they would flatter the rules, or no pair at all."""
        path, leaked = self._config.pairs, self.leaked
        if leaked and not self._config.allow_leakage:
            raise InputError(
                f"{path}: the rules were mined from, or chosen by, the prompts of {len(leaked)} of {self.n_drawn} "
                f"pairs, such as row {leaked[0]}; they would flatter the rules: take other pairs, leave these out with "
                "--leave-out-leaked, or count them with --allow-leakage"
            )
        if not self.n_drawn:
            reason = common_reason(self.rejected)
            raise InputError(f"{path}: none of {len(self.rejected)} rows is a usable pair{reason}")

    def is_leaked(self, pair: PreferencePair) -> bool:
        """Whether the rules were mined from its prompt, kept or weighed by it."""
        return not self._seen.isdisjoint(prompt_keys(pair.prompt))

    def _usable(self) -> Iterator[PreferencePair]:
        fields = FieldMap(self._config.columns, self._config.winner_values, slices=self._config.slices)
        for row in read_pairs(self._config.pairs, fields):
            if isinstance(row, RejectedRow):
                self.rejected.append(row)
            elif self._config.leave_out_leaked and self.is_leaked(row):
                self.rejected.append(RejectedRow(row=row.row, source_id=row.source_id, reasons=(SEEN,)))
            else:
                self.n_usable += 1
                yield row


@step("read-held-out-pairs")
def split_held_out(run: Run, config: EvaluateConfig, rule_set: RuleSet) -> int:
    """Both sides of every pair as completions, in shards; the number of shards.

    Raises InputError when the file holds no usable pair, and for pairs whose prompt the rules were mined from, kept or
    weighed by: unless that is allowed, or they are to be left out.
    """
    pairs = HeldOutPairs(config, rule_set)
    table: list[dict[str, Any]] = []

    def sides() -> Iterator[Completion]:
        for pair in pairs:
            table.extend(pair_rows([pair]))
            yield from completions_of(pair)

    n_completions, n_shards = write_parts(run, COMPLETIONS, sides(), 2 * config.shard_size)
    rejected = pairs.rejected
    run.write(REJECTED_HELD_OUT, rejected)
    pairs.check()
    write_pair_table(run.folder / HELD_OUT_PAIRS, table)
    run.note_file(HELD_OUT_PAIRS, len(table))
    run.count(
        held_out_rows_read=pairs.n_usable + len(rejected),
        held_out_rows_rejected=len(rejected),
        held_out_pairs_not_drawn=pairs.n_usable - len(table),
        held_out_pairs=len(table),
        completions=n_completions,
    )
    log_funnel(run.manifest.funnel, "held-out rows → pairs")
    return n_shards


@step("evaluate-verdicts")
def evaluate_verdicts(run: Run, rule_set: RuleSet, config: EvaluateConfig) -> Evaluation:
    """Statistics from the verdicts in the run folder, written beside them."""
    matrix = read_matrix(run.folder, rule_set)
    found = evaluate(
        matrix,
        rule_set.rules,
        rule_set.reward,
        rate=config.false_discovery_rate,
        rounds=config.bootstrap_rounds,
        seed=config.seed,
        leaked_pairs=leaked_pairs(run.folder, rule_set),
        flips=read_flips(run.folder),
        position_bias=read_position_bias(run.folder),
    )
    write_text(run.folder / EVALUATION, found.model_dump_json(indent=2) + "\n")
    run.note_file(EVALUATION, 1)
    if (message := unscored_message(found, config.max_unscored)) is not None:
        run.update(failed_shards=(*run.manifest.failed_shards, message))
    return found
