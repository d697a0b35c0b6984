"""Messages as token ids, with the text of messages as data.

Only the chat template's own scaffolding is tokenised with its special tokens. The contents of messages go through a
copy of the tokenizer that knows no added token at all (special or not), so that no text of a prompt, a completion or
a rule can open or close a turn. A shared prefix and its suffixes are tokenised apart and joined as ids, so that the
prefix is the same for every suffix by construction.
"""

import json
import secrets
from functools import lru_cache
from typing import Any, NamedTuple

from autorule.backends.base import ChoiceRequest, choice_of
from autorule.errors import BackendError, MissingExtraError, first_line, in_words
from autorule.prompting import QUESTION_SEPARATOR, neutralise_special_tokens
from autorule.records import Failure, Messages


class SharedPrompt(NamedTuple):
    prefix: list[int]
    suffixes: list[list[int]]
    """One for each question, in order: prefix + suffix is the whole prompt."""


class FittedPrompt(NamedTuple):
    prompt: SharedPrompt
    trimmed: bool
    """The middle of the conversation was left out, because the model's context could not hold it."""


class ChatTokens:
    """`tokenizer` is a fast tokenizer of transformers with a chat template. Raises BackendError without one."""

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        if not tokenizer.chat_template:
            raise BackendError(f"{tokenizer.name_or_path} has no chat template: use an instruction-tuned model")
        if not tokenizer.is_fast:
            raise BackendError(f"{tokenizer.name_or_path} has no fast tokenizer (tokenizer.json)")
        self._tokenizer = tokenizer
        state = json.loads(tokenizer.backend_tokenizer.to_str())
        self._added_ids = {token["id"] for token in state["added_tokens"]}
        self._data_tokenizer = Tokenizer.from_str(json.dumps({**state, "added_tokens": []}))
        self._encode_question = lru_cache(maxsize=4096)(self.encode_data)  # the same rules for every completion
        self.choice_ids = lru_cache(maxsize=16)(self._choice_ids)
        blank = self.encode_data("\n")
        self._blank = blank[0] if len(blank) == 1 else None

    def encode_data(self, text: str) -> list[int]:
        """The ids of a text, none of them an added token."""
        ids: list[int] = self._data_tokenizer.encode(text, add_special_tokens=False).ids
        if self._added_ids.isdisjoint(ids):
            return ids
        # A marker that is also an ordinary entry of the vocabulary: break it up.
        ids = self._data_tokenizer.encode(neutralise_special_tokens(text), add_special_tokens=False).ids
        return [i for i in ids if i not in self._added_ids]

    def encode_messages(self, messages: Messages, finished: bool = False) -> list[int]:
        """The whole prompt, up to where the model's answer begins or goes on; a `finished` conversation ends with its
        last turn, closed as the template does."""
        return self._encode_pieces(self._pieces(messages, finished))

    def encode_choices(self, request: ChoiceRequest) -> SharedPrompt:
        """The shared prefix of a choice request, filled up with blank lines as `request.align` says, and what follows
        it for each question."""
        pieces = self._pieces(request.messages)
        asked = 2 if request.messages[-1].role == "assistant" else 1
        data_positions = [position for position, (_, is_data) in enumerate(pieces) if is_data]
        shown = data_positions[-asked]
        before, prefix = self._encode_pieces(pieces[:shown]), self._encode_pieces(pieces[shown : shown + 1])
        tail = self._encode_pieces(pieces[shown + 1 :])
        # Blank lines where the message begins change P(yes) least: as little as going from float32 to bfloat16 does,
        # on a 135M model, where right before the question they change it four times as much.
        n_blank = -(len(before) + len(prefix)) % request.align if self._blank is not None else 0
        prefix = [*before, *[self._blank or 0] * n_blank, *prefix]
        suffixes = [self._encode_question(QUESTION_SEPARATOR + question.text) + tail for question in request.questions]
        return SharedPrompt(prefix, suffixes)

    def encode_fitting(self, request: ChoiceRequest, context: int) -> FittedPrompt | Failure:
        """The prompt of a choice request for a model that takes `context` tokens: if need be with less of the
        conversation. A Failure when not even the rest fits."""
        prompt = self.encode_choices(request)
        first = longest = len(prompt.prefix) + max(map(len, prompt.suffixes)) + 1
        max_chars = int(0.95 * request.n_chars * context / longest)
        trimmed = False
        while longest > context:
            shorter = request.shortened(max_chars)
            if shorter is None:
                message = (
                    f"the prompt has {first} tokens, but the model takes {context}, and the conversation can't be cut "
                    "further; use a model with a larger context"
                )
                return Failure(stage=request.stage, kind="provider", message=message, item_id=request.request_id)
            prompt, trimmed = self.encode_choices(shorter), True
            longest = len(prompt.prefix) + max(map(len, prompt.suffixes)) + 1
            max_chars = int(0.8 * max_chars)
        return FittedPrompt(prompt, trimmed)

    def plain_spelling(self, choice: str) -> int:
        """The token with which an answer begins that is this choice. Raises BackendError when no single token is."""
        spelled = self.encode_data(choice)
        return spelled[0] if len(spelled) == 1 else self.choice_ids((choice,))[choice][0]

    def _choice_ids(self, choices: tuple[str, ...]) -> dict[str, list[int]]:
        """Every single token that spells a choice. Raises BackendError for a choice that no token spells."""
        ids: dict[str, list[int]] = {choice: [] for choice in choices}
        texts = self._tokenizer.batch_decode([[i] for i in range(len(self._tokenizer))])
        for token_id, text in enumerate(texts):
            choice = choice_of(text, choices)
            if choice is not None and token_id not in self._added_ids:
                ids[choice].append(token_id)
        if missing := [choice for choice, found in ids.items() if not found]:
            raise BackendError(f"the tokenizer has no single token for {missing[0]!r}: choose other choices")
        return ids

    def _pieces(self, messages: Messages, finished: bool = False) -> list[tuple[str, bool]]:
        """The prompt as (text, is data) in order: template scaffolding and message contents."""
        begun = messages[-1] if messages[-1].role == "assistant" and not finished else None
        turns = messages[:-1] if begun else messages
        nonce = secrets.token_hex(8)
        slots = [f"slot-{nonce}-{index}-end" for index in range(len(turns))]
        template_messages = [{"role": m.role, "content": slot} for m, slot in zip(turns, slots, strict=True)]
        try:
            text = self._tokenizer.apply_chat_template(
                template_messages, tokenize=False, add_generation_prompt=not finished
            )
        except Exception as error:
            raise BackendError(
                f"the chat template of {self._tokenizer.name_or_path} refuses the prompt: {in_words(error)}"
            ) from error
        pieces: list[tuple[str, bool]] = []
        for message, slot in zip(turns, slots, strict=True):
            before, found, text = text.partition(slot)
            if not found:
                raise BackendError(
                    f"the chat template of {self._tokenizer.name_or_path} drops the {message.role} message; "
                    "use prompts without that role"
                )
            pieces += [(before, False), (message.content, True)]
        pieces.append((text, False))
        if begun:
            pieces.append((begun.content, True))
        return pieces

    def _encode_pieces(self, pieces: list[tuple[str, bool]]) -> list[int]:
        return [
            i for text, is_data in pieces for i in (self.encode_data(text) if is_data else self._encode_template(text))
        ]

    def _encode_template(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False) if text else []
        return ids


def load_chat_tokens(name: str) -> ChatTokens:
    """Those of a tokenizer in a folder or on the hub. Raises MissingExtraError without transformers, BackendError."""
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "local", "verdicts in token ids") from error
    try:
        return ChatTokens(transformers.AutoTokenizer.from_pretrained(name))
    except (OSError, ValueError) as error:
        raise BackendError(
            f"can't load the tokenizer {name!r}: {first_line(error)}; give its folder or hub name"
        ) from error
