"""The whole flows, outside Prefect and inside it, on the scripted back end."""

import json
from pathlib import Path

import pytest

from autorule.config.layers import build_config
from autorule.config.runs import ExtractConfig, ScoreConfig
from autorule.errors import AutoruleError, ConfigError, InputError, RunFailedError
from autorule.flows.extract_rules import extract_rules
from autorule.flows.score_completions import score_completions
from autorule.records import CandidateRule, Failure, Interpretation, PreferencePair
from autorule.rules.rule_sets import load_rule_set, prompt_hash
from autorule.runs.files import read_records
from autorule.runs.manifest import RunManifest
from autorule.runs.run_folder import Run
from autorule.verification.verdict_tables import read_rewards, read_verdicts

EXAMPLES = Path(__file__).parents[2] / "examples"
PAIRS, HELD_OUT = EXAMPLES / "sample_pairs.jsonl", EXAMPLES / "held_out_pairs.jsonl"


def extraction(tmp_path, script="helpful", **settings):
    base = {
        "pairs": PAIRS,
        "outputs": tmp_path / "outputs",
        "cache": {"path": tmp_path / "cache.sqlite"},
        "model": {"backend": "scripted", "model": f"tests.scripts:{script}"},
        "shard_size": 10,
    }
    return build_config(ExtractConfig, base, settings)


def extract(tmp_path, **settings) -> tuple[RunManifest, Path]:
    config = extraction(tmp_path, **settings)
    manifest = extract_rules.fn(config)
    return manifest, config.outputs / manifest.run_id


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def only_run(tmp_path) -> tuple[RunManifest, Path]:
    (folder,) = (tmp_path / "outputs").iterdir()
    return RunManifest.model_validate_json((folder / "manifest.json").read_text(encoding="utf-8")), folder


def test_extraction_leaves_the_files_that_the_readme_lists_and_the_counts_add_up(tmp_path):
    manifest, folder = extract(tmp_path, held_out=HELD_OUT)
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json", "00_pairs.jsonl", "01_interpretations.jsonl", "02_candidate_rules.jsonl", "03_rule_set.json",
        "03_dropped_candidates.jsonl", "04_pairs.parquet", "04_verdicts.parquet", "05_rewards.parquet",
        "failures.jsonl", "rejected_rows.jsonl", "rejected_held_out_rows.jsonl",
    }  # fmt: skip
    assert manifest.status == "completed"
    funnel = manifest.funnel
    assert funnel.imbalances() == []
    assert (funnel.rows_read, funnel.pairs_drawn, funnel.chains, funnel.held_out_pairs) == (48, 48, 48, 16)
    assert funnel.rules == 8
    assert funnel.verdicts == 32 * 8
    for name, n in manifest.files.items():
        rows = read_verdicts(folder / name) if name.endswith(".parquet") else lines(folder / name)
        assert len(list(rows)) == n, name
    assert manifest.usage["interpretation"].sent == 48
    assert set(manifest.models) == {"interpretation", "mining", "synthesis", "verification"}


def test_lineage_runs_from_each_rule_to_its_pairs(tmp_path):
    _, folder = extract(tmp_path)
    candidates = {c.candidate_id: c for c in read_records(folder / "02_candidate_rules.jsonl", CandidateRule)}
    chains = {i.interpretation_id: i for i in read_records(folder / "01_interpretations.jsonl", Interpretation)}
    pairs = {p.pair_id: p for p in read_records(folder / "00_pairs.jsonl", PreferencePair)}
    rule_set = load_rule_set(folder / "03_rule_set.json")
    for rule in rule_set.rules:
        own = [candidates[candidate_id] for candidate_id in rule.candidate_ids]
        assert {c.pair_id for c in own} == set(rule.pair_ids) <= pairs.keys()
        assert rule.support == len(rule.pair_ids)
        for candidate in own:
            assert (
                rule.text.removeprefix("The response should ").rstrip(".") in chains[candidate.interpretation_id].chain
            )
    assert {prompt_hash(pair.prompt) for pair in pairs.values()} == rule_set.seen_prompts
    supports = [(-rule.support, rule.text) for rule in rule_set.rules]
    assert supports == sorted(supports)


