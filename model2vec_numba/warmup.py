"""Fill the cache of compiled code, so that later processes do not have to compile.

This module has no list of kernels. It makes small models of each storage type and with each kind of tokenizer that has compiled code, and calls
everything that they can do. This compiles all kernels.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from model2vec_numba.batches import BatchLimits
from model2vec_numba.jit.cache import counts
from model2vec_numba.model import StaticModel
from model2vec_numba.pooling.kernels import PARALLEL_TOKENS, pool_long_text
from model2vec_numba.text.columns import column_batches
from model2vec_numba.tokenization.chunks.rows import copy_rows, make_rows

__all__ = ["Warmed", "warmup"]

# The storage types by their names in safetensors, and their sizes in bytes.
_STORAGE = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I8": 1}
_DIM = 32
_FEW_ROWS = 16
# The texts contain runs of spaces, marks in the wrong order and characters that can be composed, because normalisers look for these.
_TEXTS = ("It is cold today.", "Caf\u00e9  \u4f60\u597d, 12 don't [MASK] <s>!\n", "a\u0323\u0301 e\u0301  \uff21 \u1112\u1161\u11ab", "")


class Warmed(NamedTuple):
    """The result of `warmup`.

    Attributes:
        written: the number of files written to each folder.
        found: the number of files found in each folder.
        size: the number of bytes written.
    """

    written: dict[str, int]
    found: dict[str, int]
    size: int

    @property
    def folders(self) -> list[str]:
        """The folders of the cache, sorted."""
        return sorted({*self.written, *self.found})


def warmup() -> Warmed:
    """Compile all kernels for all storage types, with and without weights, and store the machine code on the disk.

    Kernels that use several threads are compiled only if numba may use more than one thread (NUMBA_NUM_THREADS). The command
    ``model2vec-numba warmup`` makes sure of this. The code can be used only on the kind of processor that compiled it.

    Raises:
        OSError: compiled code could not be stored.
    """
    loaded, compiled, saved = len(counts.loaded), counts.compiled, len(counts.saved)
    for name, tokenizer in _tokenizers().items():
        # The kernels of tokenisers do not depend on the storage type, and the kernels of pooling do not depend on the tokenizer.
        for dtype in _STORAGE if name == "wordpiece" else ["F32"]:
            for weights in [False, True] if name == "wordpiece" else [False]:
                _use(_model(tokenizer, dtype, weights))
    # The cache of chunks grows only after tens of thousands of chunks.
    copy_rows(make_rows(_FEW_ROWS), make_rows(_FEW_ROWS))
    new = counts.saved[saved:]
    if len(new) < counts.compiled - compiled:
        raise OSError(f"only {len(new)} of {counts.compiled - compiled} compiled kernels could be stored; set NUMBA_CACHE_DIR to another folder")
    written: dict[str, int] = {}
    found: dict[str, int] = {}
    for folders, paths in ((written, new), (found, counts.loaded[loaded:])):
        for path in paths:
            folders[str(path.parent)] = folders.get(str(path.parent), 0) + 1
    return Warmed(written, found, sum(path.stat().st_size for path in new))


def _tokenizers() -> dict[str, Tokenizer]:
    """Return small tokenizers that together use every kernel. The keys describe them."""
    letters = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    word_vocabulary = letters | {word: 26 + i for i, word in enumerate(["it", "cold", "##s", "[UNK]", "[MASK]", "Cold Day"])}
    unigram_tokens = [("<unk>", 0.0), *((letter, -5.0) for letter in letters), ("\u2581", -2.0), ("\u2581it", -3.0)]
    byte_ids = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("i", "t"), ("a", "y")]
    byte_vocabulary = byte_ids | {a + b: len(byte_ids) + i for i, (a, b) in enumerate(merges)}
    fallback_vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {
        piece: 256 + i for i, piece in enumerate(["<unk>", "\u2581", *letters, "it"])
    }
    wordpiece = models.WordPiece(word_vocabulary, unk_token="[UNK]")
    tokenizers = {
        "wordpiece": _assemble(wordpiece, normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
        "wordpiece, composed": _assemble(
            wordpiece,
            normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]),
            pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True), pre_tokenizers.Punctuation()]),
        ),
        "unigram": _assemble(
            models.Unigram(unigram_tokens, 0),
            normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " "), normalizers.Strip()]),
            pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
        ),
        "unigram, white space": _assemble(
            models.Unigram(unigram_tokens, 0), normalizers.Sequence([normalizers.Replace(Regex(r"[\s,]+"), " ")]), pre_tokenizers.WhitespaceSplit()
        ),
        "unigram, one piece": _assemble(models.Unigram(unigram_tokens, 0), normalizers.Prepend("\u2581"), pre_tokenizers.Metaspace()),
        "byte-level BPE": _assemble(models.BPE(byte_vocabulary, merges), None, pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "byte-level BPE, prefix": _assemble(models.BPE(byte_vocabulary, merges), None, pre_tokenizers.ByteLevel(add_prefix_space=True)),
        "BPE with byte fallback": _assemble(
            models.BPE(fallback_vocabulary, [("i", "t")], unk_token="<unk>", fuse_unk=True, byte_fallback=True),
            normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]),
            None,
        ),
        "word level, byte level": _assemble(
            models.WordLevel(word_vocabulary, unk_token="[UNK]"), None, pre_tokenizers.ByteLevel(add_prefix_space=False)
        ),
        "word level": _assemble(models.WordLevel(word_vocabulary, unk_token="[UNK]"), None, pre_tokenizers.Whitespace()),
    }
    # A token that is found in the text as it is, and tokens that begin with many letters and are found in the normalised text.
    for name in ("wordpiece", "byte-level BPE"):
        tokenizers[name].add_special_tokens(["[MASK]"])
    tokenizers["wordpiece, added tokens"] = _assemble(wordpiece, normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer())
    tokenizers["wordpiece, added tokens"].add_tokens([AddedToken(content, normalized=True) for content in ("Cold Day", *map("{}bc".format, letters))])
    return tokenizers


def _assemble(model: models.Model, normalizer: normalizers.Normalizer | None, pre_tokenizer: pre_tokenizers.PreTokenizer | None) -> Tokenizer:
    """Return a tokenizer of these components."""
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer


def _model(tokenizer: Tokenizer, dtype: str, weights: bool) -> StaticModel:
    """Return a model whose vectors are zero."""
    tokens = tokenizer.get_vocab_size()
    size = tokens * _DIM * _STORAGE[dtype]
    tensors = {"embeddings": {"dtype": dtype, "shape": [tokens, _DIM], "data_offsets": [0, size]}}
    if weights:
        tensors["weights"] = {"dtype": "F32", "shape": [tokens], "data_offsets": [size, size + tokens * _STORAGE["F32"]]}
        size += tokens * _STORAGE["F32"]
    header = json.dumps(tensors).encode()
    return StaticModel.from_bytes(tokenizer.to_str().encode(), len(header).to_bytes(8, "little") + header + bytes(size), b"{}")


def _use(model: StaticModel) -> None:
    """Call everything for which a model has compiled code."""
    for text in _TEXTS:
        model.encode(text)
    model.encode(_TEXTS)
    model.encode_as_sequence(_TEXTS)
    # A column with a text that is cut and a null, with vectors in half precision.
    column = np.frombuffer(b"abcdef", np.uint8), np.array([0, 3, 6], np.int64), np.array([True, False])
    batches = column_batches(*column, max_chars=2, limits=BatchLimits(2))
    model._encoder(None).encode_batches(batches, np.empty((2, model.dim), np.float16), 1)
    pool_long_text(model._table, np.zeros(PARALLEL_TOKENS, np.int32), True, np.empty(model.dim, np.float32), 1)
