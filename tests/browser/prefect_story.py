"""Three runs in a real Prefect, for a browser to look at."""

import json
from pathlib import Path
from typing import NamedTuple

from autorule.local_prefect.api import call_api
from tests.integration.prefect_project import ENDS, ROOT, config_for, poll, trigger, wait_for
from tests.integration.scripted_server import ScriptedServer, helpful, logprobs, shown, stage_of
from tests.scripts import digest

HOSTILE = (
    'The response should <b>leave out</b> <img src=x onerror="alert(1)"> ![it](http://a.test/b.png) in `code` | lists.'
)


class Story(NamedTuple):
    port: int
    folder: Path
    extraction: str
    evaluation: str
    broken: str


def answer(body):
    """As helpful, but a rule that is markup, and an opinion on two responses at once."""
    if "logprobs" in body and "Rule:" not in shown(body):
        return logprobs(*((("A", -0.1), ("B", -2.5)) if digest(shown(body)) % 2 else (("B", -0.1), ("A", -2.5))))
    reply = helpful(body)
    if stage_of(body) == "mining" and digest(shown(body)) % 3 == 0:
        reply["choices"][0]["message"]["content"] = json.dumps({"rules": [HOSTILE]})
    return reply


def broken_config(folder):
    """Two pairs in each of three shards: the second shard breaks, and the fifth row has no answer."""
    pairs = folder / "broken.jsonl"
    words = ("plain", "plain", "plain", "BREAK", "FAIL", "plain")
    rows = [{"prompt": f"Question {i}, {word}", "chosen": "Yes.", "rejected": "No."} for i, word in enumerate(words)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "pairs": str(pairs), "model": {"backend": "scripted", "model": "tests.scripts:breaks_or_fails"},
        "outputs": str(folder / "outputs"), "run_id": "broken", "shard_size": 2,
    }  # fmt: skip


def runs_of(port, flow):
    return call_api(port, "flow_runs/filter", {"flows": {"name": {"any_": [flow]}}})


def is_recorded(port, run):
    """Whether the server, which writes its history with a delay, has the ends of all task runs, and the run's last
    words."""
    of_run = {"flow_runs": {"id": {"any_": [run]}}}
    states = [task["state"]["type"] for task in call_api(port, "task_runs/filter", of_run)]
    logs = call_api(port, "logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_DESC"})
    last = [
        one for one in logs if one["name"] == "prefect.flow_runs" and one["message"].startswith("Finished in state")
    ]
    return states and set(states) <= set(ENDS) and last


def tell(folder: Path, port: int) -> Story:
    """An extraction, its evaluation, and an extraction in which one shard breaks and one row fails; recorded."""
    with ScriptedServer(answer) as server:
        config = config_for(server, folder, "mined")
        extraction = trigger(port, config)
        broken = trigger(port, broken_config(folder), "repeat-extraction/default")
        assert wait_for(port, extraction, *ENDS)["type"] == "COMPLETED"
        rules = folder / "outputs" / "mined" / "03_rule_set.json"
        shared = {name: config[name] for name in ("model", "outputs", "cache")}
        held_out = {"pairs": str(ROOT / "examples/held_out_pairs.jsonl"), "rules": str(rules), "shard_size": 5}
        evaluation = trigger(port, {**shared, **held_out, "run_id": "measured"}, "evaluate-rules/default")
        assert wait_for(port, evaluation, *ENDS)["type"] == "COMPLETED"
        assert wait_for(port, broken, *ENDS)["type"] == "FAILED"
        of_it = {"flow_runs": {"parent_flow_run_id": {"any_": [broken]}}}
        [inner] = [run["id"] for run in call_api(port, "flow_runs/filter", of_it)]
        for run in (extraction, evaluation, inner):
            poll(lambda run=run: is_recorded(port, run), "tasks and logs are recorded")
        return Story(port, folder, extraction, evaluation, inner)
