"""Fill the cache of compiled code, so that later processes do not have to compile.

This module has no list of kernels. It makes small models of each storage type and with each kind of tokenizer that has compiled code, and calls
everything that they can do. This compiles all kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from model2vec_numba.batches import BatchLimits
from model2vec_numba.files.reading import ModelFiles
from model2vec_numba.jit.announcement import announcement
from model2vec_numba.jit.cache import counts
from model2vec_numba.model import StaticModel
from model2vec_numba.pooling.kernels import PARALLEL_TOKENS, pool_long_text
from model2vec_numba.pooling.table import make_table
from model2vec_numba.starting.mode import compiling_here
from model2vec_numba.starting.ready import EVERYTHING, key_of, note_ready
from model2vec_numba.text.columns import column_batches
from model2vec_numba.tokenization.chunks.rows import copy_rows, make_rows
from model2vec_numba.tokenization.spec.json_text import parse_text
from model2vec_numba.tokenization.spec.spec import parse_tokenizer
from model2vec_numba.vectors.form import Form, make_form

__all__ = ["FORMS", "Warmed", "small_model", "use", "use_form", "use_forms", "use_long_text", "warmup"]

# The type of the matrix for each storage type.
_STORAGE = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16, "float64": np.float64, "int8": np.int8}
_DIM = 32
_FEW_ROWS = 16
# The precisions of vectors in other forms.
FORMS = ("float16", "int8", "binary")
_RANGES = np.array([[0], [1]], np.float32).repeat(_DIM, axis=1)
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


def warmup(model: StaticModel | None = None, step: Callable[[int], object] = lambda _: None) -> Warmed:
    """Compile all kernels for all storage types, with and without weights, and store the machine code on the disk.

    Kernels that use several threads are compiled only if numba may use more than one thread (NUMBA_NUM_THREADS). The command
    ``model2vec-numba warmup`` makes sure of this. The code can be used only on the kind of processor that compiled it.

    Args:
        model: compile only what this model needs. ``None``: everything.
        step: is called after each step with the number of all steps.

    Raises:
        OSError: compiled code could not be stored.
    """
    loaded, compiled, saved = len(counts.loaded), counts.compiled, len(counts.saved)
    announcement.work = "everything" if model is None else "model"
    if model is None:
        key = EVERYTHING
        # The kernels of tokenisers do not depend on the storage type, and the kernels of pooling do not depend on the tokenizer.
        tokenizers = _tokenizers()
        kinds = [(tokenizers["wordpiece"], dtype, weights) for dtype in _STORAGE for weights in (False, True)]
        kinds += [(tokenizer, "float32", False) for name, tokenizer in tokenizers.items() if name != "wordpiece"]
        models = [(tokenizer.to_str(), dtype, weights) for tokenizer, dtype, weights in kinds]
    else:
        key = key_of(model._spec, model._table)
        models = [(model._spec.text, model._table.dtype, model._table.factors is not None)]
    with compiling_here():
        for text, dtype, weights in models:
            small = small_model(text, dtype, weights=weights)
            use(small)
            use_forms(small)
            use_long_text(small)
            step(len(models))
    if model is None:
        # Compiled code reads only large files.
        arrays = parse_text(tokenizers["byte-level BPE"].to_str(), "tokenizer.json", uses_kernels=True).arrays
        _ = None if arrays is None else arrays.merges()
    # The cache of chunks grows only after tens of thousands of chunks.
    copy_rows(make_rows(_FEW_ROWS), make_rows(_FEW_ROWS))
    new = counts.saved[saved:]
    if len(new) < counts.compiled - compiled:
        raise OSError(f"only {len(new)} of {counts.compiled - compiled} compiled kernels could be stored; set NUMBA_CACHE_DIR to another folder")
    note_ready(key, [*new, *counts.loaded[loaded:]])
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


def small_model(text: str, dtype: str, *, weights: bool) -> StaticModel:
    """Return a model that needs the same kernels as another one. Its vectors are short and zero.

    Args:
        text: the `tokenizer.json`.
        dtype: the name of the storage type.
        weights: whether the model has weights.
    """
    spec = parse_tokenizer(text, "tokenizer.json", uses_kernels=True)
    size = spec.size
    matrix = np.zeros((size, _DIM), _STORAGE[dtype])
    # Equal weights would become the scale.
    factors = np.arange(1, size + 1, dtype=np.float32) if weights else None
    table = make_table(matrix, dtype, factors, None, size=size, source="the small model")
    model = StaticModel.__new__(StaticModel)
    model._assemble(ModelFiles({}, spec, table, False, None), None, None)
    return model


def use(model: StaticModel) -> None:
    """Call everything for which a model has compiled code, except what `use_forms` and `use_long_text` call."""
    model._roads.use_compiled()
    for text in _TEXTS:
        model.encode(text)
    model.encode(_TEXTS)
    model.encode_as_sequence(_TEXTS)
    _encode_column(model, None)


def use_forms(model: StaticModel) -> None:
    """Encode to vectors in each of `FORMS`."""
    for precision in FORMS:
        use_form(model, precision)


def use_form(model: StaticModel, precision: str) -> None:
    """Encode to vectors in one form."""
    form = make_form(model.dim, None, precision, _RANGES if precision == "int8" else None)
    _encode_column(model, form)
    model._roads.use_compiled()(None, None, form=form).encode_string(_TEXTS[0])


def _encode_column(model: StaticModel, form: Form | None) -> None:
    """Encode a column with a text that is cut and a null."""
    column = np.frombuffer(b"abcdef", np.uint8), np.array([0, 3, 6], np.int64), np.array([True, False])
    batches = column_batches(*column, max_chars=2, limits=BatchLimits(2))
    out = np.empty((2, model.dim), np.float32) if form is None else np.empty((2, form.columns), form.dtype)
    model._roads.use_compiled()(None, None, form=form).encode_batches(batches, out, 1)


def use_long_text(model: StaticModel) -> None:
    """Call what pools a text of a million tokens."""
    pool_long_text(model._table, np.zeros(PARALLEL_TOKENS, np.int32), True, np.empty(model.dim, np.float32), 2)
