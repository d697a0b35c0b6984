"""How many tokens a text has, roughly, where no tokenizer is at hand: for budgets and forecasts, never for a cut."""

from autorule.records import Messages

BYTES_PER_TOKEN = 4
"""English prose has 4 to 4.5 bytes a token with the common tokenizers, code and other scripts fewer."""
TOKENS_PER_MESSAGE = 4


def estimate_tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def estimate_message_tokens(messages: Messages) -> int:
    return sum(TOKENS_PER_MESSAGE + estimate_tokens(message.content) for message in messages)
