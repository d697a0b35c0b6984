"""The rule reward as trainers call it: prompts and completions in, one number for each out.

    from autorule.rewards import RuleReward
    reward = RuleReward("03_rule_set.json", {"backend": "openai_compatible", "base_url": ..., "model": ...})
    GRPOTrainer(..., reward_funcs=[reward])

The call is TRL's (keywords only; strings or message lists; None for unscored). Exported files adapt it to others.
"""

import asyncio
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

from autorule.backends import open_for_training
from autorule.errors import ConfigError
from autorule.preferences.messages import unshown_in
from autorule.records import CallCounts, Completion, RewardRecord, Rule, Verdict
from autorule.rewards.columns import as_lists, columns_read, rules_named, token_counts
from autorule.rewards.conversations import as_completions
from autorule.rewards.rule_reward import aspect_fractions, rule_reward
from autorule.rewards.scored import Scored, metrics, satisfied_text
from autorule.rewards.settings import RewardSettings, Row
from autorule.rewards.shaping import combine, drop_rules
from autorule.rules.rule_sets import RuleSet, load_rule_set
from autorule.verification.verifier import Verifier

if TYPE_CHECKING:
    from autorule.rewards.reward_model import RewardModel

Log = Callable[[str, float], None]


_shared_lock = threading.Lock()
_shared: dict[Path, "RuleReward"] = {}