def test_a_second_run_calls_no_model_and_makes_the_same_bytes(tmp_path):
    _, first = extract(tmp_path, held_out=HELD_OUT)
    manifest, second = extract(tmp_path, held_out=HELD_OUT)
    assert sum(counts.sent for counts in manifest.usage.values()) == 0
    assert first != second
    for name in ("03_rule_set.json", "02_candidate_rules.jsonl", "04_verdicts.parquet", "05_rewards.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize("shard_size", [1, 7, 1000])
def test_shards_do_not_change_the_rule_set(tmp_path, shard_size):
    _, reference = extract(tmp_path / "a")
    _, other = extract(tmp_path / "b", shard_size=shard_size)
    assert (reference / "03_rule_set.json").read_bytes() == (other / "03_rule_set.json").read_bytes()


def test_failures_are_counted_kept_and_alone_asked_again(tmp_path):
    manifest, folder = extract(tmp_path, script="flaky", held_out=HELD_OUT, reward={"min_scored": 0.9})
    funnel = manifest.funnel
    assert manifest.status == "completed"
    assert funnel.imbalances() == []
    assert funnel.chains_failed > 0
    assert funnel.mining_failed > 0
    assert funnel.verdicts_unscored > 0
    failures = list(read_records(folder / "failures.jsonl", Failure))
    by_stage = {
        stage: sum(f.stage == stage for f in failures) for stage in ("interpretation", "mining", "verification")
    }
    assert by_stage["interpretation"] == funnel.chains_failed
    assert by_stage["mining"] == funnel.mining_failed
    assert by_stage["verification"] == funnel.verdicts_unscored
    assert {f.kind for f in failures} == {"provider", "parse", "timeout"}
    assert all(f.raw == "?" for f in failures if f.kind == "parse")
    unscored = [r for r in read_rewards(folder / "05_rewards.parquet") if r.reward is None]
    assert len(unscored) == funnel.rewards_unscored > 0
    assert all(r.unscored_reason and r.fraction is None for r in unscored)
    again, _ = extract(tmp_path, script="flaky", held_out=HELD_OUT, reward={"min_scored": 0.9})
    assert again.usage["interpretation"].sent == funnel.chains_failed
    assert again.usage["verification"].sent == funnel.verdicts_unscored


def test_a_model_that_never_answers_ends_the_run_with_its_words(tmp_path):
    with pytest.raises(RunFailedError, match=r"all 48 requests failed.*connection refused"):
        extract(tmp_path, script="dead")
    manifest, folder = only_run(tmp_path)
    assert manifest.status == "failed"
    assert len(lines(folder / "failures.jsonl")) == 48


def test_a_shard_that_breaks_does_not_sink_the_run(tmp_path, monkeypatch):
    from autorule.tasks import mining

    build = mining.build_request

    def break_once(interpretation, *args):
        if interpretation.row == 13:
            raise RuntimeError("a bug in this row")
        return build(interpretation, *args)

    monkeypatch.setattr(mining, "build_request", break_once)
    with pytest.raises(RunFailedError, match="mining shard 1: a bug in this row"):
        extract(tmp_path)
    manifest, folder = only_run(tmp_path)
    assert manifest.status == "failed_with_results"
    assert manifest.funnel.mining_failed == 10
    assert manifest.funnel.imbalances() == []
    assert load_rule_set(folder / "03_rule_set.json").rules
    monkeypatch.undo()
    again, _ = extract(tmp_path)
    assert again.usage["mining"].sent == 10, "a rerun asks only what is missing"


def test_bad_rows_are_set_aside_and_counted(tmp_path):
    rows = PAIRS.read_text(encoding="utf-8").splitlines()
    path = tmp_path / "p.jsonl"
    path.write_text(
        "\n".join([*rows[:5], "{broken", rows[0], json.dumps({"prompt": "p", "chosen": "x", "rejected": ""})])
    )
    manifest, folder = extract(tmp_path, pairs=path)
    funnel = manifest.funnel
    assert (funnel.rows_read, funnel.rows_rejected, funnel.pairs_repeated, funnel.pairs_drawn) == (8, 2, 1, 5)
    assert [(row["row"], row["reasons"][0]["code"]) for row in lines(folder / "rejected_rows.jsonl")] == [
        (6, "not_json"),
        (8, "empty_rejected"),
    ]


@pytest.mark.parametrize("mined_with_it", [True, False])
def test_a_system_turn_before_a_prompt_makes_no_other_prompt_of_it(tmp_path, mined_with_it):
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    system = [
        {**row, "prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": row["prompt"]}]}
        for row in rows
    ]
    places = {"pairs": tmp_path / "pairs.jsonl", "held_out": tmp_path / "held_out.jsonl"}
    for path, own in zip(places.values(), (system, rows) if mined_with_it else (rows, system), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in own), encoding="utf-8")
    with pytest.raises(AutoruleError, match="the rules were mined from this prompt"):
        extract(tmp_path, **places)


