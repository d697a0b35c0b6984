"""Before the stages: read the input, set aside what is unusable, draw, and cut into shards."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from autorule.backends import open_backend
from autorule.backends.text_vectors import check_vectoriser
from autorule.config.models import ModelConfig
from autorule.config.runs import ExtractConfig, ScoreConfig
from autorule.errors import InputError
from autorule.evaluation.pair_table import pair_rows, write_pair_table
from autorule.preferences.completions import completions_of, read_completions
from autorule.preferences.fields import FieldMap
from autorule.preferences.readers import check_file
from autorule.preferences.reading import read_pairs
from autorule.preferences.sampling import sample_pairs
from autorule.prompting import load_prompt
from autorule.records import Completion, Messages, PreferencePair, RejectedRow, RejectionReason, content_id
from autorule.rules.rule_sets import RuleSet, check_verification_prompt, dump_rule_set, load_rule_set, prompt_keys
from autorule.runs.files import HELD_OUT_PAIRS, PAIRS, REJECTED, REJECTED_HELD_OUT, RULE_SET
from autorule.runs.run_folder import Run
from autorule.storage import write_text
from autorule.tasks.shards import read_parts, write_parts
from autorule.tasks.stage_logs import log_funnel
from autorule.tasks.steps import step

COMPLETIONS = "completions.jsonl"
"""Only as parts: the completions to score, from either flow."""


def check_before_extraction(config: ExtractConfig) -> None:
    """Raises what would end the run later: a missing file, prompt, package, key or server."""
    for path in (config.pairs, config.held_out):
        if path is not None:
            check_file(path)
    if config.held_out is not None:
        next(read_pairs(config.held_out, held_out_fields(config)), None)  # its columns, before anything is paid for
    load_prompt(config.interpretation.prompt).check(("prompt", "response_a", "response_b", "preferred"), ("fence",))
    if config.interpretation.check_chains != "off":
        load_prompt(config.interpretation.check_prompt).check(
            ("prompt", "response_one", "response_two", "chain"), ("fence",)
        )
    load_prompt(config.mining.prompt).check(("chain",), ("fence", "max_rules"))
    load_prompt(config.synthesis.prompt).check(("rules",), ("fence",))
    if config.synthesis.review:
        load_prompt(config.synthesis.review_prompt).check(("rules", "statements"), ("fence",))
    if config.synthesis.split_compound:
        load_prompt(config.synthesis.split_prompt).check(("rules",), ("fence",))
    if config.synthesis.find_contradictions:
        load_prompt(config.synthesis.contradiction_prompt).check(("pairs",), ("fence",))
    check_vectoriser(config.synthesis.similarity)
    check_verification_prompt(load_prompt(config.verification.prompt_name), config.verification.mode)
    models = (config.model, config.extractor, config.merger, config.verifier if config.held_out else None)
    for model in {model.model_dump_json(): model for model in models if model}.values():
        check_model(model)


def check_before_scoring(config: ScoreConfig) -> RuleSet:
    """The rule set. Raises what would end the run later: a missing file, package, key or server."""
    rule_set = load_rule_set(config.rules)
    check_file(config.completions)
    check_model(config.model)
    return rule_set


def check_model(model: ModelConfig) -> None:
    """Raises what would end the run later: a missing package or key, a server that does not answer."""
    backend = open_backend(model)
    if model.backend == "openai_compatible":  # a local model would be loaded, perhaps in vain: all may be cached
        backend.check()


@step("draw-pairs")
def draw_pairs(run: Run, config: ExtractConfig) -> int:
    """Reads and validates every row, draws the pairs, and cuts them into shards; the number of shards.

    Raises InputError when the file is unreadable or holds no usable pair.
    """
    rows = _rows_of(config)
    drawn = _drawn(rows.usable_pairs(), config)
    n_drawn, n_shards = write_parts(run, PAIRS, drawn, config.shard_size)
    n_ties = sum(pair.tie for pair in read_parts(run, PAIRS, n_shards, PreferencePair)) if config.keep_ties else 0
    run.write(REJECTED, rows.rejected)
    run.join_parts(PAIRS, n_shards)
    run.count(
        rows_read=rows.n_read,
        rows_rejected=len(rows.rejected),
        pairs_valid=rows.n_read - len(rows.rejected),
        pairs_repeated=rows.n_repeated,
        pairs_drawn=n_drawn,
        ties_drawn=n_ties,
        pairs_not_drawn=rows.n_read - len(rows.rejected) - rows.n_repeated - n_drawn,
    )
    log_funnel(run.manifest.funnel, "rows → pairs")
    if n_drawn == n_ties:
        raise InputError(f"{config.pairs}: none of {rows.n_read} rows is a usable pair{common_reason(rows.rejected)}")
    return n_shards


def drawn_pairs(config: ExtractConfig) -> Iterator[PreferencePair]:
    """The pairs that an extraction would draw, without any trace on disk."""
    return iter(_drawn(_rows_of(config).usable_pairs(), config))


def _rows_of(config: ExtractConfig) -> "_Rows":
    return _Rows(read_pairs(config.pairs, FieldMap(config.columns, config.winner_values, config.keep_ties)))


def _drawn(pairs: Iterator[PreferencePair], config: ExtractConfig) -> Iterable[PreferencePair]:
    """All of them as they come, or `limit` pairs and at most as many ties, at random."""
    if config.limit is None:
        return pairs
    ties: list[PreferencePair] = []

    def preferences() -> Iterator[PreferencePair]:
        for pair in pairs:
            if pair.tie:
                ties.append(pair)
            else:
                yield pair

    drawn = list(sample_pairs(preferences(), config.limit, config.seed, config.draw))
    return [*drawn, *sample_pairs(ties, config.limit, config.seed)]


@step("draw-held-out-pairs")
def draw_held_out(run: Run, config: ExtractConfig, rule_set: RuleSet) -> int:
    """Both sides of every held-out pair as completions, in shards; the number of shards.

    A pair whose prompt the rules were mined from is set aside: it would flatter them.
    """
    assert config.held_out is not None
    rows = _Rows(read_pairs(config.held_out, held_out_fields(config)), rule_set.seen_prompts)
    table: list[dict[str, Any]] = []

    def sides() -> Iterator[Completion]:
        for pair in rows.pairs():
            table.extend(pair_rows([pair]))
            yield from completions_of(pair)

    n_completions, n_shards = write_parts(run, COMPLETIONS, sides(), 2 * config.shard_size)
    write_pair_table(run.folder / HELD_OUT_PAIRS, table)
    run.note_file(HELD_OUT_PAIRS, len(table))
    run.write(REJECTED_HELD_OUT, rows.rejected)
    run.count(
        held_out_rows_read=rows.n_read,
        held_out_rows_rejected=len(rows.rejected),
        held_out_pairs=n_completions // 2,
        completions=n_completions,
    )
    log_funnel(run.manifest.funnel, "held-out rows → pairs")
    if not n_completions:
        raise InputError(
            f"{config.held_out}: none of {rows.n_read} rows is a usable pair{common_reason(rows.rejected)}"
        )
    return n_shards


def held_out_fields(config: ExtractConfig) -> FieldMap:
    """How held-out pairs are read: as the others, without the columns that only mining needs."""
    only_for_mining = ("stratum", "embedding", "reasoning", "explanation")
    columns = {ours: theirs for ours, theirs in config.columns.items() if ours not in only_for_mining}
    return FieldMap(columns, config.winner_values)


def use_rule_set(run: Run, rule_set: RuleSet) -> None:
    """Copies the rule set into the run, so that its verdicts can be read without any other file."""
    write_text(run.folder / RULE_SET, dump_rule_set(rule_set))
    run.count(rules=len(rule_set.rules))


@step("read-completions")
def split_completions(run: Run, config: ScoreConfig) -> int:
    """Reads and validates every completion and cuts them into shards; the number of shards."""
    rejected: list[RejectedRow] = []

    def usable() -> Iterator[Completion]:
        for row in read_completions(config.completions, config.columns):
            if isinstance(row, RejectedRow):
                rejected.append(row)
            else:
                yield row

    n_completions, n_shards = write_parts(run, COMPLETIONS, usable(), config.shard_size, _prompt_of)
    run.write(REJECTED, rejected)
    run.count(
        completion_rows_read=n_completions + len(rejected),
        completion_rows_rejected=len(rejected),
        completions=n_completions,
    )
    log_funnel(run.manifest.funnel, "rows → completions")
    if not n_completions:
        raise InputError(f"{config.completions}: none of {len(rejected)} rows is usable{common_reason(rejected)}")
    return n_shards


class _Rows:
    """Splits rows into pairs and rejected ones, and counts them, while they stream by."""

    def __init__(
        self, rows: Iterable[PreferencePair | RejectedRow], seen_prompts: frozenset[str] = frozenset()
    ) -> None:
        self._rows = rows
        self._seen_prompts = seen_prompts
        self.rejected: list[RejectedRow] = []
        self.n_read = 0
        self.n_repeated = 0

    def pairs(self) -> Iterator[PreferencePair]:
        for row in self._rows:
            self.n_read += 1
            if isinstance(row, RejectedRow):
                self.rejected.append(row)
            elif self._seen_prompts and not self._seen_prompts.isdisjoint(prompt_keys(row.prompt)):
                reason = RejectionReason(code="prompt_was_mined", message="the rules were mined from this prompt")
                self.rejected.append(RejectedRow(row=row.row, source_id=row.source_id, reasons=(reason,)))
            else:
                yield row

    def usable_pairs(self) -> Iterator[PreferencePair]:
        """The pairs without exact repeats, which would only ask the same question again."""
        seen: set[int] = set()
        for pair in self.pairs():
            chosen = [[message.role, message.content] for message in pair.chosen]
            key = int(content_id(pair.pair_id, chosen, pair.given_order, pair.reasoning, pair.tie)[:15], 16)
            if key in seen:
                self.n_repeated += 1
            else:
                seen.add(key)
                yield pair


def _prompt_of(completion: Completion) -> Messages:
    return completion.prompt


def common_reason(rejected: list[RejectedRow]) -> str:
    """Why most rows were rejected, as the end of a sentence."""
    reasons = Counter(reason.message for row in rejected for reason in row.reasons)
    return f"; most often: {reasons.most_common(1)[0][0]}" if reasons else ""
