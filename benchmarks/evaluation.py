"""A whole evaluation of verdicts that are there: `python benchmarks/evaluation.py`, or with PAIRS RULES.

`autorule evaluate RULES --verdicts FOLDER` as a process of its own on simulated verdicts with all that a run can leave:
P(yes), verdicts that are N/A or missing, lengths, strengths, slices, a reward model's scores, one call about both. It
reads, measures every rule, draws 2,000 bootstrap rounds, fits weights by every method, and writes tables and JSON.
Wall time and peak memory.
The targets, at 5,000 pairs and 50 rules: under 60 s and under 1 GiB.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "evaluation.json"


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from tests.conftest import make_rule_set
    from tests.evaluation_runs import write_evaluation
    from tests.simulated_verdicts import simulate

    n_pairs, n_rules = (int(argument) for argument in sys.argv[1:3]) if len(sys.argv) > 2 else (5000, 50)
    rng = np.random.default_rng(0)
    rule_set = make_rule_set(*(f"Rule number {i}." for i in range(n_rules)))
    with tempfile.TemporaryDirectory() as name:
        plain = simulate(rng, rng.uniform(0.4, 0.7, n_rules), n_prompts=n_pairs // 2, per_prompt=2)
        matrix = with_everything(plain, rng)
        folder = write_evaluation(Path(name) / "run", rule_set, matrix)
        (folder / "06_evaluation.json").unlink()
        rules = str(folder.parent / "rules.json")
        command = [sys.executable, "-m", "autorule", "evaluate", rules, "--verdicts", str(folder)]
        begun = time.perf_counter()
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        found = json.loads((folder / "06_evaluation.json").read_text(encoding="utf-8"))
    report = {
        "pairs": found["n_pairs"],
        "rules": len(found["rules"]),
        "bootstrap_rounds": found["bootstrap_rounds"],
        "methods": len(found["weightings"]["results"]),
        "seconds": seconds,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    print(json.dumps(report, indent=2))
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


def with_everything(matrix: Any, rng: np.random.Generator) -> Any:
    """The matrix with gaps, and with all else that statistics look at."""
    from autorule.statistics.matrix import NOT_APPLICABLE, UNSCORED, YES

    n, shape = matrix.n_pairs, matrix.chosen.shape
    sides = {}
    for name in ("chosen", "rejected"):
        labels = getattr(matrix, name)
        near = np.where(labels == YES, rng.beta(4, 2, shape), rng.beta(2, 4, shape))
        labels[rng.random(shape) < 0.03] = NOT_APPLICABLE
        labels[rng.random(shape) < 0.01] = UNSCORED
        sides[f"{name}_p"] = np.where(labels == UNSCORED, np.nan, near)
        sides[f"{name}_length"] = rng.gamma(4, 200, n).round()
        sides[f"{name}_model"] = rng.normal(0.5 if name == "chosen" else 0.0, 1, n)
    return dataclasses.replace(
        matrix, **sides, strength=rng.integers(1, 4, n).astype(float), one_call=rng.beta(3, 2, n),
        chosen_first=(rng.random(n) < 0.5).astype(float),
        slices={"domain": rng.choice(["code", "chat", "maths"], n).tolist()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
