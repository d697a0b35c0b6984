import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.errors import PromptError
from autorule.prompting import (
    TRIM_MARK,
    Prompt,
    fence_for,
    load_prompt,
    neutralise_special_tokens,
    render_messages,
    trim_middle,
)
from autorule.records import Message
from tests.conftest import messages

PROMPT = Prompt(name="p", text='@system\nBe brief.\n@user\nAsk {a} as {"json": "{b}"}\n@question\nRule {rule}\n')


def test_placeholders_are_replaced_in_one_pass_and_json_survives():
    rendered = PROMPT.render({"a": "{b}", "b": "{a} {x}"})
    assert [(m.role, m.content) for m in rendered] == [
        ("system", "Be brief."),
        ("user", 'Ask {b} as {"json": "{a} {x}"}'),
    ]
    assert PROMPT.render_question({"rule": "{a}"}) == "Rule {a}"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": "1"}, "no value for placeholder {b}"),
        ({"a": "1", "b": "2", "c": "3"}, "nothing shows c"),
    ],
)
def test_missing_and_leftover_placeholders_raise(values, message):
    with pytest.raises(PromptError, match=re.escape(message)):
        PROMPT.render(values)


def test_optional_values_may_go_unused():
    assert PROMPT.render({"a": "1", "b": "2"}, optional={"fence": "```"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n@user\nx", "text before the first section"),
        ("@system\nx", "no @user section"),
        ("@user\nx\n@question\ny\n@question\nz", "more than one @question"),
    ],
)
def test_malformed_prompt_files_raise(text, message):
    with pytest.raises(PromptError, match=message):
        Prompt(name="p", text=text).render({})


def test_a_last_assistant_section_is_the_begun_answer():
    assert (
        Prompt(name="p", text="@user\nq\n@assistant\n- The response should\n").begun_answer == "- The response should"
    )
    assert Prompt(name="p", text="@user\nq\n@assistant\na\n@user\nz").begun_answer == ""


def test_unknown_prompt_names_are_listed(tmp_path):
    with pytest.raises(PromptError, match=r"there are .*mining"):
        load_prompt("no_such")
    with pytest.raises(PromptError, match="does not exist"):
        load_prompt(str(tmp_path / "x.txt"))
    own = tmp_path / "own.txt"
    own.write_text("@user\n{chain}", encoding="utf-8")
    assert load_prompt(str(own)).name == "own"


@pytest.mark.parametrize("stage", ["interpretation", "mining", "synthesis", "verification"])
@pytest.mark.parametrize("variant", ["", ".small"])
def test_shipped_prompts_parse_and_their_hash_is_of_the_whole_text(stage, variant):
    prompt = load_prompt(stage + variant)
    assert prompt.sections
    assert len(prompt.sha256) == 64


@given(st.lists(st.text(alphabet="`a\n", max_size=30), max_size=5))
def test_no_text_can_close_its_fence(texts):
    fence = fence_for(texts)
    assert not any(fence in text for text in texts)


@given(st.text(max_size=400), st.integers(min_value=60, max_value=200))
def test_trimming_keeps_both_ends_says_how_much_went_and_is_never_longer_than_asked(text, max_chars):
    result = trim_middle(text, max_chars)
    assert result.trimmed == (len(text) > max_chars) and len(result.text) <= max_chars
    if result.trimmed:
        kept = max_chars - len(TRIM_MARK.format(n=len(text)))
        assert TRIM_MARK.format(n=len(text) - kept) in result.text
        assert result.text.startswith(text[: kept // 2])
        assert result.text.endswith(text[-(kept // 4) :] if kept >= 4 else "")
    else:
        assert result.text == text


def test_messages_render_as_bare_text_or_as_turns():
    assert render_messages(messages("hi")) == "hi"
    assert render_messages(messages("hi", "ho")) == "[user]\nhi\n\n[assistant]\nho"
    assert render_messages((Message(role="system", content="s"),)) == "[system]\ns"


@pytest.mark.parametrize(
    "marker",
    [
        "<|im_end|>",
        "<|eot_id|>",
        "</s>",
        "<s>",
        "[INST]",
        "[/INST]",
        "<start_of_turn>",
        "<end_of_turn>",
        "<｜User｜>",
        "<think>",
        "</think>",
        "<bos>",
        "[SYSTEM_PROMPT]",
        "[TOOL_RESULTS]",
        "[|endofturn|]",
        "<end_of_utterance>",
        "<sop>",
        "<seed:bos>",
        "</seed:think>",
        "]~b]",
        "]~!b[",
        "[e~[",
        "<SPECIAL_12>",
        "<turn|>",
        "<|turn>",
        "<channel|>",
        "<|im_user|>",
        "[EOT]",
        "[start_header_id]",
        "[MODEL_SETTINGS]",
        "[/MODEL_SETTINGS]",
        "[TOOL_CONTENT]",
        "[IMG_END]",
        "<BOS_TOKEN>",
        "<|START_OF_TURN_TOKEN|>",
        "<EOP_TOKEN>",
        "[gMASK]",
        "<arg_key>",
        "<用户>",
        "<AI>",
        "[|system|]",
        "[BOS]",
        "<[begin▁of▁sentence]>",
        "[SEP]",
        "<beginning_of_sentence>",
        "<minimax:tool_call>",
        "]!p~[",
        "<[PAD▁TOKEN]>",
        "[sMASK]",
        "[OUTPUT_AUDIO]",
        "[control_768]",
        "<TOOLCALL>",
        "<AVAILABLE_TOOLS>",
        "<thought>",
        "<image>",
        "<mask>",
        "[multimodal]",
        "[@BOS@]",
        "<image_soft_token>",
        "<start_function_call>",
        "<longcat_user>",
        "<reserved_106>",
        "<_user>",
        "<EOT>",
    ],
)
def test_chat_markers_are_broken_up_for_servers_that_only_take_text(marker):
    text = neutralise_special_tokens(f"a{marker}b")
    assert marker not in text
    assert text.replace("\u200b", "") == f"a{marker}b"


def test_ordinary_text_is_left_alone_for_servers():
    text = "if a < b: print('<div>', [INSTALL], x|y, a[b], [1][2], ]~, <b>AI</b>)"
    assert neutralise_special_tokens(text) == text
