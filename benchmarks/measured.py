"""What is measured, run in a fresh interpreter for each figure: `python measured.py JOB ARGUMENTS_AS_JSON`.

Prints one line of JSON. A fresh process has a peak memory of its own, and imports nothing that an earlier one left.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loopback_server import stats
from workload import candidates

from autorule.backends import close_backends
from autorule.config.runs import ExtractConfig
from autorule.runs.files import CANDIDATES, PAIRS, write_records
from autorule.runs.run_folder import Run


def extract(folder: str, pairs: str, base_url: str, concurrency: int, prefect: bool) -> dict[str, Any]:
    """The whole flow, as a Prefect flow run or as plain functions; the cache is on, and empty."""
    from autorule.flows.extract_rules import extract_rules

    config = _config(Path(folder), Path(pairs), base_url, concurrency)
    ended_at: dict[str, float] = {}
    module = sys.modules["autorule.flows.extract_rules"]
    for name in ("draw_pairs", "interpret_pairs", "mine_rules"):
        setattr(module, name, _noting_the_end(getattr(module, name), name, ended_at))
    run = extract_rules if prefect else extract_rules.fn
    begun_at, cpu = time.monotonic(), time.process_time()
    manifest = run(config)
    flow_s = time.monotonic() - begun_at
    seen = stats(base_url)
    report = {
        "flow_s": flow_s,
        "stages_s": ended_at["mine_rules"] - seen["first_call_at"],
        "draw_s": ended_at["draw_pairs"] - begun_at,
        "before_first_call_s": seen["first_call_at"] - begun_at,
        "interpretation_s": ended_at["interpret_pairs"] - seen["first_call_at"],
        "mining_s": ended_at["mine_rules"] - ended_at["interpret_pairs"],
        "after_mining_s": begun_at + flow_s - ended_at["mine_rules"],
        "cpu_s": time.process_time() - cpu,
        "server_cpu_s": seen["cpu_s"],
        "most_in_flight": seen["most_in_flight"],
        "calls": {stage: counts.sent for stage, counts in manifest.usage.items()},
        "candidates": manifest.funnel.candidates,
        "rules": manifest.funnel.rules,
    }
    close_backends()
    return report


def stages(folder: str, pairs: str, base_url: str, concurrency: int) -> dict[str, Any]:
    """Reading, drawing and the first two stages, as the flow calls them, and the peak memory of that."""
    from autorule.tasks.interpretation import interpret_pairs
    from autorule.tasks.mining import mine_rules
    from autorule.tasks.preparation import draw_pairs
    from autorule.tasks.runners import shards_on

    config = _config(Path(folder), Path(pairs), base_url, concurrency)
    begun_at = time.monotonic()
    after = {"import": _peak_mb()}
    with Run.start("extract-rules", config, {"pairs": config.pairs}) as run, shards_on(config):
        n_shards = draw_pairs(run, config)
        after["draw"] = _peak_mb()
        interpret_pairs(run, config, n_shards)
        after["interpretation"] = _peak_mb()
        mine_rules(run, config, n_shards)
        after["mining"] = _peak_mb()
        calls = {stage: counts.sent for stage, counts in run.manifest.usage.items()}
        # A context that ends in peace checks that candidates became rules: synthesis is no part of this.
        run.count(candidates_dropped=run.manifest.funnel.candidates)
    close_backends()
    return {"wall_s": time.monotonic() - begun_at, "peak_mb": after["mining"], "peak_mb_after": after, "calls": calls}


def synthesize(folder: str, n_distinct: int) -> dict[str, Any]:
    """Synthesis of candidates with so many wordings, with a merger that answers at once."""
    from autorule.tasks.synthesis import synthesize_rules

    merger = {"backend": "scripted", "model": "workload:merger"}
    pairs = Path(folder, "pairs.jsonl")
    pairs.touch()
    config = ExtractConfig.model_validate(
        {"pairs": pairs, "outputs": Path(folder, "outputs"), "model": merger, "cache": {"enabled": False}}
    )
    with Run.start("extract-rules", config, {"pairs": pairs}) as run:
        run.write(PAIRS, ())
        n = write_records(run.folder / CANDIDATES, candidates(n_distinct))
        run.count(candidates=n)
        before_mb = _peak_mb()
        begun_at, cpu = time.monotonic(), time.process_time()
        rule_set = synthesize_rules(run, config)
        wall_s, cpu_s = time.monotonic() - begun_at, time.process_time() - cpu
    usage = run.manifest.usage["synthesis"]
    return {
        "distinct": n_distinct,
        "candidates": n,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_mb": _peak_mb(),
        "peak_mb_before": before_mb,
        "merge_calls": usage.sent,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "rules": len(rule_set.rules),
    }


def _config(folder: Path, pairs: Path, base_url: str, concurrency: int) -> ExtractConfig:
    return ExtractConfig.model_validate(
        {
            "pairs": pairs,
            "outputs": folder / "outputs",
            "cache": {"path": folder / "answers.sqlite"},
            "model": {
                "backend": "openai_compatible",
                "model": "m",
                "base_url": base_url,
                "concurrency": concurrency,
            },
            "synthesis": {"merge_rounds": 0},  # the few distinct candidates are folded: no calls
        }
    )


def _noting_the_end(function: Callable[..., Any], name: str, ended_at: dict[str, float]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        result = function(*args)
        ended_at[name] = time.monotonic()
        return result

    return call


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


JOBS = {job.__name__: job for job in (extract, stages, synthesize)}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
