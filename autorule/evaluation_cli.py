"""`autorule evaluate` and `select`: how much rules are worth, and which to keep."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from autorule import terminal
from autorule.command_settings import mapping, run_options, settings_of
from autorule.config import EvaluateConfig
from autorule.errors import ConfigError, InputError
from autorule.rule_editing import check_free, save_rule_set, user_name
from autorule.rule_sets import load_rule_set
from autorule.run_folder import EVALUATION, write_text


def register(app: typer.Typer, run_flow: Callable[[str, Any, bool | None], Any]) -> None:
    """Adds the commands; `run_flow` runs a flow by its name."""

    @app.command()
    def evaluate(
        rule_set: Annotated[Path, typer.Argument(metavar="RULE_SET", help="rule set: 03_rule_set.json of a run")],
        pairs: Annotated[Path | None, typer.Argument(help="held-out preference pairs, as for extract")] = None,
        verdicts: Annotated[
            Path | None, typer.Option(help="folder of an evaluation: its verdicts are read, no model is asked")
        ] = None,
        allow_leakage: Annotated[
            bool | None, typer.Option("--allow-leakage", help="count pairs whose prompts the rules were mined from")
        ] = None,
        backend: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
        model: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
        base_url: Annotated[list[str] | None, typer.Option(help="of the verifier, as in score")] = None,
        api_key_env: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
        columns: Annotated[str | None, typer.Option(help="OURS=THEIRS,...; stratum=NAME for slices")] = None,
        winner_values: Annotated[str | None, typer.Option(help="a=...,b=...,tie=...: values of the winner")] = None,
        out: Annotated[Path | None, typer.Option(help="folder for run folders (default: outputs)")] = None,
        run_id: Annotated[str | None, typer.Option(help="name of the run folder; made up if left out")] = None,
        cache: Annotated[Path | None, typer.Option(help="cache file")] = None,
        no_cache: Annotated[bool, typer.Option("--no-cache", help="ask everything anew and keep nothing")] = False,
        config: Annotated[Path | None, typer.Option("--config", help="TOML file with any settings")] = None,
        set_: Annotated[list[str] | None, typer.Option("--set", help="any setting; may be repeated")] = None,
        prefect: Annotated[bool | None, typer.Option("--prefect/--no-prefect", help="as in score")] = None,
    ) -> None:
        """Measure rules on held-out pairs: agreement with people, rule by rule and of the set."""
        if (pairs is None) == (verdicts is None):
            raise ConfigError("give the held-out pairs, or --verdicts with the folder of an evaluation")
        if verdicts is not None:
            folder = verdicts
            _evaluate_anew(rule_set, folder)
        else:
            options = {
                **run_options(backend, model, base_url, api_key_env, columns, out, run_id, cache, no_cache),
                "pairs": pairs,
                "rules": rule_set,
                "winner_values": mapping(winner_values, "--winner-values"),
                "allow_leakage": allow_leakage,
            }
            settings = settings_of(EvaluateConfig, options, config, set_)
            manifest = run_flow("evaluate_rules", settings, prefect)
            folder = settings.outputs / manifest.run_id
        terminal.print_evaluation(_read(folder))
        typer.echo(f"run folder: {folder}")

    @app.command()
    def select(
        rule_set: Annotated[Path, typer.Argument(metavar="RULE_SET", help="the rule set that was evaluated")],
        evaluation: Annotated[Path, typer.Argument(help="folder of its evaluation")],
        out: Annotated[Path, typer.Option(help="rule set to write")],
        by: Annotated[str | None, typer.Option(help="name for the history (default: the user)")] = None,
        force: Annotated[bool, typer.Option("--force", help="overwrite the file if it exists")] = False,
    ) -> None:
        """Keep the rules that agree with people beyond chance, each once; pinned rules stay."""
        from autorule.evaluation.apply import selected

        check_free(out, force)
        after = selected(load_rule_set(rule_set), _read(evaluation), user_name(by))
        save_rule_set(out, after)
        typer.echo(f"{len(after.rules)} rules: {out}")


def _evaluate_anew(rule_set: Path, folder: Path) -> None:
    """The evaluation of verdicts that are there, written into their folder."""
    from autorule.evaluation.evaluate import evaluate
    from autorule.evaluation.pair_table import leaked_pairs, read_matrix

    rules = load_rule_set(rule_set)
    found = evaluate(read_matrix(folder, rules), rules.rules, leaked_pairs=leaked_pairs(folder, rules))
    write_text(folder / EVALUATION, found.model_dump_json(indent=2) + "\n")


def _read(folder: Path) -> Any:
    from autorule.evaluation.records import Evaluation

    try:
        return Evaluation.model_validate_json((folder / EVALUATION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds no evaluation ({EVALUATION}): {error!r:.200}") from error
