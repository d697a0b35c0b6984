"""`autorule select`: which rules to keep, and how to weigh them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from autorule.commands.options import AsJson, By, Debug, Force, RuleSetFile
from autorule.errors import NothingKeptError, RunFailedError
from autorule.rules.rule_sets import load_rule_set
from autorule.rules.saving import check_free, save_rule_set, user_name
from autorule.statistics.records import Weightings
from autorule.terminal.console import err, print_record
from autorule.terminal.evaluation import print_weightings


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(select)


def select(
    rule_set: RuleSetFile,
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
    name: By = None,
    force: Force = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Keep the rules that agree with people beyond chance, each once, and weigh them; pinned rules stay.

    Rules and weights are chosen on seven of ten prompts and tested once on the others. The new rule set names the
    prompts that it was chosen by: evaluations refuse them, or leave them out (--leave-out-leaked). Exit code 3
    when no rule is kept: nothing is written then.
    """
    from autorule.evaluation import apply
    from autorule.evaluation.reading import matrix_pairs, read_evaluation, read_matrix

    check_free(out, force)
    before, figures = load_rule_set(rule_set), read_evaluation(evaluation)
    matrix = read_matrix(evaluation, before)
    try:
        after, weightings = apply.select(
            before,
            matrix,
            matrix_pairs(evaluation, matrix),
            by,
            user_name(name, "--name"),
            figures.false_discovery_rate,
            figures.bootstrap_rounds,
            figures.seed,
            invert,
            hold_out_promotion,
        )
    except NothingKeptError as error:
        _show(error.weightings, as_json)
        raise RunFailedError(str(error)) from error
    save_rule_set(out, after)
    _show(weightings, as_json)
    told = sys.stderr if as_json else sys.stdout
    print(after.history[-1].reason, file=told)
    print(f"{len(after.rules)} of {len(before.rules)} rules: {out}", file=told)
    for warning in worse_than(weightings):
        err.print(f"[yellow]Warning:[/] {warning}")


def worse_than(found: Weightings) -> list[str]:
    """What the weights that were written fall behind on test, with both figures."""
    written = found.written_test
    if written is None or written.value is None:
        return []
    others = {
        "all rules alike": found.before_test or found.uniform_test,
        "the reward model alone": found.baselines_test.get("reward model"),
    }
    return [
        f"the rules as written are right on {written.value:.1%} of the test pairs, {name} on {other.value:.1%}: what "
        "was written is worse"
        for name, other in others.items()
        if other is not None and other.value is not None and written.value < other.value
    ]


def _show(weightings: Weightings, as_json: bool) -> None:
    if as_json:
        print_record(weightings)
    else:
        print_weightings(weightings)
