"""What tells one state of a local model's weights from another."""

import hashlib
from pathlib import Path

from autorule.backends.embedded import embedded_version
from autorule.config.models import EMBEDDED, ModelConfig
from autorule.records import content_id


def model_identity(config: ModelConfig) -> str:
    """Name, and what tells one state of the weights from another; no path of this machine."""
    if config.model == EMBEDDED:
        return f"{EMBEDDED}@{embedded_version()}"
    folder = Path(config.model)
    if not folder.is_dir():
        return config.model + (f"@{config.revision}" if config.revision else "")
    state = [[file.name, file.stat().st_size, _sample_of(file)] for file in sorted(folder.iterdir()) if file.is_file()]
    return f"{folder.name}@{content_id(state)}"


def _sample_of(file: Path) -> str:
    """A hash of the file: of all of it when it is small, else of 256 pieces all over it (training moves them all)."""
    size, piece, n_pieces = file.stat().st_size, 16_384, 256
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        if size <= piece * n_pieces:
            digest.update(stream.read())
        else:
            for index in range(n_pieces):
                stream.seek((size - piece) * index // (n_pieces - 1))
                digest.update(stream.read(piece))
    return digest.hexdigest()