def test_held_out_pairs_whose_prompt_was_mined_are_set_aside(tmp_path):
    held_out = tmp_path / "h.jsonl"
    held_out.write_text(HELD_OUT.read_text(encoding="utf-8") + PAIRS.read_text(encoding="utf-8").splitlines()[0])
    manifest, folder = extract(tmp_path, held_out=held_out)
    assert (manifest.funnel.held_out_pairs, manifest.funnel.held_out_rows_rejected) == (16, 1)
    assert lines(folder / "rejected_held_out_rows.jsonl")[0]["reasons"][0]["code"] == "prompt_was_mined"


def test_several_chains_for_each_pair(tmp_path):
    manifest, folder = extract(tmp_path, limit=5, interpretation={"n_chains": 3})
    assert manifest.funnel.chains == manifest.usage["interpretation"].sent == 15
    assert [line["sample_index"] for line in lines(folder / "01_interpretations.jsonl")] == [0, 1, 2] * 5


def test_both_orders_show_each_response_once_as_a(tmp_path):
    manifest, folder = extract(tmp_path, limit=5, interpretation={"both_orders": True, "n_chains": 2})
    assert manifest.funnel.chains == manifest.usage["interpretation"].sent == 20
    written = [
        (line["pair_id"], line["order"], line["sample_index"]) for line in lines(folder / "01_interpretations.jsonl")
    ]
    assert len(set(written)) == 20
    for start in range(0, 20, 4):
        assert len({pair_id for pair_id, _, _ in written[start : start + 4]}) == 1
        assert {order for _, order, _ in written[start : start + 4]} == {"chosen_first", "rejected_first"}


def test_a_stratified_draw_goes_by_a_column(tmp_path):
    _, folder = extract(tmp_path, limit=12, draw="stratified", columns={"stratum": "kind"})
    strata = [line["stratum"] for line in lines(folder / "00_pairs.jsonl")]
    assert len(strata) == len(set(strata)) == 12, "one of each kind"


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"pairs": "nowhere.jsonl"}, InputError, "does not exist"),
        ({"held_out": "nowhere.jsonl"}, InputError, "does not exist"),
        ({"mining": {"prompt": "no_such"}}, AutoruleError, "no prompt named"),
        ({"model": {"model": "tests.scripts:no_such"}}, ConfigError, "no_such"),
    ],
)
def test_what_can_not_work_is_said_before_anything_is_made(tmp_path, settings, error, words):
    with pytest.raises(error, match=words):
        extract(tmp_path, **settings)
    assert not (tmp_path / "outputs").exists()


