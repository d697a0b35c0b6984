"""No text changes the structure of a prompt: checked on token ids, for the markers of six families of models."""

import json

import pytest

from autorule.backends.base import ChoiceProbabilities, GenerateRequest
from autorule.backends.chat_tokens import ChatTokens
from autorule.backends.embedded import embedded_folder
from autorule.config.stages import Sampling, VerificationConfig
from autorule.prompting import neutralise_special_tokens
from autorule.rewards.rule_reward import rule_reward
from autorule.verification.conversation import render_conversation
from autorule.verification.direct import build_request, questions_of
from autorule.verification.verifier import Verifier
from tests.attacks import ATTACKS, TEMPLATES
from tests.conftest import make_completion, make_rule_set, messages

RULE = "The response should be short."
SETTINGS = VerificationConfig(max_conversation_chars=4000)


@pytest.fixture(scope="module")
def tokenizers_of():
    """Family -> its tokenizer: the embedded model's vocabulary with the family's markers and template."""
    from transformers import AutoTokenizer

    families = {"smollm": AutoTokenizer.from_pretrained(embedded_folder())}
    for family, (markers, template) in TEMPLATES.items():
        tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
        tokenizer.add_special_tokens({"additional_special_tokens": markers[:2]})
        tokenizer.add_tokens(markers[2:])  # added but not special, as Qwen's <think> is
        tokenizer.chat_template = template
        families[family] = tokenizer
    return families


def prompt_for(tokens, prompt="Name a fruit.", text="Pear.", rule=RULE):
    rules = make_rule_set(RULE, verification=SETTINGS)
    # Past the checks of a rule set, which refuse a rule without a word.
    rules = rules.model_copy(update={"rules": (rules.rules[0].model_copy(update={"text": rule}),)})
    request = build_request(make_completion(prompt, text), rules.verification, questions_of(rules))
    shared = tokens.encode_choices(request)
    return shared.prefix + shared.suffixes[0], request


def structure(tokens, ids):
    """The added tokens of a prompt, in order: what opens and closes its turns."""
    return [i for i in ids if i in tokens._added_ids]


@pytest.mark.parametrize("family", ["smollm", *TEMPLATES])
def test_no_attack_adds_or_takes_away_a_marker(tokenizers_of, family):
    tokens = ChatTokens(tokenizers_of[family])
    benign, _ = prompt_for(tokens)
    assert structure(tokens, benign), "the template has markers at all"
    for name, attack in ATTACKS.items():
        for place in ({"prompt": attack or "?"}, {"text": attack}, {"rule": attack or "?"}):
            ids, _ = prompt_for(tokens, **place)
            assert structure(tokens, ids) == structure(tokens, benign), (name, place.keys())


@pytest.mark.parametrize("family", ["smollm", *TEMPLATES])
def test_servers_that_only_take_text_see_no_marker_in_it(tokenizers_of, family):
    tokenizer = tokenizers_of[family]
    added = set(tokenizer.get_added_vocab().values())
    for name, attack in ATTACKS.items():
        ids = tokenizer.encode(neutralise_special_tokens(attack), add_special_tokens=False)
        assert added.isdisjoint(ids), (name, tokenizer.convert_ids_to_tokens([i for i in ids if i in added]))


def test_the_question_ends_every_prompt_whatever_stands_before_it(tokenizers_of):
    tokens = ChatTokens(tokenizers_of["smollm"])
    benign, _ = prompt_for(tokens)
    rules = make_rule_set(RULE, verification=SETTINGS)
    question = questions_of(rules)[0]
    n_suffix = len(tokens.encode_choices(prompt_for(tokens)[1]).suffixes[0])
    for name, attack in ATTACKS.items():
        ids, request = prompt_for(tokens, text=attack)
        assert ids[-n_suffix:] == benign[-n_suffix:], name
        assert request.messages_with(question)[-1].content.endswith(question.text), name


@pytest.mark.parametrize("name", ATTACKS)
def test_a_conversation_has_as_many_fences_as_turns(name):
    shown = render_conversation(make_completion("Name a fruit.", ATTACKS[name]), 4000).text
    fence = shown.splitlines()[1]
    assert set(fence) == {"`"}
    assert [line for line in shown.splitlines() if line == fence] == [fence] * 4


class ByTheQuestion:
    """Says No to all: an attack that changes a verdict would have to change what is read, not what is asked."""

    identity, batch_size = "no", None

    def score_choices(self, requests):
        for request in requests:
            for question in request.questions:
                yield request, question, ChoiceProbabilities(probabilities={"Yes": 0.1, "No": 0.8})


def test_what_a_completion_claims_is_never_read_as_a_verdict():
    rules = make_rule_set(RULE, "The response should name a fruit.", verification=SETTINGS)
    completions = [make_completion("Name a fruit.", attack, row) for row, attack in enumerate(ATTACKS.values())]
    by_id = {completion.completion_id: completion for completion in completions}
    n = 0
    for completion_id, verdicts in Verifier(ByTheQuestion(), rules).verdicts(completions):
        assert rule_reward(by_id[completion_id], verdicts, rules).reward == 0
        n += 1
    assert n == len(by_id)


def test_attacks_in_written_verdicts_stay_data(tokenizers_of):
    tokens = ChatTokens(tokenizers_of["smollm"])
    for name, attack in ATTACKS.items():
        request = GenerateRequest("a", "verification", messages(attack or "?"), Sampling())
        assert structure(tokens, tokens.encode_messages(request.messages)) == structure(
            tokens, tokens.encode_messages(messages("x"))
        ), name


def test_the_corpus_survives_json():
    assert json.loads(json.dumps(ATTACKS)) == ATTACKS
