"""`autorule reward ...`: what a reward is made of, and its scale."""

import json
import statistics
from pathlib import Path
from typing import Annotated

import typer

from autorule.commands.options import By, Columns, Force, RuleSetFile, given
from autorule.commands.settings import mapping
from autorule.config.layers import build_config
from autorule.errors import ConfigError, InputError
from autorule.preferences.completions import read_completions
from autorule.records import Completion
from autorule.rewards.scaling import learned_scaling, scaled
from autorule.rules.rule_sets import RuleSet, load_rule_set
from autorule.rules.saving import check_free, save_rule_set, user_name
from autorule.verification.verdict_tables import read_rewards

reward_app = typer.Typer(help="Rewards: what they are made of, scaling, calibration.", no_args_is_help=True)
REFERENCE_SCALING = (10.0, 0.75)
"""Of the released AutoRule code."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(reward_app, name="reward")


@reward_app.command()
def explain(
    settings: Annotated[Path, typer.Argument(help="reward settings: reward.json of an export, or TOML")],
) -> None:
    """Say in words how a completion becomes a reward."""
    from autorule.rewards.settings_file import load_reward_settings

    own = load_reward_settings(settings)
    for number, line in enumerate([*_describe(load_rule_set(own.rules), own.aspect), *own.describe()], 1):
        typer.echo(f"{number}. {line}")


@reward_app.command()
def scale(
    rule_set: RuleSetFile,
    out: Annotated[Path, typer.Option(help="rule set to write")],
    by_rewards: Annotated[
        Path | None, typer.Option(help="05_rewards.parquet of completions like those to train on: learned scaling")
    ] = None,
    reference: Annotated[bool, typer.Option("--reference", help="10 (fraction - 0.75), as the released code")] = False,
    none: Annotated[bool, typer.Option("--none", help="the fraction as it is")] = False,
    by: By = None,
    force: Force = False,
) -> None:
    """Set how the fraction of satisfied rules becomes a reward: scale * (fraction - centre)."""
    if (by_rewards is not None) + reference + none != 1:
        raise ConfigError("give one of --by-rewards, --reference and --none")
    check_free(out, force)
    if by_rewards is not None:
        factor, centre, reason = learned_scaling([record.fraction for record in read_rewards(by_rewards)])
    else:
        factor, centre = REFERENCE_SCALING if reference else (1.0, 0.0)
        reason = "as the released AutoRule code" if reference else "none"
    save_rule_set(out, scaled(load_rule_set(rule_set), factor, centre, user_name(by), reason))
    typer.echo(f"reward = {factor:.4g} * (fraction - {centre:.4g}): {out}")


@reward_app.command()
def calibrate(
    completions: Annotated[Path, typer.Argument(help="completions like those to train on")],
    model: Annotated[str, typer.Option(help="folder or hub name of the reward model, or its name on the server")],
    base_url: Annotated[str | None, typer.Option(help="server with vLLM's /classify")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="name of the variable that holds the server's key")] = None,
    columns: Columns = None,
) -> None:
    """Measure mean and standard deviation of a reward model's scores, for the settings of a reward."""
    from autorule.rewards.reward_model import RewardModel
    from autorule.rewards.settings import RewardModelConfig

    fields = given({"model": model, "base_url": base_url, "api_key_env": api_key_env, "normalise": "none"})
    rows = [c for c in read_completions(completions, mapping(columns, "--columns") or {}) if isinstance(c, Completion)]
    found = RewardModel(build_config(RewardModelConfig, fields)).scores([c.prompt + c.completion for c in rows])
    scores = [score for score in found if isinstance(score, float)]
    if failed := [score for score in found if isinstance(score, str)]:
        typer.echo(f"{len(failed)} of {len(found)} completions have no score: {failed[0]}", err=True)
    if len(scores) < 2 or statistics.stdev(scores) == 0:
        raise InputError(f"{completions}: {len(scores)} scores, and no two differ: there is no spread to measure")
    typer.echo(f"# of {len(scores)} scores, from {min(scores):.4g} to {max(scores):.4g}")
    typer.echo(f"[reward_model]\nmodel = {json.dumps(model)}")
    for name, value in (("base_url", base_url), ("api_key_env", api_key_env)):
        if value is not None:
            typer.echo(f"{name} = {json.dumps(value)}")
    typer.echo(f"mean = {statistics.fmean(scores):.6g}\nstd = {statistics.stdev(scores):.6g}")


def _describe(rule_set: RuleSet, aspect: str | None) -> list[str]:
    """The rule set's part of a reward, in words."""
    rules = [rule for rule in rule_set.rules if aspect is None or rule.aspect == aspect]
    by_code = sum(rule.check is not None for rule in rules)
    spec, reward = rule_set.verification, rule_set.reward
    weights = "weighted by their weights" if len({rule.weight for rule in rules}) > 1 else "each of the same weight"
    policy = {"excluded": "left out", "satisfied": "counted as satisfied", "unsatisfied": "counted as not satisfied"}
    value = "its P(yes)" if reward.fraction == "soft" else f"1 where P(yes) is at least {spec.threshold:g}, else 0"
    own = sum(rule.threshold is not None for rule in rules)
    return [
        f"{len(rules)} rules{f' of the aspect {aspect!r}' if aspect else ''}: a model judges "
        f"{len(rules) - by_code} (mode {spec.mode}), code {by_code}.",
        f"Each rule counts as {value}" + (f" ({own} rules have a threshold of their own)." if own else "."),
        f"The fraction is their mean, {weights}; rules that do not apply are {policy[spec.na_policy]}.",
        f"With verdicts on less than {reward.min_scored:.0%} of the weight the completion is unscored.",
        f"The rule reward is {reward.scale:g} · (fraction − {reward.centre:g}).",
    ]
