"""Write models of any size, up to half a million tokens and more. Their vectors are random, but they have the form of real models."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

__all__ = ["write_bpe_model", "write_unigram_model", "write_wordpiece_model"]

_LONGEST_PIECE = 8


def write_wordpiece_model(folder: Path, rows: int, dim: int, dtype: str = "int8") -> None:
    """Write a model of int8 or float32 with BERT's kind of tokenizer, which most models have. Its tokens are w1, w2, …"""
    tokenizer = _tokenizer(
        ["[UNK]"],
        normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        pre_tokenizer={"type": "BertPreTokenizer"},
        model={
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"[UNK]": 0} | {f"w{i}": i for i in range(1, rows)},
        },
    )
    generator = np.random.default_rng(rows)
    _write(
        folder,
        tokenizer,
        generator.integers(-127, 128, (rows, dim), np.int8) if dtype == "int8" else generator.standard_normal((rows, dim), np.float32),
    )


def write_unigram_model(folder: Path, pieces: int, dim: int, texts: Iterable[str]) -> None:
    """Write a float32 model with SentencePiece's kind of tokenizer. Its tokens are words of texts, their beginnings and ends, and numbers.

    A score is the logarithm of the token's frequency, which is nearly true of trained models too.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        for word in text.split():
            whole = "\u2581" + word
            counts[whole] += 2
            for length in range(1, min(len(whole), _LONGEST_PIECE)):
                counts[whole[:length]] += 1
                counts[whole[-length:]] += 1
    numbers = itertools.count()
    while len(counts) < pieces - 1:
        counts[f"\u2581{next(numbers):x}"] += 1
    total = sum(counts.values())
    scored = [("<unk>", 0.0), *((piece, float(np.log(count / total))) for piece, count in counts.most_common(pieces - 1))]
    tokenizer = _tokenizer(
        ["<unk>"],
        normalizer={"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}]},
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}],
        },
        model={"type": "Unigram", "unk_id": 0, "vocab": scored, "byte_fallback": False},
    )
    _write(folder, tokenizer, np.random.default_rng(pieces).standard_normal((pieces, dim), np.float32))


def write_bpe_model(folder: Path, tokens: int, dim: int, texts: Iterable[str]) -> None:
    """Write a float32 model with GPT-2's kind of tokenizer, byte-level BPE, trained on texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=tokens, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    count = tokenizer.get_vocab_size()
    _write(folder, json.loads(tokenizer.to_str()), np.random.default_rng(tokens).standard_normal((count, dim), np.float32))


def _tokenizer(special: list[str], **components: Any) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    added = [{"id": i, "content": content} | flags for i, content in enumerate(special)]
    empty = dict.fromkeys(("truncation", "padding", "post_processor", "decoder"))
    return {"version": "1.0", **empty, "added_tokens": added, **components}


def _write(folder: Path, tokenizer: dict[str, Any], matrix: np.ndarray[Any, Any]) -> None:
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"normalize": True}), encoding="utf-8")
    save_file({"embeddings": matrix}, folder / "model.safetensors")
