"""Prompts are files; this module loads and renders them.

A prompt file is plain text in sections. A line that is exactly `@system`, `@user`, `@assistant` or `@question`
opens one. A last `@assistant` section is the beginning of the answer, which the model continues. `@question` is
the part of a verification prompt that differs from rule to rule: it is appended to the last user message, so that
everything before it is one shared prefix.

Placeholders `{name}` are replaced in a single pass, so that braces of JSON survive and a value that contains
`{name}` is never expanded again.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple, get_args

from autorule.errors import PromptError, in_words
from autorule.records import Message, Messages, Record, Role
from autorule.storage import read_text

PLACEHOLDER = re.compile(r"\{([a-z][a-z_]*)\}")
SECTION = re.compile(r"^@(system|user|assistant|question)[ \t]*$", re.MULTILINE)
TRIM_MARK = "\n[... {n} characters left out here ...]\n"
QUESTION_SEPARATOR = "\n\n"


class Prompt(Record):
    """The text of a prompt file, by which it is known in records: `sha256` is that of the whole text."""

    name: str
    text: str

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def sections(self) -> tuple[tuple[str, str], ...]:
        parts = SECTION.split(self.text)
        if parts[0].strip():
            raise PromptError(f"prompt {self.name!r}: text before the first section line; begin with @user or @system")
        sections = tuple((parts[i], parts[i + 1].strip()) for i in range(1, len(parts), 2))
        names = [name for name, _ in sections]
        if "user" not in names:
            raise PromptError(f"prompt {self.name!r}: no @user section")
        if names.count("question") > 1:
            raise PromptError(f"prompt {self.name!r}: more than one @question section")
        return sections

    def check(self, values: Iterable[str], optional: Iterable[str] = (), question: Iterable[str] = ()) -> None:
        """Raises PromptError unless the prompt can be rendered with exactly these placeholders."""
        self.render(dict.fromkeys(values, ""), dict.fromkeys(optional, ""))
        if question:
            self.render_question(dict.fromkeys(question, ""), dict.fromkeys(optional, ""))

    def render(self, values: Mapping[str, str], optional: Mapping[str, str] | None = None) -> Messages:
        """The messages of the prompt, the question left out.

        `values` must be exactly the placeholders of these sections; those in `optional` may be used or not.
        Raises PromptError for a placeholder without a value and for a value without a placeholder.
        """
        sections = [(role, text) for role, text in self.sections if role in get_args(Role)]
        texts = _substitute(self.name, [text for _, text in sections], values, optional or {})
        return tuple(Message(role=role, content=text) for (role, _), text in zip(sections, texts, strict=True))

    def render_question(self, values: Mapping[str, str], optional: Mapping[str, str] | None = None) -> str:
        """The @question section for one rule. Raises PromptError as `render` does."""
        questions = [text for role, text in self.sections if role == "question"]
        if not questions:
            raise PromptError(f"prompt {self.name!r}: no @question section")
        return _substitute(self.name, questions, values, optional or {})[0]

    @property
    def begun_answer(self) -> str:
        """The beginning of the answer that the model continues; empty when the prompt has none."""
        role, text = self.sections[-1]
        if role == "question" and len(self.sections) > 1:
            role, text = self.sections[-2]
        return text if role == "assistant" else ""


def _substitute(name: str, texts: list[str], values: Mapping[str, str], optional: Mapping[str, str]) -> list[str]:
    used = {placeholder for text in texts for placeholder in PLACEHOLDER.findall(text)}
    given = {**optional, **values}
    if missing := sorted(used - given.keys()):
        raise PromptError(f"prompt {name!r}: no value for placeholder {', '.join('{' + m + '}' for m in missing)}")
    if leftover := sorted(values.keys() - used):
        raise PromptError(f"prompt {name!r}: nothing shows {', '.join(leftover)}; add it as a {{placeholder}}")
    return [PLACEHOLDER.sub(lambda match: given[match[1]], text) for text in texts]


@lru_cache(maxsize=64)
def load_prompt(name: str) -> Prompt:
    """A prompt by name (one that ships with autorule, such as `mining`) or by the path of a .txt file."""
    if name.endswith(".txt"):
        path = Path(name)
        if not path.is_file():
            raise PromptError(f"prompt file {name!r} does not exist")
        try:
            return Prompt(name=path.name.removesuffix(".txt"), text=read_text(path))
        except (OSError, UnicodeError) as error:
            raise PromptError(f"prompt file {name!r} can't be read: {in_words(error)}") from error
    folder = resources.files("autorule.prompts")
    entry = folder / f"{name}.txt"
    if not entry.is_file():
        known = sorted(e.name.removesuffix(".txt") for e in folder.iterdir() if e.name.endswith(".txt"))
        raise PromptError(f"no prompt named {name!r}; there are {', '.join(known)}, or give the path of a .txt file")
    return Prompt(name=name, text=entry.read_text(encoding="utf-8"))


def fence_for(texts: Iterable[str]) -> str:
    """A line of backticks longer than any run of backticks in the texts, so that none of them can close it."""
    longest = max((len(run) for text in texts for run in re.findall(r"`+", text)), default=0)
    return "`" * max(3, longest + 1)


class Trimmed(NamedTuple):
    text: str
    trimmed: bool


def trim_middle(text: str, max_chars: int) -> Trimmed:
    """At most `max_chars` characters of the text: the middle goes, and a mark says how much of it. Where not even the
    mark has room, the beginning."""
    if len(text) <= max_chars:
        return Trimmed(text, False)
    mark = TRIM_MARK.format(n=len(text))  # as long as the mark can get
    room = max_chars - len(mark)
    if room < 0:
        return Trimmed(text[: max(0, max_chars)], True)
    head = room * 2 // 3
    tail = room - head
    mark = TRIM_MARK.format(n=len(text) - head - tail)
    return Trimmed(text[:head] + mark + (text[-tail:] if tail else ""), True)


def render_messages(messages: Messages) -> str:
    """A conversation as plain text: the bare text of a single user or assistant turn, else turns with their roles."""
    if len(messages) == 1 and messages[0].role in ("user", "assistant"):
        return messages[0].content
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in messages)


# Chat-template markers of the common model families: <|im_start|>, <｜User｜>, <s>, [INST], <start_of_turn> ...
_SPECIAL = re.compile(
    r"<(?=[|｜]|/?s>|/?think>|(?:beginning|begin|start|end)_\w+>|(?:bos|eos|pad|unk|sop|eop|dop|mask)>|/?tool_|extra_id_"
    r"|unused\d|repo_?name>|file_sep>|filename>|gh_stars>|empty_output>|(?:issue|jupyter|commit|fim)_\w+>|</?SYS>"
    r"|/?(?:seed|minimax):|SPECIAL_\d|(?:BOS|EOS|EOT|PAD|UNK|CLS|SEP|MASK|PRE|SUF|MID)>"  # Seed-OSS, MiniMax, Nemotron
    r"|/?TOOLCALL>|/?[A-Z]{2,20}_[A-Z_]{2,20}>"  # Nemotron, Command
    r"|\w{1,20}\|>|\w{1,20}_token>|escape>|/?arg_(?:key|value)>|/?role>"  # Gemma, GLM, Ling
    r"|用户>|AI>|/?(?:image|box|slice|point|unit|quad|ref|image_id)>|/?thought>"  # MiniCPM, EXAONE
    r"|\[\w{1,10}▁|longcat_\w+>|reserved_\d+>|_\w{1,20}>)"
    r"|\[(?=\||/?(?:INST|SYS|ARGS|THINK|IMG|PREFIX|MIDDLE|SUFFIX|AUDIO|TRANSCRIBE|[gs]?MASK|[A-Z]{2,20}_[A-Z_]{2,30}"
    r"|control_\d+|BOS|EOS|EOT|PAD|UNK|CLS|SEP|(?:start|end)_header_id|extra_id_\d+|unused\d+"  # Mistral, Kimi, EXAONE
    r"|multimodal|@[A-Z]+@)\]|e~\[)"
    r"|\](?=~!?b[\[\]]|![a-z]~\[|<\])"  # MiniMax
)


def neutralise_special_tokens(text: str) -> str:
    """The text with a zero-width space put into what a chat server's tokenizer could take for its own markers.

    For servers that only take text: a response that holds `<|im_end|>` must not end the user's turn. In-process
    back ends need no such thing, since they tokenise data without any added token.
    """
    return _SPECIAL.sub(lambda match: match[0] + "\u200b", text)
