"""Every reader of message lists says the same of the same messages: files of pairs, of completions and of labels, the
reward function, and the dialects of the server."""

import asyncio
import json

import httpx
import pytest

from autorule.errors import InputError
from autorule.preferences.completions import read_completion_row
from autorule.preferences.fields import FieldMap
from autorule.preferences.rows import Row
from autorule.records import RejectedRow
from autorule.rewards import RuleReward
from autorule.serving.app import make_app
from autorule.serving.batching import Batcher
from autorule.serving.live import Live
from autorule.serving.metrics import Metrics
from autorule.verification.labels.rows import read_label_rows
from tests.conftest import make_rule_set

MODEL = {"backend": "scripted", "model": "tests.scripts:by_words"}


def reward():
    return RuleReward(make_rule_set("Mention pears."), MODEL, cache={"enabled": False})


def says(**fields):
    return [{"role": "assistant", **fields}]


READ = [
    says(content="pears"),
    says(content=["pears"]),
    says(content=[{"type": "output_text", "text": "pears", "annotations": []}]),
    says(content={"type": "text", "text": "pears"}),
    says(content="", output_text="pears"),
    says(content=None, text="pears"),
    says(content="", refusal="No pears."),
    says(content="pears", reasoning_content="It is a fruit.", tool_calls=[], audio=None),
    [{"from": "gpt", "value": "pears"}],
    [{"role": "developer", "content": "x"}, {"role": "model", "content": "pears"}],
    ["pears"],
    {"role": "assistant", "content": "pears"},
]
UNSHOWN = [
    (says(content="", audio={"id": "x"}), "the field audio"),
    (says(content="pears", images=["x"]), "the field images"),
    (says(content="", reasoning_content="pears"), "the field reasoning_content"),
    (says(content="", refusal={"x": 1}), "the field refusal"),
    (says(content=None), "no content (null)"),
    (says(content="", tool_calls=[{"function": {"name": "rm"}}]), "tool calls"),
    (says(content=[{"type": "text", "text": "pears", "image_url": {"url": "x"}}]), "the field image_url"),
    (says(content=[{"type": "text", "text": "pears"}, {"type": "video"}]), "a block of type video"),
    ([{"role": "tool_response", "content": None}, *says(content="pears")], "no content (null)"),
]
REFUSED = [
    (says(content=5), ".content is int 5"),
    ([{"role": "judge", "content": "pears"}], "has role 'judge'"),
    ([{"role": None, "content": "pears"}], "has role None"),
    ([{"content": "pears"}], "expected {role, content}"),
    ([["pears"]], "expected {role, content}"),
    (["pears", "plums"], "is a list of 2 texts"),
    (7, "is int 7"),
    ([], "empty"),
]


def in_completions(turns, _):
    row = read_completion_row(Row(1, {"prompt": "p", "completion": turns}))
    if isinstance(row, RejectedRow):
        return row.reasons[0].message
    return next((one.unshown for one in row.completion if one.unshown), None)


def in_pairs(turns, _):
    row = FieldMap().read_pair(Row(1, {"prompt": "p", "chosen": turns, "rejected": "Stone."}))
    return "; ".join(reason.message for reason in row.reasons) if isinstance(row, RejectedRow) else None


def in_labels(turns, folder):
    path = folder / "labels.jsonl"
    path.write_text(json.dumps({"prompt": "p", "completion": turns, "rule": "Mention pears.", "satisfied": True}))
    try:
        [label] = read_label_rows(path, {})
    except InputError as error:
        return str(error)
    return next((one.unshown for one in label.completion.completion if one.unshown), None)


def in_rewards(turns, _):
    odd, other = reward().score(["p", "p"], [turns, "plums"])
    assert other.reward == 0.0
    assert odd.reward in (None, 1.0)
    return odd.reason


def asked(path, body):
    """(status, answer) of the server."""
    own = reward()

    async def ask():
        live = Live(own, lambda one: Batcher(one, n_workers=1))
        transport = httpx.ASGITransport(make_app(live, Metrics()))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            answer = await client.post(path, json=body)
        live.close()
        return answer

    answer = asyncio.run(ask())
    assert answer.status_code in (200, 422), "asking again would not help"
    return answer.status_code, answer.json()


def at_score(turns, _):
    status, answer = asked("/score", {"prompts": ["p", "p"], "completions": [turns, "plums"]})
    return json.dumps(answer["detail"]) if status == 422 else answer["reasons"][0]


def at_slime(turns, _):
    status, answer = asked("/slime", {"prompt": turns, "response": "pears"})
    return json.dumps(answer["detail"]) if status == 422 else None


def at_get_reward(turns, _):
    body = {"query": ["p pears"], "prompts": ["p"], "labels": [{"prompt": turns}]}
    status, answer = asked("/get_reward", body)
    return json.dumps(answer["detail"]) if status == 422 else None


FILES = (in_completions, in_pairs, in_labels)
READERS = (*FILES, in_rewards, at_score, at_slime, at_get_reward)
readers = pytest.mark.parametrize("reader", READERS)


@readers
@pytest.mark.parametrize("turns", READ)
def test_text_is_read_alike(reader, turns, tmp_path):
    assert reader(turns, tmp_path) is None


@readers
@pytest.mark.parametrize(("turns", "why"), UNSHOWN)
def test_what_can_not_be_shown_is_told_alike(reader, turns, why, tmp_path):
    assert why in reader(turns, tmp_path)


@readers
@pytest.mark.parametrize(("turns", "why"), REFUSED)
def test_what_is_no_message_is_refused_alike(reader, turns, why, tmp_path):
    if reader is at_get_reward and not turns:
        pytest.skip("a label without a prompt leaves the templated one")
    told = reader(turns, tmp_path)
    of_schema = reader in (at_score, at_slime) and '"type":' in told
    assert of_schema or why in told


@pytest.mark.parametrize("path", ["/slime", "/get_reward", "/llama_factory"])
def test_templated_text_is_read_alike(path):
    whole = "<|im_start|>judge\nx<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    bodies = {
        "/slime": {"prompt": whole, "response": "pears"},
        "/get_reward": {"query": [f"{whole}pears"], "prompts": [whole]},
        "/llama_factory": {"messages": [f"{whole}pears<|im_end|>"]},
    }
    status, answer = asked(path, bodies[path])
    assert status == 422 and "prompt[0] has role 'judge'" in answer["detail"]
    assert asked(path, json.loads(json.dumps(bodies[path]).replace("judge", "developer")))[0] == 200


def test_one_odd_row_costs_itself_and_a_batch_of_them_is_an_error():
    scored = reward().score(["p"] * 3, [7, says(content=5), "pears"])
    assert [one.reward for one in scored] == [None, None, 1.0]
    assert "is int 7" in scored[0].reason and scored[0].error().final
    assert reward()(prompts=["p"] * 2, completions=[[], "pears"]) == [None, 1.0]
