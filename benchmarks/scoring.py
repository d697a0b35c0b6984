"""Scoring that streams: `python benchmarks/scoring.py [COMPLETIONS] [RULES]`, 100,000 by 25 with a scripted verifier.

The scoring process is killed once, at half of the work, and started again. Its resident memory is sampled from outside;
the rates are those of the first process and of what the second found in the cache.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "scoring.json"
SCRIPT = "scoring:verifier"


def verifier() -> Any:
    """Answers from the request alone, at once."""
    from autorule.backends.scripted import ScriptedBackend

    class Quiet(list[Any]):
        def append(self, _: Any) -> None:
            """A log of millions of requests is no part of what is measured."""

    backend = ScriptedBackend(choice_script=lambda request, question: hash((request.request_id, question)) % 97 / 97)
    backend.choice_log = Quiet()
    return backend


def main() -> None:
    n_completions, n_rules = (
        (int(a) for a in (*sys.argv[1:3], "100000", "25")[:2]) if len(sys.argv) > 2 else (100_000, 25)
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, n_completions, n_rules)
        total = n_completions * n_rules
        first = run(folder, kill_at=total // 2)
        second = run(folder)
        rows = sum(1 for _ in (folder / "outputs" / "r").glob("0[45]*.parquet"))
    samples = second["rss"]
    fifth = next(mb for done, mb in samples if done >= total / 5)
    report = {
        "completions": n_completions,
        "rules": n_rules,
        "killed_at_verdicts": first["samples_end"],
        "first_verdicts_per_s": first["rate"],
        "resumed_wall_s": second["wall_s"],
        "peak_rss_mb": max(mb for _, mb in [*first["rss"], *samples]),
        "rss_mb_at_20_percent": fifth,
        "rss_mb_at_end": samples[-1][1],
        "end_over_20_percent": samples[-1][1] / fifth,
        "million_completions_h": 1_000_000 * n_rules / first["rate"] / 3600,
        "tables": rows,
        "sent_and_cached": second["usage"],
    }
    print(json.dumps(report, indent=2))
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


def write_inputs(folder: Path, n_completions: int, n_rules: int) -> None:
    from autorule.config.stages import RewardConfig, VerificationConfig
    from autorule.prompting import load_prompt
    from autorule.records import Rule
    from autorule.rules.rule_sets import RuleSet, VerificationSpec, dump_rule_set

    with (folder / "completions.jsonl").open("w") as file:
        for i in range(n_completions):
            row = {"prompt": f"Question {i // 8}: {'why ' * 50}", "completion": f"Answer {i}: {'because ' * 150}"}
            file.write(json.dumps(row) + "\n")
    config = VerificationConfig()
    rules = [Rule(rule_id=f"r{i}", text=f"The response should have property {i}.", support=1) for i in range(n_rules)]
    spec = VerificationSpec.from_config(config, load_prompt(config.prompt_name))
    (folder / "rules.json").write_text(
        dump_rule_set(RuleSet(rules=tuple(rules), verification=spec, reward=RewardConfig()))
    )


def run(folder: Path, kill_at: int | None = None) -> dict[str, Any]:
    """Scores in a process of its own, which reports its progress; (verdicts done, resident MB) over time."""
    code = (
        "import sys, threading; from pathlib import Path; from autorule.runs import progress\n"
        "from autorule.config.runs import ScoreConfig; from autorule.flows.score_completions import score_completions\n"
        f"folder = Path({str(folder)!r})\n"
        "done = 0\n"
        "def listen(step):\n"
        "    global done\n"
        "    done += step.done\n"
        "    if step.done and done % 25000 < step.done: print('done', done, flush=True)\n"
        "config = ScoreConfig.model_validate({\n"
        "    'completions': folder / 'completions.jsonl', 'rules': folder / 'rules.json',\n"
        "    'outputs': folder / 'outputs', 'run_id': 'r', 'cache': {'path': folder / 'cache.sqlite'},\n"
        f"    'model': {{'backend': 'scripted', 'model': {SCRIPT!r}}}}})\n"
        "with progress.listening(listen): manifest = score_completions.fn(config)\n"
        "u = manifest.usage['verification']; print('usage', u.sent, u.cached, flush=True)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(Path(__file__).parent)}
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    rss: list[tuple[int, float]] = []
    first_at, usage = None, ""
    for line in process.stdout:
        if line.startswith("usage"):
            usage = line.strip()
        if not line.startswith("done"):
            continue
        done = int(line.split()[1])
        first_at = first_at or (time.monotonic(), done)
        rss.append((done, _rss_mb(process.pid)))
        if kill_at is not None and done >= kill_at:
            process.send_signal(signal.SIGKILL)
            break
    end = (time.monotonic(), rss[-1][0])
    process.wait()
    assert first_at is not None
    rate = (end[1] - first_at[1]) / (end[0] - first_at[0])
    return {"rss": rss, "rate": rate, "wall_s": end[0] - begun, "samples_end": rss[-1][0], "usage": usage}


def _rss_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else 0.0


if __name__ == "__main__":
    main()
