"""Faults inside a reply of status 200, in the shapes of many servers."""

import pytest

from autorule.backends.finish_reasons import broke_off, finish_reason
from autorule.backends.reply_faults import fault_in

ANSWER = {"content": "The first one is better since it"}
BROKEN = (
    *("error", "ERROR", "network_error", "insufficient_system_resource", "abort", "aborted", "Cancelled", "TIMEOUT"),
    *("timed_out", "MALFORMED_RESPONSE", "OTHER", "engine overloaded", "USER_CANCEL"),
)


def reply(reason="stop", message=ANSWER, **choice):
    return {"choices": [{"finish_reason": reason, "message": message, **choice}]}


@pytest.mark.parametrize(
    ("said", "status", "transient"),
    [
        ({"object": "error", "message": "slow down", "code": 429}, 429, True),
        ({"code": 429, "message": "slow down"}, 429, True),
        ({"code": 400, "message": "no"}, 400, False),
        ({"status": 503}, 503, True),
        ({"statusCode": "503", "message": "away"}, 503, True),
        ({"detail": "overloaded"}, None, True),
        ({"errors": [{"code": 502}]}, 502, True),
        ({"errors": [{"code": 404}], "choices": None}, 404, False),
        ({"success": False, "errors": [{"code": 7505}]}, None, True),
        ({"error": {"code": 429.0}}, 429, True),
        ({"error": {"error": {"code": 503}}}, 503, True),
        ({"error": {"http_status": 503, "type": "invalid_state"}}, 503, True),
        ({"error": {"type": "invalid_request_error", "code": None}}, None, False),
        ({"error": {"code": "٤٢٩"}}, None, True),
        (reply(message={"content": "", "error": {"code": 502}}), 502, True),
        (reply(error={"code": 400}), 400, False),
    ],
)
def test_an_error_is_found_wherever_it_stands(said, status, transient):
    fault = fault_in(said)
    assert (fault.status, fault.transient) == (status, transient)


@pytest.mark.parametrize(
    "sound", [reply(), reply(None), {"data": [], "code": 0, "message": "ok"}, {"data": [1], "status": 500}, {}]
)
def test_an_answer_is_no_error(sound):
    assert fault_in(sound) is None


@pytest.mark.parametrize("reason", BROKEN)
def test_an_answer_that_broke_off_is_asked_for_again(reason):
    assert fault_in(reply(reason)).transient
    assert fault_in(reply("stop", native_finish_reason=reason)).transient


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("eos_token", "stop"),
        ("end_turn", "stop"),
        ("COMPLETE", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("maxOutputTokens", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("ERROR_TOXIC", "content_filter"),
        ("refusal", "content_filter"),
        ("tool_calls", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        (7, "unknown"),
    ],
)
def test_reasons_in_the_words_of_many_servers(reason, meaning):
    choice = {"finish_reason": reason}
    assert finish_reason(choice) == meaning
    assert broke_off(choice) is None


def test_what_the_server_behind_a_router_says_counts_too():
    assert finish_reason({"finish_reason": "stop", "native_finish_reason": "SAFETY"}) == "content_filter"
    assert finish_reason({"finish_reason": "stop", "native_finish_reason": "MAX_TOKENS"}) == "length"
    assert finish_reason({"finish_reason": None, "native_finish_reason": "STOP"}) == "stop"
