"""What is given up when a server refuses a schema: its bounds first, and only then the schema."""

import logging

import pytest

from autorule.backends.refused_fields import Attempt, RefusedFields
from autorule.backends.retrying import FailedExchangeError

ITEMS = {"type": "integer", "minimum": 1, "maximum": 9}
SCHEMA = {
    "type": "object",
    "properties": {
        "maxItems": {"type": "array", "items": ITEMS, "minItems": 1, "maxItems": 3},
        "text": {"type": "string", "maxLength": 9},
    },
    "required": ["maxItems", "text"],
}
PLAIN = {
    "type": "object",
    "properties": {
        "maxItems": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        "text": {"type": "string"},
    },
    "required": ["maxItems", "text"],
}


def body(schema=SCHEMA):
    return {"max_tokens": 9, "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}


def refusal(words="Invalid schema for response_format: 'maxLength' is not permitted", status=400):
    return FailedExchangeError("provider", words, transient=False, status=status)


def learn(fields, request, error):
    """Whether the request goes on after the error; its next try is answered."""
    attempt = Attempt(fields)
    goes_on = attempt.learn(request, attempt.adapted(request), error)
    if goes_on:
        fields.keep(attempt, attempt.adapted(request))
    return goes_on


def test_bounds_go_first_then_the_schema_and_each_is_said_once(caplog):
    fields = RefusedFields()
    with caplog.at_level(logging.WARNING):
        assert learn(fields, body(), refusal())
        assert fields.adapted(body()) == body(PLAIN)
        assert learn(fields, body(), refusal())
        assert "response_format" not in fields.adapted(body())
        assert not learn(fields, body(), refusal())
    assert len(caplog.records) == 2


@pytest.mark.parametrize("n_in_flight", [2, 5])
def test_requests_that_were_refused_together_teach_one_thing(n_in_flight):
    fields = RefusedFields()
    attempts = [(Attempt(fields), fields.adapted(body())) for _ in range(n_in_flight)]
    for attempt, sent in attempts:
        assert attempt.learn(body(), sent, refusal())
        fields.keep(attempt, attempt.adapted(body()))
    assert fields.adapted(body()) == body(PLAIN)
    assert learn(fields, body(), refusal("max_tokens is unknown"))
    assert fields.adapted(body()).keys() == {"max_completion_tokens", "response_format"}


def test_a_schema_without_bounds_goes_at_once():
    fields = RefusedFields()
    assert learn(fields, body(PLAIN), refusal())
    assert "response_format" not in fields.adapted(body(PLAIN))
