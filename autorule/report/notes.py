"""What a reader must know before trusting the figures."""

from collections.abc import Iterator

from autorule.backends.embedded import NOTE
from autorule.evaluation.verdict import RANDOM
from autorule.report.contents import Contents
from autorule.report.names import is_of_rules
from autorule.report.text import counted, percent, visible
from autorule.runs.manifest import RunManifest
from autorule.statistics.records import Evaluation

FEW_PROMPTS = 20
MANY_UNSCORED = 0.05
STATUS = {
    "running": "The run is not at its end", "stopped": "The run was stopped", "failed": "The run failed",
    "failed_with_results": "The run failed and left what results it had",
}  # fmt: skip


def notes(contents: Contents) -> list[str]:
    told = [*_of_the_run(contents.manifest)]
    if contents.evaluation is not None:
        told += _of_the_evaluation(contents.evaluation)
    if any("embedded" in identity for identity in contents.manifest.models.values()):
        told.append(f"{NOTE}.")
    return told


def _of_the_run(manifest: RunManifest) -> Iterator[str]:
    if manifest.status != "completed":
        message = visible(manifest.message)
        yield f"{STATUS[manifest.status]}: {message}" if message else f"{STATUS[manifest.status]}."
    f = manifest.funnel
    if f.verdicts and f.verdicts_unscored > MANY_UNSCORED * f.verdicts:
        share = percent(f.verdicts_unscored / f.verdicts)
        unscored = f"{f.verdicts_unscored:,} of {counted(f.verdicts, 'verdict')} ({share})"
        yield f"{unscored} could not be had: the figures go by the others."
    if f.completions_failed:
        yield f"{f.completions_failed:,} of {counted(f.completions, 'completion')} failed and are in no figure."
    if f.rewards_unscored:
        yield f"{f.rewards_unscored:,} of {counted(f.rewards, 'reward')} could not be scored, for want of verdicts."


def _of_the_evaluation(found: Evaluation) -> Iterator[str]:
    if found.leaked_pairs:
        yield (
            f"{found.leaked_pairs:,} of {counted(found.n_pairs, 'pair')} have prompts that the rules were mined from "
            "or chosen by: the figures flatter the rules."
        )
    if found.unscored_pairs:
        yield (
            f"The verifier failed on so much of {found.unscored_pairs:,} of {counted(found.n_pairs, 'pair')} that a "
            "side has no reward: what is said of rewards goes by the others."
        )
    if found.n_prompts < FEW_PROMPTS:
        yield (
            f"{counted(found.n_prompts, 'prompt')} only: intervals are wide and p-values below 0.001 come too often; "
            "below ten prompts accuracies have no interval."
        )
    baselines = [way for way in found.accuracies if not is_of_rules(way)]
    if baselines and all(way.rewarded_over is None for way in baselines):
        yield (
            "An earlier autorule made this evaluation, which does not say whether the rules beat the baselines pair by "
            "pair: autorule evaluate --verdicts does, and asks no model."
        )
    if not [way for way in baselines if way.name != RANDOM]:
        yield "No baseline but chance: nothing says whether the rules beat the longer response or one call about both."
