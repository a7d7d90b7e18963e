"""The resident memory of a large int8 model: 500,000 rows of 256, and a tokenizer of as many tokens."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.processes import run_steps

_ROWS, _DIM = 500_000, 256


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_large_model(tmp_path: Path, report: Callable[[str], None]) -> None:
    _write_model(tmp_path / "small", 10)
    _write_model(tmp_path / "large", _ROWS)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    # Compiling takes memory of its own.
    run_steps("model2vec_numba", tmp_path, environment)
    size = _ROWS * _DIM
    report(f"an int8 model of {_ROWS:,} x {_DIM}, {size / 1e6:.0f} MB; resident, in MB:")
    for package in ("model2vec", "model2vec_numba"):
        found = {name: value / 1e6 for name, value in run_steps(package, tmp_path, environment).items()}
        added = (found["touched"] - found["loaded"]) * 1e6 / size
        report(
            f"  {package}: imported {found['imported']:.0f}, loaded {found['loaded']:.0f} (peak {found['loaded_peak']:.0f}), "
            f"every row touched {found['touched']:.0f} (peak {found['touched_peak']:.0f}): rows added {added:.2f} times the matrix"
        )


def _write_model(folder: Path, rows: int) -> None:
    """A model whose tokens are w1, w2, …, of BERT's kind as most are."""
    folder.mkdir()
    vocabulary = {"[UNK]": 0} | {f"w{i}": i for i in range(1, rows)}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": 0, "content": "[UNK]"} | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"normalize": True}), encoding="utf-8")
    matrix = np.random.default_rng(rows).integers(-127, 128, (rows, _DIM), np.int8)
    save_file({"embeddings": matrix}, folder / "model.safetensors")
