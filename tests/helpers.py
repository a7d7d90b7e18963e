"""Helpers that make small models for the tests: texts that every Python has, trained tokenizers, random tensors and files in every layout."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from babel import Locale
from numpy.typing import NDArray
from safetensors.numpy import save as safetensors_bytes
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from model2vec_numba.batches import LazyBatch, TextBatch, read_only
from model2vec_numba.text.strings import flatten

__all__ = [
    "DTYPES",
    "EDGE_TEXTS",
    "KINDS",
    "LAYOUTS",
    "ModelBytes",
    "corpus",
    "flatten_tightly",
    "make_batches",
    "model_bytes",
    "new_tokenizer",
    "random_matrix",
    "random_parts",
    "raw_safetensors",
    "sample_texts",
    "train_tokenizer",
    "write_model",
]

KINDS = ("wordpiece-uncased", "wordpiece-cased", "unigram", "byte-bpe", "wordlevel")
DTYPES = ("float32", "float16", "bfloat16", "float64", "int8")

# The tokenizers are trained on the first languages and not on the others. So there are unknown tokens.
_TRAINED = ("de", "fr", "ru", "el", "he", "ar", "hi", "ja", "zh", "ko", "th", "vi", "tr", "cs")
_FOREIGN = ("ka", "am", "ta", "bn", "hy", "my")

EDGE_TEXTS = (
    "",
    " ",
    "\n\t \u00a0\u3000",
    "hello world",
    "[CLS] [UNK] <unk> </s> [PAD] text <pad> [MASK]",
    "x" * 99 + " " + "y" * 100 + " " + "z" * 101 + " w",
    "e\u0301 \u00e9 a\u0308\u0323 \u1ed9 I\u0307 \u0130stanbul \u01c5 \u00df \u1e9e \ufb03",
    "\u1100\u1161\u11a8 \uac01 \uff76\uff9e \u30ac",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd \u2764\ufe0f",
    "\u202eright\u202c to \u200fleft\u200e \u0645\u0631\u062d\u0628\u0627",
    "nul \x00 bell \x07 del \x7f c1 \x85 \x9f bom \ufeff soft\u00adhyphen repl \ufffd nonchar \uffff \U0010ffff private \ue000",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u3053\u3093\u306b\u3061\u306f",
    "don't can't it's we'll I'd 3.14 1,000 a_b c++ http://example.org/?q=1&r=2#s",
    "tail space   ",
    "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u0939\u093f\u0928\u094d\u0926\u0940",
    "##ing ##s \u2581the \u0120the \u010a",
)


def make_batches(string_batches: Iterable[LazyBatch]) -> list[TextBatch]:
    """Make the batches, and check that each has the announced number of texts and at most the announced number of bytes."""
    made = []
    for batch in string_batches:
        made.append(batch.make())
        assert len(made[-1]) == len(batch)
        assert made[-1].offsets[-1] <= batch.max_bytes
    return made


def flatten_tightly(texts: Iterable[str]) -> TextBatch:
    """Return a batch whose memory ends with the last text, as in Arrow columns. A batch of `flatten` has more bytes after it."""
    batch = flatten(texts)
    return TextBatch(read_only(batch.data[: batch.offsets[-1]].copy()), batch.offsets)


def _names(language: str) -> list[str]:
    """Return lines with the names of countries, languages, scripts and currencies in a language, twelve names a line."""
    locale = Locale.parse(language)
    names = [*locale.territories.values(), *locale.languages.values(), *locale.scripts.values(), *locale.currencies.values()]
    return [" ".join(names[first : first + 12]) for first in range(0, len(names), 12)]


def corpus() -> list[str]:
    """Return lines to train tokenizers on: English prose about Python, and names in many scripts."""
    english = [" ".join(paragraph.split()) for topic in sorted(topics) for paragraph in topics[topic].split("\n\n")]
    return [line for line in english if line][:2500] + [line for language in _TRAINED for line in _names(language)]


def sample_texts(count: int) -> list[str]:
    """Return edge cases and random texts of 1 to about 3,000 tokens. They hold the corpus and languages that are not in it. The seed is fixed."""
    draw = random.Random(20240229)
    lines = corpus() + [line for language in _FOREIGN for line in _names(language)]
    texts = [*EDGE_TEXTS, *(" ".join(draw.choices(lines, k=30)) for _ in range(3))]
    while len(texts) < count:
        joined = " ".join(draw.choices(lines, k=draw.choice((1, 1, 1, 2, 3))))
        words = joined.split(" ")
        texts.append(" ".join(words[: draw.randint(1, len(words))]))
    return texts


def train_tokenizer(kind: str, lines: list[str]) -> Tokenizer:
    """Train a tokenizer of one of `KINDS`. Truncation, padding and special tokens are on, as in the files of recent versions of model2vec."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if kind.startswith("wordpiece"):
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=kind.endswith("uncased"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=3000, limit_alphabet=600, special_tokens=special, show_progress=False)
    elif kind == "unigram":
        special = ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
        # With all lines and the default number of iterations training takes 8 seconds, else 1.
        lines = lines[::3]
        quick = {"n_sub_iterations": 1, "shrinking_factor": 0.5}
        trainer = trainers.UnigramTrainer(vocab_size=3000, unk_token="<unk>", special_tokens=special, show_progress=False, **quick)
    elif kind == "byte-bpe":
        special = ["<s>", "<pad>", "</s>", "<|endoftext|>"]
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=3000, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=3000, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    if kind == "unigram":
        # model2vec's distillation writes such files: the unknown id is not the id of <unk>.
        parts = json.loads(tokenizer.to_str())
        parts["model"]["unk_id"] = 3
        tokenizer = Tokenizer.from_str(json.dumps(parts))
    first, last = special[2], special[3]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)]
    )
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=9, pad_token=special[0], pad_id=tokenizer.token_to_id(special[0]))
    return tokenizer