def test_a_run_id_may_be_used_again_until_its_run_has_completed(tmp_path):
    with pytest.raises(RunFailedError):
        extract(tmp_path, run_id="mine", script="dead")
    manifest, folder = extract(tmp_path, run_id="mine")
    assert (manifest.status, lines(folder / "failures.jsonl")) == ("completed", [])
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(ConfigError, match="mine holds a completed run"):
        extract(tmp_path, run_id="mine")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_run_that_goes_on_is_left_alone(tmp_path):
    config = extraction(tmp_path, run_id="mine")
    with Run.start("extract-rules", config, {"pairs": PAIRS}), pytest.raises(ConfigError, match="in use by a run"):
        Run.start("extract-rules", config, {"pairs": PAIRS})


def test_the_seed_of_the_run_is_that_of_the_sampling_and_stages_keep_their_defaults(tmp_path):
    config = extraction(
        tmp_path, seed=5, interpretation={"sampling": {"max_tokens": 9}}, mining={"sampling": {"seed": 1}}
    )
    assert config.interpretation.sampling.model_dump(exclude={"stop", "bad_words"}) == {
        "max_tokens": 9, "temperature": 0.6, "top_p": 0.95, "repetition_penalty": 1.0, "seed": 5,
    }  # fmt: skip
    assert (config.mining.sampling.seed, config.synthesis.sampling.seed) == (1, 5)


def test_an_answer_that_can_not_be_read_is_drawn_anew(tmp_path):
    """The default decoding of mining is greedy: the same request would get the same answer."""
    config = extraction(tmp_path, script="needs_a_second_draw", cache={"enabled": False})
    assert extract_rules.fn(config).funnel.mining_failed == 0


def test_refusals_are_no_chains(tmp_path):
    with pytest.raises(RunFailedError, match="refused: the model declined"):
        extract(tmp_path, script="refusing")


def test_what_people_write_survives_a_broken_shard(tmp_path, monkeypatch):
    from autorule.tasks import mining

    def broken(*_):
        raise RuntimeError("a bug")

    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()[:4]]
    path = tmp_path / "p.jsonl"
    path.write_text(
        "".join(json.dumps({**r, "reasoning": "It has\u2028a line.\u0085"}) + "\n" for r in rows[:2])
        + json.dumps(rows[2])
        + "\n"
    )
    build = mining.build_request
    monkeypatch.setattr(mining, "build_request", lambda i, *a: broken() if i.row == 1 else build(i, *a))
    with pytest.raises(RunFailedError, match="mining shard 0: a bug"):
        extract(tmp_path, pairs=path, shard_size=2)
    assert only_run(tmp_path)[0].funnel.imbalances() == []


@pytest.mark.parametrize(
    ("stage", "text", "words"),
    [
        ("verification", "@user\n{conversation} {rule}", "no value for placeholder {rule}"),
        ("verification", "@user\n{conversation}", "no @question section"),
        ("mining", "@user\n{chian}", "{chian}"),
        ("interpretation", "@user\n{prompt} {response_a} {response_b}", "nothing shows preferred"),
    ],
)
def test_a_prompt_that_can_not_work_is_found_before_the_first_call(tmp_path, stage, text, words):
    path = tmp_path / "own.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AutoruleError, match=words):
        extract(tmp_path, **{stage: {"prompt": str(path)}})
    assert not (tmp_path / "outputs").exists()


def test_a_mapped_column_that_is_not_there_is_never_replaced_by_another(tmp_path):
    _, extracted = extract(tmp_path)
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps({"prompt": "p", "completion": "OLD", "answer": "NEW"}))
    config = scoring(tmp_path, path, extracted / "03_rule_set.json", columns={"completion": "anwser"})
    with pytest.raises(InputError, match="no column 'anwser'"):
        score_completions.fn(config)


def scoring(tmp_path, completions, rules, **settings):
    base = {
        "completions": completions,
        "rules": rules,
        "outputs": tmp_path / "scored",
        "cache": {"path": tmp_path / "cache.sqlite"},
        "model": {"backend": "scripted", "model": "tests.scripts:helpful"},
        "shard_size": 3,
    }
    return build_config(ScoreConfig, base, settings)


