"""Verdicts over HTTP while servers die, come back and talk nonsense: no zero is invented, nothing is lost."""

import json
import threading

from starlette.responses import Response

from autorule.config.layers import build_config
from autorule.config.runs import ScoreConfig
from autorule.flows.score_completions import score_completions
from autorule.rules.rule_sets import dump_rule_set
from autorule.verification.verdict_tables import read_rewards, read_verdicts
from tests.conftest import make_rule_set
from tests.integration.scripted_server import ScriptedServer, completion, helpful, logprobs, shown, wait_until
from tests.scripts import digest

N = 60
RULES = make_rule_set("It should be short.", "It should rhyme.", "It should be polite.")


def config_for(tmp_path, servers, **model):
    completions = tmp_path / "c.jsonl"
    rows = [{"prompt": f"p{i}", "completion": f"text {i}"} for i in range(N)]
    completions.write_text("\n".join(map(json.dumps, rows)))
    rules = tmp_path / "rules.json"
    rules.write_text(dump_rule_set(RULES))
    settings = {
        "backend": "openai_compatible", "model": "m", "base_url": [s.base_url for s in servers], "concurrency": 4,
        "retry_wait_s": 0.01, "max_retries": 1, "server_wait_s": 60, **model,
    }  # fmt: skip
    base = {"completions": completions, "rules": rules, "outputs": tmp_path / "out", "model": settings}
    return build_config(ScoreConfig, base, {"cache": {"path": tmp_path / "cache.sqlite"}})


def scored(config):
    manifest = score_completions.fn(config)
    folder = config.outputs / manifest.run_id
    assert manifest.funnel.imbalances() == []
    return (
        manifest,
        list(read_verdicts(folder / "04_verdicts.parquet")),
        list(read_rewards(folder / "05_rewards.parquet")),
    )


def expected(tmp_path):
    with ScriptedServer() as server:
        config = config_for(tmp_path, [server])
        _, verdicts, _ = scored(config.model_copy(update={"cache": config.cache.model_copy(update={"enabled": False})}))
    return [v["verdict"] for v in verdicts]


def test_a_server_that_is_killed_and_restarted_is_waited_for(tmp_path):
    reached = threading.Event()

    def answer(body):
        if "logprobs" in body and len(first.log) >= 40:
            reached.set()
        return helpful(body)

    with ScriptedServer(answer) as first:
        config = config_for(tmp_path, [first])
        port = int(first.base_url.split(":")[2].removesuffix("/v1"))
        result = {}
        run = threading.Thread(target=lambda: result.update(all=scored(config)))
        run.start()
        assert reached.wait(60)
    with ScriptedServer(port=port) as second:
        run.join(60)
        wait_until(lambda: "all" in result, "the run ends")
        assert second.log, "the second server answered the rest"
    manifest, verdicts, _ = result["all"]
    assert manifest.funnel.verdicts_unscored == 0
    assert [v["verdict"] for v in verdicts] == expected(tmp_path)


def test_one_of_two_servers_is_dead_and_the_other_does_all_the_work(tmp_path):
    with ScriptedServer() as dead:
        pass
    with ScriptedServer() as alive:
        manifest, verdicts, _ = scored(config_for(tmp_path, [dead, alive]))
        assert manifest.funnel.verdicts_unscored == 0
        assert len(alive.sent("verification")) == N * 3
    assert [v["verdict"] for v in verdicts] == expected(tmp_path)


def test_two_servers_share_the_work_and_a_conversation_keeps_to_one(tmp_path):
    with ScriptedServer() as one, ScriptedServer() as other:
        scored(config_for(tmp_path, [one, other]))
        shares = [{text.split("Rule:")[0] for text in server.sent("verification")} for server in (one, other)]
    assert len(shares[0]) + len(shares[1]) == N
    assert min(map(len, shares)) > 0


def test_malformed_replies_and_missing_choices_are_unscored_and_asked_again_by_the_next_run(tmp_path):
    def nonsense(body):
        text = shown(body)
        kind = digest(text) % 20
        if kind == 0:
            return Response("<html>", media_type="text/html")
        if kind == 1:
            return completion("Yes")  # no logprobs
        if kind == 2:
            return logprobs(("Maybe", -0.1), ("Hm", -2.0))  # none of the choices
        return helpful(body)

    def kinds(n):
        return sum(digest(text) % 20 == n for text in asked)

    with ScriptedServer(nonsense) as server:
        config = config_for(tmp_path, [server])
        manifest, verdicts, rewards = scored(config)
        asked = set(server.sent("verification"))
        bad = kinds(0) + kinds(1) + kinds(2)
        assert manifest.funnel.verdicts_unscored == bad > 0
        unscored = [v for v in verdicts if v["verdict"] is None]
        assert len(unscored) == bad
        assert all(v["p_yes"] is None and v["unscored_reason"] for v in unscored)
        assert all(r.reward is None and r.unscored_reason for r in rewards if r.n_unscored)
        assert all(r.reward is not None for r in rewards if not r.n_unscored)
        server.answer = helpful
        server.log.clear()
        again, verdicts, _ = scored(config)
        assert len(server.sent("verification")) == bad, "only what had no verdict is asked again"
    assert again.funnel.verdicts_unscored == 0
    assert [v["verdict"] for v in verdicts] == expected(tmp_path)