class RuleReward:
    """A reward function over a rule set. Cheap to make and to pickle: models load, and connections open, at the first
    call in each process. A pickle holds the name of the key's variable, never the key."""

    def __init__(
        self,
        rule_set: RuleSet | str | os.PathLike[str],
        model: Any = None,
        **settings: Any,
    ) -> None:
        """`model`: a ModelConfig, or its fields as a dict; the embedded model when left out. `settings`: fields of
        RewardSettings, such as aspect="format" or on_unscored="error".

        Raises RuleSetError for a bad rule set file, ConfigError for an aspect that no rule has, pydantic's
        ValidationError for a bad setting.
        """
        self.settings = RewardSettings.model_validate({**settings, **({} if model is None else {"model": model})})
        self.rule_set = rule_set if isinstance(rule_set, RuleSet) else load_rule_set(rule_set)
        self.rules = _rules_of_aspect(self.rule_set, self.settings.aspect)
        self.__name__ = self.settings.name
        """By which trainers tell reward functions apart."""
        self._reward_model: RewardModel | None = None
        self._lock = threading.Lock()
        self.counts = CallCounts()
        """Calls of the verifier so far, and what the cache answered."""

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **changes: Any) -> "RuleReward":
        """The reward of a settings file (JSON or TOML), such as an export writes; `changes` go over it."""
        from autorule.rewards.settings_file import load_reward_settings

        settings = load_reward_settings(Path(path), changes)
        return cls(settings.rules, **{name: getattr(settings, name) for name in settings.model_fields_set - {"rules"}})

    @classmethod
    def shared(cls, path: str | os.PathLike[str]) -> "RuleReward":
        """The reward of a settings file, one for all threads of the process."""
        with _shared_lock:
            key = Path(path).resolve()
            if key not in _shared:
                _shared[key] = cls.from_file(key)
            return _shared[key]

    def with_rule_set(self, rule_set: RuleSet) -> "RuleReward":
        """The same reward over other rules; a reward model that is loaded is shared. Raises ConfigError for an aspect
        that no rule has."""
        given = {name: getattr(self.settings, name) for name in self.settings.model_fields_set}
        other = RuleReward(rule_set, **given)
        other._reward_model = self._shared_reward_model()
        return other

    def per_aspect(self) -> list["RuleReward"]:
        """A reward function for each aspect, for trainers that weigh several. Rules without an aspect are in none.

        Raises ConfigError when no rule has an aspect.
        """
        aspects = list(dict.fromkeys(rule.aspect for rule in self.rules if rule.aspect))
        if not aspects:
            raise ConfigError("no rule of the set has an aspect; name them in the rule set file")
        given = {name: getattr(self.settings, name) for name in self.settings.model_fields_set}
        return [
            RuleReward(self.rule_set, **{**given, "aspect": aspect, "name": f"{self.__name__}_{_as_name(aspect)}"})
            for aspect in aspects
        ]

    def score(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        columns: Mapping[str, Sequence[Any]] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        step: int = 0,
    ) -> list[Scored]:
        """Scores of completions, all in one batch, so that conversations share what they can.

        `prompts` and `completions` are strings or message lists, `columns` further values for each of them. One that
        can't be read is unscored. Raises ConfigError for columns that do not fit and where none can be read,
        BackendError when the verifier can't be reached at all.
        """
        own = as_completions(prompts, completions)
        columns = as_lists(columns or {}, len(own), columns_read(self.settings))
        lengths = token_counts(own, completion_ids)
        rules = [self._rules_for(columns, row, step) for row in range(len(own))]
        verdicts = self._verdicts(own, rules)
        model_scores = self._model_scores(own, columns)
        scored = []
        for row, completion in enumerate(own):
            found = tuple(verdicts[completion.completion_id][rule.rule_id] for rule in rules[row])
            record = rule_reward(completion, found, self.rule_set, rules[row])
            own_values = {name: values[row] for name, values in columns.items() if values[row] is not None}
            context = Row(lengths[row], own_values)
            score, reason = self._total(record, model_scores[row], context)
            aspects = aspect_fractions(found, self.rule_set, rules[row])
            model_score = model_scores[row]
            known = model_score if isinstance(model_score, float) else None
            is_odd = unshown_in((*completion.prompt, *completion.completion)) is not None
            stays = is_odd or (score is None and record.reward is not None and not isinstance(model_score, str))
            scored.append(Scored(score, reason, record, found, aspects, known, stays))
        return scored

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: Log | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """TRL's contract. Raises UnscoredError where `on_unscored` is `error` and a completion has no score."""
        step = int(getattr(columns.pop("trainer_state", None), "global_step", 0) or 0)
        scored = self.score(prompts, completions, columns, completion_ids, step)
        if log_metric is not None:
            for name, value in self.metrics(scored).items():
                log_metric(f"{self.__name__}/{name}", value)
        if log_extra is not None:
            log_extra(f"{self.__name__}/satisfied", [satisfied_text(one.rules) for one in scored])
        return [self.reward_or_policy(one) for one in scored]

    async def score_async(self, *args: Any, **kwargs: Any) -> list[Scored]:
        """`score` without blocking the event loop."""
        return await asyncio.to_thread(self.score, *args, **kwargs)

    def as_async(self) -> Callable[..., Any]:
        """The same as an `async def`, which trainers can await beside others. It can be pickled, too."""

        async def call(self: RuleReward, *args: Any, **kwargs: Any) -> list[float | None]:
            return await asyncio.to_thread(self, *args, **kwargs)

        call.__name__ = f"{self.__name__}_async"
        return MethodType(call, self)

    def reward_or_policy(self, scored: Scored) -> float | None:
        """The reward, or what `on_unscored` says where there is none. Raises UnscoredError."""
        if scored.reward is not None or self.settings.on_unscored == "none":
            return scored.reward
        if self.settings.on_unscored == "error":
            raise scored.error()
        return float(self.settings.on_unscored)

    def number(self, scored: Scored) -> float:
        """The reward for those who know numbers only. Raises UnscoredError where there is none."""
        value = self.reward_or_policy(scored)
        if value is None:
            raise scored.error()
        return value

    def metrics(self, scored: Sequence[Scored]) -> dict[str, float]:
        """Name -> mean over the completions; the same names in every call, NaN where nothing was scored."""
        return metrics(scored, self.rules)

    def _rules_for(self, columns: Mapping[str, Sequence[Any]], row: int, step: int) -> tuple[Rule, ...]:
        rules = self.rules
        named = columns[self.settings.rules_column][row] if self.settings.rules_column in columns else None
        if named is not None:
            ids = rules_named(self.settings.rules_column, named, self.rule_set)
            rules = tuple(rule for rule in rules if rule.rule_id in ids)
        if self.settings.rule_dropout and len(rules) > 1:
            rules = drop_rules(rules, self.settings.rule_dropout, self.settings.dropout_seed, step)
        return rules

    def _verdicts(
        self, completions: Sequence[Completion], rules: Sequence[tuple[Rule, ...]]
    ) -> dict[str, dict[str, Verdict]]:
        """Completion id -> rule id -> verdict. Each distinct completion is judged once, by all rules asked of it."""
        asked: dict[str, dict[str, Rule]] = {}
        for completion, own in zip(completions, rules, strict=True):
            asked.setdefault(completion.completion_id, {}).update({rule.rule_id: rule for rule in own})
        as_tuples = {key: tuple(own.values()) for key, own in asked.items()}
        backend = open_for_training(self.settings.model, self.settings.cache)
        verifier = Verifier(backend, self.rule_set, as_tuples.__getitem__)
        found = {key: {verdict.rule_id: verdict for verdict in own} for key, own in verifier.verdicts(completions)}
        with self._lock:
            self.counts += backend.counts
        return found

    def _model_scores(
        self, completions: Sequence[Completion], columns: Mapping[str, Sequence[Any]]
    ) -> Sequence[float | str | None]:
        """The normalised score of each, or why it has none; None where there is no reward model."""
        config, model = self.settings.reward_model, self._shared_reward_model()
        if config is None or model is None:
            return [None] * len(completions)
        from autorule.rewards.reward_model import reward_of_model

        return reward_of_model(model, config, completions, columns)

    def _shared_reward_model(self) -> "RewardModel | None":
        """The reward model, which loads at its first call; None where there is none."""
        if self.settings.reward_model is None:
            return None
        from autorule.rewards.reward_model import RewardModel

        with self._lock:
            if self._reward_model is None:
                self._reward_model = RewardModel(self.settings.reward_model)
            return self._reward_model

    def _total(
        self, record: RewardRecord, model_score: float | str | None, row: Row
    ) -> tuple[float | None, str | None]:
        if record.reward is None:
            return None, record.unscored_reason
        if isinstance(model_score, str):
            return None, model_score
        weight = self.settings.rule_weight
        total = weight * record.reward
        if model_score is not None and self.settings.reward_model is not None:
            total = combine(record.reward, model_score, weight, self.settings.reward_model.weight)
        for step in self.settings.shaping:
            total = step.apply(total, row)
        return (total, None) if math.isfinite(total) else (None, f"the reward is {total}")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_reward_model", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _reward_model=None, _lock=threading.Lock())

    def __getattr__(self, name: str) -> Any:
        # A pickled `as_async()` is known again as the attribute of its name.
        if name == f"{self.__dict__.get('__name__')}_async":
            return self.as_async()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _rules_of_aspect(rule_set: RuleSet, aspect: str | None) -> tuple[Rule, ...]:
    rules = tuple(rule for rule in rule_set.rules if aspect is None or rule.aspect == aspect)
    if not rules:
        known = ", ".join(sorted({rule.aspect for rule in rule_set.rules if rule.aspect})) or "none"
        raise ConfigError(f"no rule has the aspect {aspect!r}; the rule set has {known}")
    return rules


def _as_name(aspect: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in aspect)
