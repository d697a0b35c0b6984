"""Runs in an object store: an S3 server on loopback, and what is found there when a run goes on."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from autorule.backends import close_backends, open_backend
from autorule.config.runs import ExtractConfig, ScoreConfig
from autorule.errors import ConfigError, RunFailedError
from autorule.evaluation.config import EvaluateConfig
from autorule.flows.evaluate_rules import evaluate_rules
from autorule.flows.extract_rules import extract_rules
from autorule.flows.score_completions import score_completions
from autorule.report.write import write_report
from autorule.rules.rule_sets import dump_rule_set
from autorule.runs.files import EVALUATION, FAILURES, MANIFEST, PARTS, REWARDS, RULE_SET, VERDICTS
from autorule.storage import to_folder
from tests.conftest import make_rule_set
from tests.integration.scripted_server import wait_until

ROOT = Path(__file__).parents[2]
N_COMPLETIONS = 30
BUCKET = "rules"


@pytest.fixture(scope="module")
def bucket():
    """The URL of a bucket on a server of our own, which the environment points to as AWS's own tools have it."""
    pytest.importorskip("moto", reason="storage tests need moto[server] and s3fs: the extra dev")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: _listens(port), "the S3 server listens")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.setenv(name, "test")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            import s3fs

            s3fs.S3FileSystem.clear_instance_cache()
            s3fs.S3FileSystem().mkdir(BUCKET)
            yield f"s3://{BUCKET}"
            s3fs.S3FileSystem.clear_instance_cache()
    finally:
        server.kill()
        server.wait()


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def scoring(tmp_path, outputs, run_id, script="helpful", **settings):
    completions = tmp_path / "completions.jsonl"
    with completions.open("w", encoding="utf-8") as file:
        for row in range(N_COMPLETIONS):
            file.write(json.dumps({"prompt": f"question {row}", "completion": f"answer {row * row}"}) + "\n")
    rules = tmp_path / "rules.json"
    rules.write_text(dump_rule_set(make_rule_set("Mention pears.", "Say thanks.")), encoding="utf-8")
    return ScoreConfig.model_validate(
        {
            "completions": completions, "rules": rules, "outputs": outputs, "run_id": run_id, "shard_size": 5,
            "model": {"backend": "scripted", "model": f"tests.scripts:{script}"}, "cache": {"enabled": False},
            **settings,
        }
    )  # fmt: skip


def test_a_bucket_holds_the_same_run_as_a_folder(tmp_path, bucket):
    """Extraction with held-out pairs and an evaluation: every file but the manifest byte for byte."""
    made = {}
    for outputs in (str(tmp_path / "outputs"), f"{bucket}/deep/outputs"):
        common = {
            "outputs": outputs, "cache": {"path": str(tmp_path / "cache.sqlite")}, "shard_size": 20,
            "model": {"backend": "scripted", "model": "tests.scripts:helpful"},
        }  # fmt: skip
        pairs, held_out = ROOT / "examples/sample_pairs.jsonl", ROOT / "examples/held_out_pairs.jsonl"
        extract_rules.fn(
            ExtractConfig.model_validate({"pairs": pairs, "held_out": held_out, "run_id": "run", **common})
        )
        folder = to_folder(outputs) / "run"
        copy = tmp_path / "rules.json"
        copy.write_text((folder / RULE_SET).read_text(encoding="utf-8"), encoding="utf-8")
        evaluation = {"pairs": held_out, "rules": copy, "run_id": "held-out", "bootstrap_rounds": 100, **common}
        evaluate_rules.fn(EvaluateConfig.model_validate(evaluation))
        runs = (folder, to_folder(outputs) / "held-out")
        made[outputs] = {
            f"{run.name}/{path.name}": path.read_bytes()
            for run in runs
            for path in run.iterdir()
            if path.is_file() and path.name != MANIFEST
        }
    on_disk, in_bucket = made.values()
    assert {f"run/{RULE_SET}", f"run/{VERDICTS}", f"held-out/{EVALUATION}"} <= set(on_disk)
    assert in_bucket == on_disk
    assert not (folder / PARTS).exists()


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_shards_that_were_finished_are_not_done_again_without_any_cache(tmp_path, where, request, monkeypatch):
    outputs = str(tmp_path / "outputs") if where == "folder" else request.getfixturevalue("bucket")
    broken = scoring(tmp_path, outputs, "broken", "breaks_on_demand")
    monkeypatch.setenv("BREAK_ON", "question 7")
    with pytest.raises(RunFailedError, match=r"verification shard 1: told to break.*run again to complete it"):
        score_completions.fn(broken)
    folder = to_folder(outputs) / "broken"
    assert len((folder / FAILURES).read_text(encoding="utf-8").splitlines()) == 5
    close_backends()
    monkeypatch.delenv("BREAK_ON")
    manifest = score_completions.fn(broken)
    asked = open_backend(broken.model).choice_log
    assert manifest.status == "completed" and len({request.request_id for request, _ in asked}) == 5
    assert manifest.usage["verification"].cached == 2 * (N_COMPLETIONS - 5)
    score_completions.fn(scoring(tmp_path, outputs, "whole"))
    for name in (VERDICTS, REWARDS):
        assert (folder / name).read_bytes() == (to_folder(outputs) / "whole" / name).read_bytes()


def test_an_upload_that_breaks_leaves_no_half_file(tmp_path, bucket):
    from autorule.storage import writing

    path = to_folder(bucket) / "half.txt"
    with pytest.raises(ZeroDivisionError), writing(path) as file:
        file.write("half")
        raise ZeroDivisionError
    assert not path.exists()


def test_what_is_wrong_with_a_store_is_said_before_anything_is_asked(tmp_path, bucket):
    with pytest.raises(ConfigError, match="s3://nowhere/run can't be made"):
        score_completions.fn(scoring(tmp_path, "s3://nowhere", "run"))
    with pytest.raises(ValueError, match="give keys in environment variables"):
        scoring(tmp_path, "s3://me:secret@rules", "run")
    with pytest.raises(ValueError, match="lost a slash: write 's3://rules/out'"):
        scoring(tmp_path, Path("s3://rules/out"), "run")
    with pytest.raises(ValueError, match="Protocol not known"):
        scoring(tmp_path, "nonsense://rules", "run")


@pytest.mark.long
def test_commands_write_and_read_a_bucket(tmp_path, bucket):
    settings = scoring(tmp_path, "unused", None)
    pairs, held_out = ROOT / "examples/sample_pairs.jsonl", ROOT / "examples/held_out_pairs.jsonl"
    common = [
        "--backend", "scripted", "--model", "tests.scripts:helpful", "--no-prefect", "--no-cache", "--out",
        f"{bucket}/commands",
    ]  # fmt: skip
    commands = {
        "extract": [pairs, "--held-out", held_out],
        "score": [settings.completions, "--rules", settings.rules],
        "evaluate": [settings.rules, held_out],
    }
    for name, arguments in commands.items():
        done = subprocess.run(
            [sys.executable, "-m", "autorule", name, *map(str, arguments), *common, "--run-id", name],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert f"{bucket}/commands/{name}" in done.stdout.replace("\n", "")
        assert write_report(to_folder(f"{bucket}/commands/{name}")).exists()
    assert not (tmp_path / "s3:").exists()
