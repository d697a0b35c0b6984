import pytest

from autorule.config.runs import ExtractConfig
from autorule.evaluation.config import EvaluateConfig
from autorule.runs.files import BASELINES, FLIPS, RULE_SET
from autorule.runs.manifest import Funnel
from autorule.runs.run_folder import Run
from autorule.storage import write_text


def test_a_funnel_that_adds_up_has_no_imbalance():
    funnel = Funnel(
        rows_read=10,
        rows_rejected=2,
        pairs_valid=8,
        pairs_repeated=1,
        pairs_not_drawn=2,
        pairs_drawn=5,
        chains_expected=5,
        chains_failed=1,
        chains=4,
        mining_failed=1,
        chains_mined=3,
        candidates=6,
        candidates_set_aside=1,
        candidates_in_rules=4,
        candidates_dropped=1,
        rules=2,
        held_out_rows_read=3,
        held_out_rows_rejected=1,
        held_out_pairs=2,
        completions=4,
        rewards=4,
        verdicts=8,
    )
    assert funnel.imbalances() == []


def test_whatever_is_lost_is_named():
    assert Funnel(rows_read=3, rows_rejected=1, pairs_valid=1).imbalances() == [
        "rows_read is 3, its parts 2",
        "pairs_valid is 1, its parts 0",
    ]
    assert "verdicts is 5, its parts 6" in Funnel(completions=3, rewards=3, rules=2, verdicts=5).imbalances()


def test_nothing_of_other_work_stays_whichever_attempt_left_it(tmp_path):
    """The second attempt was killed before it had noted what the first had written."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    config = EvaluateConfig(pairs=rows, rules=rows, outputs=tmp_path, run_id="r")
    for _ in range(2):
        Run.start("evaluate-rules", config, {"pairs": rows})._lock.close()
        for name in (BASELINES, FLIPS):
            write_text(tmp_path / "r" / name, "of these settings")
    looser = config.model_copy(update={"max_unscored": 0.5})
    Run.start("evaluate-rules", looser, {"pairs": rows})._lock.close()
    assert (tmp_path / "r" / FLIPS).exists(), "what may be missing changes no answer"
    Run.start("evaluate-rules", looser.model_copy(update={"seed": 1}), {"pairs": rows})._lock.close()
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [".lock", "manifest.json", "parts"]


@pytest.mark.parametrize(("change", "kept"), [({}, True), ({"shard_size": 3}, False)])
def test_a_run_under_a_name_that_was_made_up_goes_on_where_it_ended(tmp_path, change, kept):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("{}\n")
    config = ExtractConfig(pairs=pairs, outputs=tmp_path)
    run = Run.start("extract-rules", config, {"pairs": pairs})
    write_text(run.folder / RULE_SET, "what was finished")
    with pytest.raises(RuntimeError), run:
        raise RuntimeError("the machine went away")
    named = config.model_copy(update={"run_id": run.folder.name, **change})
    Run.start("extract-rules", named, {"pairs": pairs})
    assert (run.folder / RULE_SET).exists() == kept
