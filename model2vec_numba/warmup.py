"""Fill the cache of compiled code, so that no later process has to compile.

Nothing here knows which kernels there are. It makes small models of every storage type and with every kind of tokenizer that this package
compiles, and uses them in every way; what that needs is compiled.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from model2vec_numba.cache import counts
from model2vec_numba.model import StaticModel
from model2vec_numba.text import BatchLimits, column_portions

__all__ = ["Warmed", "warmup"]

# safetensors' names of the storage types, and their sizes in bytes.
_STORAGE = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I8": 1}
_DIM = 32
# The pattern of GPT-4's tokenizer and those after it.
_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# Among them what normalisers look for: runs of spaces, marks that are put in order, characters that are composed.
_TEXTS = ("It is cold today.", "Caf\u00e9  \u4f60\u597d, 12 don't [MASK] <s>!\n", "a\u0323\u0301 e\u0301  \uff21 \u1112\u1161\u11ab", "")
# So many texts of one batch are worth the start of threads.
_MANY = 1024


class Warmed(NamedTuple):
    """What `warmup` did.

    Attributes:
        written: how many files it wrote to each folder.
        found: how many files it found there.
        size: the bytes of the files that it wrote.
    """

    written: dict[str, int]
    found: dict[str, int]
    size: int

    @property
    def folders(self) -> list[str]:
        """The folders that the cache is in."""
        return sorted({*self.written, *self.found})


def warmup() -> Warmed:
    """Compile every kernel for every storage type, with weights and without, and keep the machine code on disk.

    Kernels that run in several threads are among them if this process has more than one, see NUMBA_NUM_THREADS; the command
    ``model2vec-numba warmup`` sees to that. Code is for the kind of processor that compiles it.

    Raises:
        OSError: something that was compiled could not be kept.
    """
    loaded, compiled, saved = len(counts.loaded), counts.compiled, len(counts.saved)
    for name, tokenizer in _tokenizers().items():
        # The tokeniser's kernels know nothing of storage types, and those of pooling nothing of tokenizers.
        for dtype in _STORAGE if name == "wordpiece" else ["F32"]:
            for weights in [False, True] if name == "wordpiece" else [False]:
                _use(_model(tokenizer, dtype, weights))
    new = counts.saved[saved:]
    if len(new) < counts.compiled - compiled:
        raise OSError(f"of {counts.compiled - compiled} kernels compiled, {len(new)} could be kept; NUMBA_CACHE_DIR names another folder")
    written: dict[str, int] = {}
    found: dict[str, int] = {}
    for folders, paths in ((written, new), (found, counts.loaded[loaded:])):
        for path in paths:
            folders[str(path.parent)] = folders.get(str(path.parent), 0) + 1
    return Warmed(written, found, sum(path.stat().st_size for path in new))


def _tokenizers() -> dict[str, Tokenizer]:
    """A tokenizer of each kind, its vocabulary the fewest tokens that will do."""
    letters = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    words = letters | {word: 26 + i for i, word in enumerate(["it", "cold", "##s", "[UNK]", "[MASK]", "Cold Day"])}
    pieces = [("<unk>", 0.0), *((letter, -5.0) for letter in letters), ("\u2581", -2.0), ("\u2581it", -3.0)]
    bytes_of = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("i", "t"), ("a", "y")]
    byte_merges = bytes_of | {a + b: len(bytes_of) + i for i, (a, b) in enumerate(merges)}
    fallback = {f"<0x{byte:02X}>": byte for byte in range(256)} | {piece: 256 + i for i, piece in enumerate(["<unk>", "\u2581", *letters, "it"])}
    wordpiece = models.WordPiece(words, unk_token="[UNK]")
    made = {
        "wordpiece": _tokenizer(wordpiece, normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
        "wordpiece, of stages": _tokenizer(
            wordpiece,
            normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]),
            pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True), pre_tokenizers.Punctuation()]),
        ),
        "unigram": _tokenizer(
            models.Unigram(pieces, 0),
            normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " "), normalizers.Strip()]),
            pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
        ),
        "unigram, white space": _tokenizer(
            models.Unigram(pieces, 0), normalizers.Sequence([normalizers.Replace(Regex(r"\s+"), " ")]), pre_tokenizers.WhitespaceSplit()
        ),
        "unigram, one piece": _tokenizer(models.Unigram(pieces, 0), normalizers.Prepend("\u2581"), pre_tokenizers.Metaspace()),
        "byte-level BPE": _tokenizer(models.BPE(byte_merges, merges), None, pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "byte-level BPE, split": _tokenizer(
            models.BPE(byte_merges, merges),
            None,
            pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_SPLIT), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]),
        ),
        "byte-level BPE, prefix": _tokenizer(models.BPE(byte_merges, merges), None, pre_tokenizers.ByteLevel(add_prefix_space=True)),
        "BPE with byte fallback": _tokenizer(
            models.BPE(fallback, [("i", "t")], unk_token="<unk>", fuse_unk=True, byte_fallback=True),
            normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]),
            None,
        ),
        "word level, byte level": _tokenizer(models.WordLevel(words, unk_token="[UNK]"), None, pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "word level": _tokenizer(models.WordLevel(words, unk_token="[UNK]"), None, pre_tokenizers.Whitespace()),
        "word level, split": _tokenizer(models.WordLevel(words, unk_token="[UNK]"), None, pre_tokenizers.Split(" ", "removed")),
        "wordpiece, split": _tokenizer(wordpiece, None, pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.Punctuation()])),
    }
    # In what is composed, added tokens are looked for in another way.
    for name in ("wordpiece", "byte-level BPE"):
        made[name].add_special_tokens(["[MASK]"])
    # One that is looked for in the normalised text.
    made["wordpiece"].add_tokens([AddedToken("Cold Day", normalized=True)])
    return made


def _tokenizer(model: models.Model, normalizer: normalizers.Normalizer | None, pre_tokenizer: pre_tokenizers.PreTokenizer | None) -> Tokenizer:
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer


def _model(tokenizer: Tokenizer, dtype: str, weights: bool) -> StaticModel:
    """A model of zeros, from the bytes of its files."""
    tokens = tokenizer.get_vocab_size()
    size = tokens * _DIM * _STORAGE[dtype]
    tensors = {"embeddings": {"dtype": dtype, "shape": [tokens, _DIM], "data_offsets": [0, size]}}
    if weights:
        tensors["weights"] = {"dtype": "F32", "shape": [tokens], "data_offsets": [size, size + tokens * _STORAGE["F32"]]}
        size += tokens * _STORAGE["F32"]
    header = json.dumps(tensors).encode()
    return StaticModel.from_bytes(tokenizer.to_str().encode(), len(header).to_bytes(8, "little") + header + bytes(size), b"{}")


def _use(model: StaticModel) -> None:
    """Have everything compiled that a model can need."""
    for text in _TEXTS:
        model.encode(text)
    model.encode(_TEXTS)
    # Long enough for parallel kernels.
    model.encode([" ".join(_TEXTS * _MANY)], max_length=None)
    model.encode_as_sequence(_TEXTS)
    # A column of Arrow's, with a text that is cut and one that is left out, to vectors of half precision.
    column = np.frombuffer(b"abcdef", np.uint8), np.array([0, 3, 6], np.int64), np.array([True, False])
    taken = column_portions(*column, max_chars=2, limits=BatchLimits(2))
    model._encode_portions(taken, None, None, np.empty((2, model.dim), np.float16))
