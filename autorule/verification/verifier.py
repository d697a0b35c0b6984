"""The verifier: every rule of a set on completions, by the rule set's own mode, through any back end."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from autorule.backends.asking import ask
from autorule.backends.base import Backend, GenerateRequest, Question
from autorule.preferences.messages import unshown_in
from autorule.records import Completion, Failure, ModelOutput, Rule, Verdict, VerdictLabel
from autorule.rules.rule_sets import RuleSet
from autorule.verification.conversation import render_conversation
from autorule.verification.direct import (
    build_request,
    check_by_code,
    failed_verdict,
    questions_of,
    read_verdict,
    turned,
)
from autorule.verification.reasoned import build_joint_request, build_reasoned_request, read_joint, read_reasoned


class Verifier:
    def __init__(
        self, backend: Backend, rule_set: RuleSet, rules_of: Callable[[str], Sequence[Rule]] | None = None
    ) -> None:
        """`rules_of`: completion id -> those rules of the set that it is asked about; all of them when left out."""
        self._backend = backend
        self._spec = rule_set.verification
        self._rules_of = rules_of or (lambda _: rule_set.rules)
        self._rule = {rule.rule_id: rule for rule in rule_set.rules}
        questions = questions_of(rule_set) if self._spec.mode != "joint" else ()
        self._question = {question.question_id: question for question in questions}

    def verdicts(self, completions: Iterable[Completion]) -> Iterator[tuple[str, list[Verdict]]]:
        """(completion id, its verdicts in the order of the rules) for each distinct completion, as they are finished.

        What the verifier could not tell is an unscored verdict with its Failure; nothing is left out.
        """
        distinct = {completion.completion_id: completion for completion in completions}
        answers = {"direct": self._direct, "reasoned": self._reasoned, "joint": self._joint}[self._spec.mode]
        unfinished: dict[str, dict[str, Verdict]] = {}
        to_ask: dict[str, Completion] = {}
        for completion_id, completion in distinct.items():
            rules = self._rules_of(completion_id)
            if (unshown := unshown_in((*completion.prompt, *completion.completion))) is not None:
                yield completion_id, [self._not_judged(completion, rule, unshown) for rule in rules]
                continue
            decided = {
                rule.rule_id: turned(check_by_code(completion, rule, self._spec), rule)
                for rule in rules
                if rule.check is not None
            }
            if len(decided) == len(rules):
                yield completion_id, list(decided.values())
            else:
                unfinished[completion_id] = decided
                to_ask[completion_id] = completion
        for verdict in answers(to_ask):
            own = unfinished[verdict.completion_id]
            own[verdict.rule_id] = turned(verdict, self._rule[verdict.rule_id])
            rules = self._rules_of(verdict.completion_id)
            if len(own) == len(rules):
                del unfinished[verdict.completion_id]
                yield verdict.completion_id, [own[rule.rule_id] for rule in rules]

    @staticmethod
    def _not_judged(completion: Completion, rule: Rule, unshown: str) -> Verdict:
        message = f"the conversation holds {unshown}, which the verifier can't be shown"
        failure = Failure(stage="verification", kind="parse", message=message, item_id=completion.completion_id)
        return failed_verdict(completion.completion_id, rule, failure)

    def _asked_of(self, completion_id: str) -> tuple[Rule, ...]:
        """The rules that the model is asked about."""
        return tuple(rule for rule in self._rules_of(completion_id) if rule.check is None)

    def _questions_about(self, completion: Completion) -> tuple[Question, ...]:
        return tuple(self._question[rule.rule_id] for rule in self._asked_of(completion.completion_id))

    def _direct(self, completions: dict[str, Completion]) -> Iterator[Verdict]:
        requests = [build_request(c, self._spec, self._questions_about(c)) for c in completions.values()]
        trimmed = {completion_id: self._is_trimmed(completion) for completion_id, completion in completions.items()}
        for request, question, result in self._backend.score_choices(requests):
            own_id = request.request_id
            yield read_verdict(own_id, self._rule[question.question_id], result, self._spec, trimmed[own_id])

    def _reasoned(self, completions: dict[str, Completion]) -> Iterator[Verdict]:
        requests = [
            build_reasoned_request(completion, self._spec, question)
            for completion in completions.values()
            for question in self._questions_about(completion)
        ]

        def parse(_: GenerateRequest, output: ModelOutput) -> VerdictLabel:
            return read_reasoned(output, self._spec.choices)

        for request, result in ask(self._backend, requests, parse, self._spec.asks):
            completion_id, _, rule_id = request.request_id.partition(":")
            yield self._written(completions[completion_id], self._rule[rule_id], result)

    def _joint(self, completions: dict[str, Completion]) -> Iterator[Verdict]:
        requests = [
            build_joint_request(completion, self._spec, self._asked_of(completion.completion_id))
            for completion in completions.values()
        ]

        def parse(request: GenerateRequest, output: ModelOutput) -> dict[int, VerdictLabel]:
            return read_joint(output, len(self._asked_of(request.request_id)), self._spec.choices)

        for request, result in ask(self._backend, requests, parse, self._spec.asks):
            completion = completions[request.request_id]
            for index, rule in enumerate(self._asked_of(request.request_id)):
                one = result if isinstance(result, Failure) else result.get(index)
                if one is None:
                    message = f"the answer holds no verdict on rule {index + 1}"
                    one = Failure(stage="verification", kind="parse", message=message, item_id=request.request_id)
                yield self._written(completion, rule, one)

    def _written(self, completion: Completion, rule: Rule, result: VerdictLabel | Failure) -> Verdict:
        trimmed = self._is_trimmed(completion)
        if isinstance(result, Failure):
            return failed_verdict(completion.completion_id, rule, result, trimmed)
        return Verdict(completion_id=completion.completion_id, rule_id=rule.rule_id, verdict=result, trimmed=trimmed)

    def _is_trimmed(self, completion: Completion) -> bool:
        return render_conversation(completion, self._spec.max_conversation_chars, self._spec.completion_view).trimmed
