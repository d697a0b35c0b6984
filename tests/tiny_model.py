"""A random language model of two layers behind a real tokenizer with a chat template: loads in a moment."""

from pathlib import Path

from autorule.backends.embedded import embedded_folder


def write_tiny_model(folder: Path, max_positions: int = 512) -> str:
    """Writes it, the same each time; the folder as a name for models."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(embedded_folder())
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=max_positions, bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