def test_completions_are_scored_against_a_rule_set(tmp_path):
    _, extracted = extract(tmp_path)
    rows = [{"id": f"c{i}", "prompt": f"p{i % 4}", "completion": f"text {i}"} for i in range(8)]
    rows += [rows[0], {"prompt": "p", "completion": 3}, {"prompt": "p", "completion": ""}]
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    config = scoring(tmp_path, path, extracted / "03_rule_set.json")
    manifest = score_completions.fn(config)
    folder = config.outputs / manifest.run_id
    funnel = manifest.funnel
    assert funnel.imbalances() == []
    assert (funnel.completion_rows_read, funnel.completion_rows_rejected, funnel.completions) == (11, 1, 10)
    rewards = list(read_rewards(folder / "05_rewards.parquet"))
    assert [r.source_id for r in rewards] == [f"c{i}" for i in range(8)] + ["c0", None]
    assert rewards[8].fraction == rewards[0].fraction, "the same completion twice gets the same reward"
    verdicts = list(read_verdicts(folder / "04_verdicts.parquet"))
    rules = load_rule_set(folder / "03_rule_set.json").rules
    assert [v["rule_id"] for v in verdicts[: len(rules)]] == [rule.rule_id for rule in rules]
    assert rewards[0].n_satisfied == sum(v["verdict"] == "yes" for v in verdicts[: len(rules)])


@pytest.mark.long
def test_both_flows_run_under_prefect_with_the_same_results(tmp_path):
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    _, plain = extract(tmp_path / "plain", held_out=HELD_OUT)
    with prefect_test_harness(), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        config = extraction(tmp_path / "prefect", held_out=HELD_OUT)
        manifest = extract_rules(config)
        folder = config.outputs / manifest.run_id
        assert (folder / "03_rule_set.json").read_bytes() == (plain / "03_rule_set.json").read_bytes()
        assert (folder / "05_rewards.parquet").read_bytes() == (plain / "05_rewards.parquet").read_bytes()
        state = extract_rules(extraction(tmp_path / "dead", script="dead"), return_state=True)
        assert state.is_failed()
        assert "connection refused" in state.message
        path = tmp_path / "c.jsonl"
        path.write_text(json.dumps({"prompt": "p", "completion": "c"}))
        scored = score_completions(scoring(tmp_path, path, folder / "03_rule_set.json"))
        assert scored.funnel.rewards == 1


def test_a_failed_verdict_of_every_completion_does_not_fail_the_stage(tmp_path):
    _, extracted = extract(tmp_path)
    rules = load_rule_set(extracted / "03_rule_set.json").rules
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": "p", "completion": f"c{i}"}) for i in range(4)))
    config = scoring(tmp_path, path, extracted / "03_rule_set.json", model={"model": "tests.scripts:one_rule_fails"})
    manifest = score_completions.fn(config)
    assert manifest.status == "completed"
    assert (manifest.funnel.verdicts_unscored, manifest.funnel.rewards_unscored) == (4, 0)
    assert manifest.funnel.verdicts == 4 * len(rules)


def test_a_broken_shard_with_several_chains_for_each_pair_is_accounted_for(tmp_path, monkeypatch):
    from autorule.tasks import interpretation

    def broken(*_):
        raise RuntimeError("a bug")

    build = interpretation.build_request
    monkeypatch.setattr(
        interpretation, "build_request", lambda pair, *rest: broken() if pair.row == 13 else build(pair, *rest)
    )
    with pytest.raises(RunFailedError, match="interpretation shard 1: a bug"):
        extract(tmp_path, interpretation={"n_chains": 3})
    manifest, _ = only_run(tmp_path)
    assert (manifest.funnel.chains, manifest.funnel.chains_failed) == (38 * 3, 10 * 3)
    assert manifest.funnel.imbalances() == []
