"""`autorule evaluate` and `select`: how much rules are worth, and which to keep."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from autorule import evaluation_terminal
from autorule.command_settings import mapping, run_options, settings_of
from autorule.errors import ConfigError, InputError
from autorule.manifest import RunManifest
from autorule.rule_editing import check_free, save_rule_set, user_name
from autorule.rule_sets import load_rule_set
from autorule.run_folder import EVALUATION, MANIFEST
from autorule.storage import write_text


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
            bool | None, typer.Option("--allow-leakage", help="count pairs whose prompts the rules know")
        ] = None,
        leave_out_leaked: Annotated[
            bool | None, typer.Option("--leave-out-leaked", help="leave such pairs out: after select, the test part")
        ] = None,
        slice_: Annotated[
            list[str] | None, typer.Option("--slice", help="column whose values are told apart; may be repeated")
        ] = None,
        reward_model: Annotated[
            str | None, typer.Option(help="reward model to compare with: folder or hub name; more by --set")
        ] = None,
        one_call: Annotated[
            bool | None, typer.Option("--one-call/--no-one-call", help="ask also which response is preferred")
        ] = None,
        flip_sample: Annotated[
            int | None, typer.Option(help="completions asked about in other words; 0 for none (100)")
        ] = None,
        backend: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
        model: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
        base_url: Annotated[list[str] | None, typer.Option(help="of the verifier, as in score")] = None,
        api_key_env: Annotated[str | None, typer.Option(help="of the verifier, as in score")] = None,
        columns: Annotated[str | None, typer.Option(help="OURS=THEIRS,...; strength=NAME: how strong it was")] = None,
        winner_values: Annotated[str | None, typer.Option(help="a=...,b=...,tie=...: values of the winner")] = None,
        out: Annotated[str | None, typer.Option(help="folder for run folders, or URL such as s3://bucket/out")] = None,
        run_id: Annotated[str | None, typer.Option(help="name of the run folder; made up if left out")] = None,
        cache: Annotated[Path | None, typer.Option(help="cache file")] = None,
        no_cache: Annotated[bool, typer.Option("--no-cache", help="ask everything anew and keep nothing")] = False,
        config: Annotated[Path | None, typer.Option("--config", help="TOML file with any settings")] = None,
        set_: Annotated[list[str] | None, typer.Option("--set", help="any setting; may be repeated")] = None,
        prefect: Annotated[bool | None, typer.Option("--prefect/--no-prefect", help="as in score")] = None,
    ) -> None:
        """Measure rules on held-out pairs: agreement with people, rule by rule and of the set."""
        from autorule.evaluation.config import EvaluateConfig

        if (pairs is None) == (verdicts is None):
            raise ConfigError("give the held-out pairs, or --verdicts with the folder of an evaluation")
        options = {
            **run_options(backend, model, base_url, api_key_env, columns, out, run_id, cache, no_cache),
            "winner_values": mapping(winner_values, "--winner-values"),
            "slices": slice_,
            "one_call": one_call,
            "flip_sample": flip_sample,
            "reward_model": None if reward_model is None else {"model": reward_model, "normalise": "none"},
            "leave_out_leaked": leave_out_leaked,
        }
        if verdicts is not None:
            folder = verdicts
            _refuse({**options, "config": config, "set": set_, "prefect": prefect})
            _evaluate_anew(rule_set, folder, bool(allow_leakage))
        else:
            options |= {"pairs": pairs, "rules": rule_set, "allow_leakage": allow_leakage}
            settings = settings_of(EvaluateConfig, options, config, set_)
            manifest = run_flow("evaluate_rules", settings, prefect)
            folder = settings.outputs / manifest.run_id
        evaluation_terminal.print_evaluation(_read(folder))
        typer.echo(f"run folder: {folder}")

    @app.command()
    def select(
        rule_set: Annotated[Path, typer.Argument(metavar="RULE_SET", help="the rule set that was evaluated")],
        evaluation: Annotated[Path, typer.Argument(help="folder of its evaluation")],
        out: Annotated[Path, typer.Option(help="rule set to write")],
        by: Annotated[
            str,
            typer.Option(
                help="best, uniform, log_odds, whitened, logistic_l2, logistic_l1, logistic_nonnegative, hinge; with "
                ":all also rules that are not proven"
            ),
        ] = "best",
        invert: Annotated[
            bool, typer.Option("--invert", help="turn rules around that people prefer broken, instead of dropping them")
        ] = False,
        hold_out_promotion: Annotated[
            bool,
            typer.Option("--hold-out-promotion", help="use no prompt by which `registry promote` would decide"),
        ] = False,
        name: Annotated[str | None, typer.Option(help="name for the history (default: the user)")] = None,
        force: Annotated[bool, typer.Option("--force", help="overwrite the file if it exists")] = False,
    ) -> None:
        """Keep the rules that agree with people beyond chance, each once, and weigh them; pinned rules stay.

        Rules and weights are chosen on seven of ten prompts and tested once on the others. The new rule set names the
        prompts that it was chosen by: evaluations refuse them, or leave them out (--leave-out-leaked).
        """
        from autorule.evaluation import apply
        from autorule.evaluation.reading import matrix_pairs, read_matrix

        check_free(out, force)
        before, figures = load_rule_set(rule_set), _read(evaluation)
        matrix = read_matrix(evaluation, before)
        after, weightings = apply.select(
            before,
            matrix,
            [pair["prompt_id"] for pair in matrix_pairs(evaluation, matrix)],
            by,
            user_name(name),
            figures.false_discovery_rate,
            figures.bootstrap_rounds,
            figures.seed,
            invert,
            hold_out_promotion,
        )
        save_rule_set(out, after)
        evaluation_terminal.print_weightings(weightings)
        typer.echo(after.history[-1].reason)
        typer.echo(f"{len(after.rules)} of {len(before.rules)} rules: {out}")


def _refuse(options: dict[str, Any]) -> None:
    """Options that would change verdicts that are there already."""
    if names := [name for name, value in options.items() if value not in (None, {}, [])]:
        raise ConfigError(f"--verdicts reads what a run left: leave out the settings of {', '.join(names)}")


def _evaluate_anew(rule_set: Path, folder: Path, allow_leakage: bool) -> None:
    """The evaluation of verdicts that are there, written into their folder, with the settings that it had."""
    from autorule.evaluation.evaluate import evaluate
    from autorule.evaluation.pair_table import leaked_pairs
    from autorule.evaluation.reading import read_flips, read_matrix, read_position_bias

    rules = load_rule_set(rule_set)
    matrix, leaked = read_matrix(folder, rules), leaked_pairs(folder, rules)
    if leaked and not allow_leakage:
        raise InputError(
            f"{folder}: the rules were mined from, or chosen by, the prompts of {leaked} of {matrix.n_pairs} pairs, "
            "which would flatter them: evaluate on other pairs, or allow it with --allow-leakage"
        )
    manifest = RunManifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
    names = {"rate": "false_discovery_rate", "rounds": "bootstrap_rounds", "seed": "seed"}
    settings = {ours: manifest.config[name] for ours, name in names.items() if manifest.flow == "evaluate-rules"}
    flips, bias = read_flips(folder), read_position_bias(folder)
    found = evaluate(
        matrix, rules.rules, rules.reward, leaked_pairs=leaked, flips=flips, position_bias=bias, **settings
    )
    write_text(folder / EVALUATION, found.model_dump_json(indent=2) + "\n")


def _read(folder: Path) -> Any:
    from autorule.evaluation.records import Evaluation

    try:
        return Evaluation.model_validate_json((folder / EVALUATION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} holds no evaluation of this version ({EVALUATION}): {error!r:.200}; make it by "
            f"`autorule evaluate RULE_SET --verdicts {folder}`"
        ) from error