def new_tokenizer(*words: str) -> Tokenizer:
    """Return a word-level tokenizer that splits at white space. ``[UNK]`` has id 0, and `words` have the ids from 1."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(("[UNK]", *words))}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def random_matrix(rows: int, dim: int, dtype: str, seed: int = 7) -> NDArray[Any]:
    """Return random values in one of `DTYPES`, with `ml_dtypes.bfloat16` for bfloat16.

    Their mean is not zero, as in real models. If the rows of a text cancelled out, the result would be nothing but rounding errors.
    """
    generator = np.random.default_rng([seed, rows, dim])
    if dtype == "int8":
        return np.clip(np.rint(generator.normal(25, 50, (rows, dim))), -127, 127).astype(np.int8)
    return generator.normal(0.25, 0.5, (rows, dim)).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def random_parts(size: int, dim: int, dtype: str, *, weights: bool, mapping: bool, seed: int = 7) -> dict[str, NDArray[Any]]:
    """Return the tensors of a model for a tokenizer of `size` tokens. With a mapping, the matrix has `size` / 4 rows."""
    generator = np.random.default_rng([seed, size, dim, 1])
    rows = max(1, size // 4) if mapping else size
    parts = {"embeddings": random_matrix(rows, dim, dtype, seed)}
    if weights:
        parts["weights"] = generator.uniform(0.1, 3, size).astype(np.float32)
    if mapping:
        parts["mapping"] = generator.integers(0, rows, size, np.int32)
    return parts


class ModelBytes(NamedTuple):
    """The contents of a model's three files, in the order of the arguments of `StaticModel.from_bytes`."""

    tokenizer: bytes
    model: bytes
    config: bytes


def model_bytes(tokenizer: Tokenizer, tensors: Mapping[str, NDArray[Any]], config: Any = None) -> ModelBytes:
    """Return the contents of a model's three files."""
    return ModelBytes(tokenizer.to_str().encode(), safetensors_bytes(dict(tensors)), json.dumps(config or {}).encode())


# The paths of the files in each layout that the package reads, relative to the folder that the model is loaded from.
LAYOUTS = {
    1: ("config.json", "tokenizer.json", "model.safetensors", "modules.json"),
    2: ("config_sentence_transformers.json", "tokenizer.json", "model.safetensors", "modules.json"),
    3: ("config_sentence_transformers.json", "0_StaticEmbedding/tokenizer.json", "0_StaticEmbedding/model.safetensors", "modules.json"),
    4: ("../config_sentence_transformers.json", "tokenizer.json", "model.safetensors", "../modules.json"),
}


def write_model(folder: Path, contents: ModelBytes, layout: int = 1, modules: Any = None) -> Path:
    """Write a model's files in one of `LAYOUTS` so that `folder` can be loaded, and return `folder`."""
    config_name, tokenizer_name, tensors_name, modules_name = LAYOUTS[layout]
    files = {config_name: contents.config, tokenizer_name: contents.tokenizer, tensors_name: contents.model}
    if modules is not None:
        files[modules_name] = json.dumps(modules).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def raw_safetensors(header: Any, body: bytes, *, padding: int = 0) -> bytes:
    """Return a safetensors file with any header, good or bad: the bytes of the header, or an object that is written as JSON."""
    text = (header if isinstance(header, bytes) else json.dumps(header).encode()) + b" " * padding
    return len(text).to_bytes(8, "little") + text + body


def one_error(err: str) -> str:
    # The command line also says that it replaces a file of an earlier call.
    err = re.sub(r"^\S+ exists\. It is replaced when the new file is complete\n", "", err)
    assert re.fullmatch(r"error: [^\n]+\n", err), err
    return err.removeprefix("error: ").rstrip("\n")


class Result:
    """The exit code and the output of a run of `main`."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def error(self, code: int = 1) -> str:
        """Return the error, after checking the exit code, that the error is one line, and that nothing else was printed."""
        assert (self.code, self.out) == (code, "")
        return one_error(self.err)
