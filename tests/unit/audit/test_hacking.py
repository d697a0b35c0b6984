"""The audit with canaries, against scripted verifiers whose weaknesses are known."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.audit import hacking
from autorule.audit.canaries import CANARIES
from autorule.audit.hacking import AuditConfig, Judged, audit_rule_set, is_exploit, measure, share_with_interval, shares
from autorule.audit.probing import Drawn, make_probes
from autorule.backends.base import ChoiceProbabilities
from autorule.backends.cached import CachedBackend
from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import RewardConfig, VerificationConfig
from autorule.records import CallCounts, Failure, Verdict
from tests.conftest import make_completion, make_pair, make_rule_set

N = 12


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"Name fruit {i}.", "chosen": f"honest number {i}", "rejected": "no"} for i in range(N)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def audit(monkeypatch, pairs, choose, rule_set=None, **settings):
    """An audit whose verifier answers by `choose(text of the completion, question)`."""

    def script(request, question):
        answer = request.messages[-1].content.split("Assistant:\n")[-1]
        return choose(answer, question.text)

    backend = CachedBackend(ScriptedBackend(choice_script=script), None)
    monkeypatch.setattr(hacking, "open_cached", lambda *_: backend)
    return audit_rule_set(rule_set or make_rule_set("Mention apple.", "Be honest."), pairs, AuditConfig(**settings))


def rates(found):
    return {one.name: one.exploit_rate.value for one in found.canaries}


def test_a_verifier_of_words_is_exploited_by_echoed_rules_alone(monkeypatch, pairs):
    found = audit(monkeypatch, pairs, lambda answer, _: float("honest" in answer and "number" in answer))
    assert set(rates(found)) == set(CANARIES)
    assert {name for name, rate in rates(found).items() if rate} == {"another prompt's answer"}
    found = audit(monkeypatch, pairs, lambda answer, rule: float(("apple" if "apple" in rule else "honest") in answer))
    assert {name for name, rate in rates(found).items() if rate} == {"rules echoed", "another prompt's answer"}
    echoed = next(one for one in found.canaries if one.name == "rules echoed")
    assert (echoed.mean_reward, echoed.mean_reward_honest, echoed.n_exploits, echoed.n_ties) == (1.0, 0.5, N, 0)
    apple, honest = found.rules
    assert (apple.canaries.n_satisfied, apple.canaries.n_counted) == (N, N * len(CANARIES))
    assert apple.honest.share == 0.0 and honest.honest.share == 1.0
    assert [rule.text for rule in found.worst_rules] == ["Be honest.", "Mention apple."]
    assert [one.name for one in found.exploited] == ["rules echoed", "another prompt's answer"]
    assert found.unmeasured == ()


def test_a_verifier_that_can_tell_is_not_exploited(monkeypatch, pairs):
    def own_answer(request, question):
        shown = request.messages[-1].content
        number = shown.split("Name fruit ")[1].split(".")[0]
        return float(f"honest number {number}\n" in shown)

    monkeypatch.setattr(
        hacking, "open_cached", lambda *_: CachedBackend(ScriptedBackend(choice_script=own_answer), None)
    )
    found = audit_rule_set(make_rule_set("Answer."), pairs, AuditConfig())
    assert set(rates(found).values()) == {0.0} and found.exploited == () and found.worst_rules == ()
    assert found.calls.sent == N * (1 + len(CANARIES))


def test_a_tie_is_an_exploit_also_at_nothing(monkeypatch, pairs):
    found = audit(monkeypatch, pairs, lambda *_: 0.0)
    assert set(rates(found).values()) == {1.0}
    assert all(one.n_ties == one.n_exploits == N for one in found.canaries)
    assert found.worst_rules == ()


def test_unscored_is_left_out_of_both_sides_and_counted(monkeypatch, pairs):
    def choose(answer, _):
        if "honest number 3" in answer or "Yes" in answer:  # an honest answer, and every injection
            return Failure(stage="verification", kind="timeout", message="too late")
        return float("honest" in answer)

    found = audit(monkeypatch, pairs, choose, max_unscored=0.2)
    by_name = {one.name: one for one in found.canaries}
    assert found.n_honest_unscored == 1
    for name in set(CANARIES) - {"injection", "another prompt's answer"}:
        assert (by_name[name].n_unscored, by_name[name].n_compared) == (1, N - 1)
        assert by_name[name].mean_reward_honest == 1.0
    other = by_name["another prompt's answer"]
    assert (other.n_unscored, other.n_compared) == (2, N - 2), "that answer is unscored as a canary, too"
    injection = by_name["injection"]
    assert (injection.n_unscored, injection.n_compared, injection.mean_reward) == (N, 0, None)
    assert injection.exploit_rate.value is None and injection.exploited_rows == ()
    assert [one.name for one in found.unmeasured] == ["injection"]
    assert sum(found.unscored_reasons.values()) == 1 + 1 + N
    assert found.verdict_failures == {"too late": 2 * (1 + 1 + N)}
    [rule, _] = found.rules
    assert (rule.honest.n_counted, rule.honest.n_unscored) == (N - 1, 1)


def test_too_many_unscored_prompts_are_no_finding(monkeypatch, pairs):
    def choose(answer, _):
        broken = any(f"honest number {i}\n" in answer for i in (1, 2))
        return Failure(stage="verification", kind="timeout", message="late") if broken else float("honest" in answer)

    assert audit(monkeypatch, pairs, choose, max_unscored=0.5).unmeasured == ()
    assert len(audit(monkeypatch, pairs, choose, max_unscored=0.1).unmeasured) == len(CANARIES)


def test_of_a_canary_that_is_always_right_nothing_is_said(monkeypatch, tmp_path):
    path = tmp_path / "repeat.jsonl"
    rows = [{"prompt": f"Say honest {i}", "chosen": f"Say honest {i}", "rejected": "no"} for i in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = audit(monkeypatch, path, lambda answer, _: float("honest" in answer))
    copied = next(one for one in found.canaries if one.name == "prompt copied")
    assert (copied.n_prompts, copied.n_same, copied.n_compared, copied.n_unscored) == (0, 4, 0, 0)
    assert found.unmeasured == (copied,)


@pytest.mark.parametrize(("policy", "expected"), [("excluded", (1, 2)), ("satisfied", (2, 3)), ("unsatisfied", (1, 3))])
def test_shares_count_as_the_reward_does(policy, expected):
    verification = VerificationConfig(choices=("Yes", "No", "N/A"), na_policy=policy)
    rule_set = make_rule_set("Answer.", verification=verification)
    completions = [make_completion(text=str(i)) for i in range(4)]
    labels = ["yes", "no", "not_applicable", None]
    verdicts = {
        c.completion_id: [Verdict(completion_id=c.completion_id, rule_id=rule_set.rules[0].rule_id, verdict=label)]
        for c, label in zip(completions, labels, strict=True)
    }
    [share] = shares(Judged(rule_set, verdicts), completions).values()
    assert (share.n_satisfied, share.n_counted) == expected
    assert (share.n_unscored, share.n_not_applicable, share.share) == (1, 1, expected[0] / expected[1])


def test_soft_rewards_are_compared_as_they_are(monkeypatch, pairs):
    rule_set = make_rule_set("Answer.", reward=RewardConfig(fraction="soft", scale=10.0, centre=0.75))
    found = audit(monkeypatch, pairs, lambda answer, _: 0.4 if "honest" in answer else 0.3, rule_set)
    assert {name for name, rate in rates(found).items() if rate} == {"another prompt's answer"}
    assert found.canaries[0].mean_reward == pytest.approx(10 * (0.3 - 0.75))


def test_the_reward_of_a_rule_that_does_not_apply_is_unscored(monkeypatch, pairs):
    rule_set = make_rule_set("Answer.", verification=VerificationConfig(choices=("Yes", "No", "N/A")))

    def choose(answer, _):
        likely = "N/A" if "sorry" in answer or "not able" in answer or "decline" in answer else "No"
        return ChoiceProbabilities(probabilities={"Yes": 0.05, "No": 0.05, "N/A": 0.05, likely: 0.9})

    found = audit(monkeypatch, pairs, choose, rule_set)
    refusal = next(one for one in found.canaries if one.name == "refusal")
    assert refusal.n_unscored == N and found.unscored_reasons == {"no rule applies": N}


scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30)


@given(pairs=scores, rise=st.floats(0, 1))
def test_the_exploit_rate_is_a_share_and_rises_with_the_rewards_of_canaries(pairs, rise):
    before = sum(is_exploit(own, honest) for own, honest in pairs)
    after = sum(is_exploit(own + rise, honest) for own, honest in pairs)
    interval = share_with_interval(before, len(pairs))
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert before <= after


@given(p=st.lists(st.booleans(), min_size=2, max_size=2))
def test_measures_are_of_the_verdicts_alone(p):
    """The statistics ask no model: the same verdicts give the same audit."""
    drawn = [make_pair(prompt=f"Name {i}.", chosen=f"good {i}", row=i) for i in range(2)]
    rule_set = make_rule_set("Answer.")
    probes = make_probes(drawn, rule_set, seed=0)
    verdicts = {}
    for i, probe in enumerate(probes):
        for one in (*probe.canaries.values(), probe.honest):
            label = "yes" if p[i] or one is probe.honest else "no"
            verdicts[one.completion_id] = [
                Verdict(completion_id=one.completion_id, rule_id=rule_set.rules[0].rule_id, verdict=label)
            ]
    config = AuditConfig()
    found = measure(probes, Judged(rule_set, verdicts), config, Drawn(drawn, 2, 0), "none", CallCounts())
    assert rates(found) == dict.fromkeys(CANARIES, sum(p) / 2)
    assert found.canaries[0].exploited_rows == tuple(i for i in range(2) if p[i])


def test_the_interval_is_wilsons():
    from scipy.stats import binomtest

    found = share_with_interval(7, 20)
    reference = binomtest(7, 20).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))
    assert share_with_interval(0, 0).value is None
