"""`autorule serve`: rewards over HTTP."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from autorule.commands.options import RULE_SET_HELP, VerifierOptions, given, grouped
from autorule.config.layers import build_config
from autorule.errors import ConfigError, MissingExtraError
from autorule.export.folders import refuse_dropout
from autorule.registry import RuleSetRegistry
from autorule.registry.folder import REGISTRY


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(grouped(serve))


def serve(
    model: VerifierOptions,
    rule_set: Annotated[Path | None, typer.Argument(metavar="RULE_SET", help=RULE_SET_HELP)] = None,
    registry: Annotated[
        str | None, typer.Option(metavar="NAME", help="instead of a file: the current version of a name, as it changes")
    ] = None,
    registry_folder: Annotated[Path, typer.Option(help="folder of the registry")] = REGISTRY,
    poll_s: Annotated[float, typer.Option(min=0.05, help="seconds between two looks for a new version")] = 5.0,
    settings: Annotated[Path | None, typer.Option(help="reward settings: reward.json of an export, or TOML")] = None,
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
    grace_s: Annotated[
        float, typer.Option(min=0.1, help="seconds that SIGTERM leaves for what is being scored; then 503, and the end")
    ] = 20.0,
) -> None:
    """Serve rewards over HTTP: /get_reward (OpenRLHF), /slime, /llama_factory, /score."""
    from autorule.rewards import RuleReward
    from autorule.rewards.settings_file import load_reward_settings

    if (rule_set is None) == (registry is None):
        raise ConfigError("give a rule set file, or --registry with the name of one in the registry")
    changes = given({"model": model.settings()})
    if settings is not None:
        own = load_reward_settings(settings, changes)
        changes = {name: getattr(own, name) for name in own.model_fields_set - {"rules"}}
    if changes.get("on_unscored", "none") == "none":
        changes["on_unscored"] = "error"
    try:
        from autorule.serving.following import Followed
        from autorule.serving.server import ServeConfig
        from autorule.serving.server import serve as serve_rewards
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", "the reward server") from error
    listening = {
        "host": host, "port": port, "allow_hosts": tuple(allow_host or ()), "workers": workers,
        "max_waiting": max_waiting, "max_body_mb": max_body_mb, "body_s": body_s, "grace_s": grace_s,
    }  # fmt: skip
    config = build_config(ServeConfig, listening)
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
    serve_rewards(reward, config, token, followed)
