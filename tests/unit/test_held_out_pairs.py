"""Which held-out pairs count as seen by the rules."""

from autorule.evaluation.config import EvaluateConfig
from autorule.records import Message
from autorule.rule_sets import prompt_hash
from autorule.tasks.evaluation import HeldOutPairs
from tests.conftest import make_pair, make_rule_set


def test_a_system_turn_before_a_prompt_makes_no_unseen_prompt_of_it():
    seen, other = make_pair("Name a fruit."), make_pair("Name a tree.")
    rules = make_rule_set("a").model_copy(update={"tuned_prompts": (prompt_hash(seen.prompt),)})
    pairs = HeldOutPairs(EvaluateConfig(pairs="pairs.jsonl", rules="rules.json"), rules)
    turn = Message(role="system", content="You are helpful.")
    for pair, leaked in ((seen, True), (other, False)):
        assert pairs.is_leaked(pair) is leaked
        assert pairs.is_leaked(pair.model_copy(update={"prompt": (turn, *pair.prompt)})) is leaked
