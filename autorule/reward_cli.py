"""`autorule reward ...` and `autorule serve`."""

import json
import os
import statistics
from pathlib import Path
from typing import Annotated, Any

import typer

from autorule.command_settings import given, mapping, model_options
from autorule.completions import read_completions
from autorule.config_layers import build_config
from autorule.errors import ConfigError, InputError, MissingExtraError
from autorule.export.folders import refuse_dropout
from autorule.records import Completion
from autorule.registry import RuleSetRegistry
from autorule.registry.folder import REGISTRY
from autorule.rewards.scaling import learned_scaling, scaled
from autorule.rule_editing import check_free, save_rule_set, user_name
from autorule.rule_sets import RuleSet, load_rule_set
from autorule.verdict_tables import read_rewards

reward_app = typer.Typer(help="Rewards: what they are made of, scaling, calibration.", no_args_is_help=True)
REFERENCE_SCALING = (10.0, 0.75)
"""Of the released AutoRule code."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(reward_app, name="reward")
    app.command("serve")(serve_)


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
    rule_set: Annotated[Path, typer.Argument(metavar="RULE_SET", help="rule set: 03_rule_set.json of a run")],
    out: Annotated[Path, typer.Option(help="rule set to write")],
    by_rewards: Annotated[
        Path | None, typer.Option(help="05_rewards.parquet of completions like those to train on: learned scaling")
    ] = None,
    reference: Annotated[bool, typer.Option("--reference", help="10 (fraction - 0.75), as the released code")] = False,
    none: Annotated[bool, typer.Option("--none", help="the fraction as it is")] = False,
    by: Annotated[str | None, typer.Option(help="name for the history (default: the user of this computer)")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite the file if it exists")] = False,
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
    columns: Annotated[str | None, typer.Option(help="OURS=THEIRS,...: which columns of the file to read")] = None,
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


def serve_(
    rule_set: Annotated[
        Path | None, typer.Argument(metavar="RULE_SET", help="rule set: 03_rule_set.json of a run")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(metavar="NAME", help="instead of a file: the current version of a name, as it changes")
    ] = None,
    registry_folder: Annotated[Path, typer.Option(help="folder of the registry")] = REGISTRY,
    poll_s: Annotated[float, typer.Option(min=0.05, help="seconds between two looks for a new version")] = 5.0,
    settings: Annotated[Path | None, typer.Option(help="reward settings: reward.json of an export, or TOML")] = None,
    backend: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
    model: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
    base_url: Annotated[list[str] | None, typer.Option(help="of the verifier, as in score")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
    host: Annotated[
        str, typer.Option(help="address to listen at; beyond this machine only with a token")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8100,
    token_env: Annotated[
        str | None, typer.Option(help="name of the environment variable that holds the clients' token")
    ] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="further name in the Host header; repeat it")] = None,
    workers: Annotated[int, typer.Option(min=1, help="batches that are scored at once")] = 8,
    max_waiting: Annotated[int, typer.Option(min=1, help="completions that may wait; beyond: 429")] = 4096,
    max_body_mb: Annotated[float, typer.Option(min=0.001)] = 32.0,
    body_s: Annotated[float, typer.Option(min=0.1, help="seconds within which a body must have come")] = 30.0,
) -> None:
    """Serve rewards over HTTP: /get_reward (OpenRLHF), /slime, /llama_factory, /score."""
    from autorule.rewards import RuleReward
    from autorule.rewards.settings_file import load_reward_settings

    if (rule_set is None) == (registry is None):
        raise ConfigError("give a rule set file, or --registry with the name of one in the registry")
    changes = given({"model": model_options(backend, model, base_url, api_key_env)})
    if settings is not None:
        own = load_reward_settings(settings, changes)
        changes = {name: getattr(own, name) for name in own.model_fields_set - {"rules"}}
    if changes.get("on_unscored", "none") == "none":
        changes["on_unscored"] = "error"
    try:
        from autorule.serving.following import Followed
        from autorule.serving.server import ServeConfig, serve
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", "the reward server") from error
    config = ServeConfig(
        host=host, port=port, allow_hosts=tuple(allow_host or ()), workers=workers, max_waiting=max_waiting,
        max_body_mb=max_body_mb, body_s=body_s,
    )  # fmt: skip
    token = None
    if token_env is not None:
        token = os.environ.get(token_env)
        if not token:
            raise ConfigError(f"the environment variable {token_env} of --token-env holds no token")
    followed = None
    rules: Any = rule_set
    if registry is not None:
        source = RuleSetRegistry(registry_folder, registry)
        followed = Followed(source, source.known_current(), poll_s)
        rules = source.pointed(followed.first)
    reward = RuleReward(rules, **changes)
    refuse_dropout(reward.settings, "a server")
    typer.echo(f"rewards of {len(reward.rules)} rules at http://{host}:{port} (page of the interface: /docs)", err=True)
    serve(reward, config, token, followed)


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
