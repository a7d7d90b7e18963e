"""The table of tokenizers that the tests share, and the comparison of every core with the `tokenizers` library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np
from helpers import flatten_tightly
from tokenizers import Tokenizer

from model2vec_numba.batches import TextBatch
from model2vec_numba.errors import TokenizationError
from model2vec_numba.tokenization.added_tokens.reading import read_added_tokens
from model2vec_numba.tokenization.bert.tables import make_bert_core
from model2vec_numba.tokenization.chunks.core import ChunkedCore
from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.pipeline import make_pipeline
from model2vec_numba.tokenization.spec.spec import TokenizerSpec, parse_tokenizer
from model2vec_numba.tokenization.tokenizer import BatchTokenizer, make_tokenizer
from tokenization.configs import (
    BERT_VARIANTS,
    NORMALIZERS,
    PRE_TOKENIZERS,
    Config,
    bert_config,
    bpe_model,
    byte_level,
    config_of,
    metaspace,
    normalizer_sequence,
    random_unigram_model,
    sequence,
    small_config,
    small_model,
    unigram_model,
    with_added_tokens,
    with_model,
    with_prefix,
    with_tokens,
    with_unassigned_bytes,
    word_level_model,
)
from tokenization.texts import sample_texts

__all__ = ["CASES", "Case", "Comparison", "check", "comparison", "spec_of"]

Ids = list[list[int]]


def spec_of(config: Config) -> TokenizerSpec:
    """Return the config as the package reads it from a file."""
    return parse_tokenizer(json.dumps(config), "test")


class Comparison:
    """A tokenizer with each core that supports it, and with the library.

    Attributes:
        spec: the tokenizer.
        tokenizers: the tokenisers with a core, by the name of the core: ``bert``, ``pipeline``. There may be none.
        chosen: the tokeniser that the package chooses: the first of them if there are any, with a cache of chunks in front of the pipeline if a
            rule allows it.
        texts: the number of texts that were compared.
        fallbacks: how many of them a core left to the library, over all cores, if this was counted.
    """

    def __init__(self, config: Config) -> None:
        self.spec = spec_of(config)
        added = read_added_tokens(self.spec)
        cores = {"bert": make_bert_core(self.spec, added), "pipeline": make_pipeline(self.spec, added)} if self.spec.keeps_ids and added else {}
        self.tokenizers = {name: BatchTokenizer(self.spec, core, cuts_at_spaces=False) for name, core in cores.items() if core is not None}
        self.chosen = make_tokenizer(self.spec)
        # A test makes sure of the choice.
        self._compared = {**self.tokenizers, "chosen": self.chosen} if isinstance(self.chosen._core, ChunkedCore) else self.tokenizers
        model = config["model"]
        self._unknown = model["unk_id"] if "unk_id" in model else model["vocab"].get(model.get("unk_token"))
        self.texts = 0
        self.fallbacks = 0

    def all_tokenizers(self) -> list[BatchTokenizer]:
        """Return the tokenisers with each core, or the one without a core."""
        return list(self._compared.values()) or [self.chosen]

    def library(self, texts: Sequence[str]) -> Ids:
        """Return the library's ids of each text, without the unknown id. The package has no part in them.

        Raises:
            TokenizationError: the library refuses a text.
        """
        try:
            encodings = self._library.encode_batch_fast(list(texts), add_special_tokens=False)
        except BaseException as error:
            if is_library_error(error):
                raise TokenizationError(str(error)) from error
            raise
        return [[i for i in encoding.ids if i != self._unknown] for encoding in encodings]

    @cached_property
    def _library(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.spec.text)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def sample(self) -> Ids:
        """The library's ids of `sample_texts`. It is asked once."""
        return self.library(sample_texts())

    @staticmethod
    def ids(tokenizer: BatchTokenizer, texts: Sequence[str] | TextBatch, max_tokens: int | None = None) -> Ids:
        """Return a tokeniser's ids of each text. Memory of earlier calls is used again, as in the package."""
        batch = texts if isinstance(texts, TextBatch) else flatten_tightly(texts)
        scratch = tokenizer.take_scratch()
        tokens = tokenizer.tokenize(batch, max_tokens, scratch)
        assert len(tokens) == len(batch) and tokens.ids.dtype == np.int32 and tokens.offsets.dtype == np.int64
        ids = [tokens.ids[begin:end].tolist() for begin, end in tokens.bounds()]
        tokenizer.give_back(scratch)
        return ids

    def mismatches(self, texts: Iterable[str], *, batch_size: int = 8192, count_fallbacks: bool = False) -> Iterator[tuple[str, str]]:
        """Give each text for which a core and the library differ, with the core's name."""
        texts = iter(texts)
        while group := list(islice(texts, batch_size)):
            try:
                expected = self.library(group)
                found = {name: self.ids(tokenizer, group) for name, tokenizer in self._compared.items()}
            except TokenizationError:
                # The library refuses one of the texts. The others are compared one by one.
                if len(group) > 1:
                    yield from self.mismatches(group, batch_size=1, count_fallbacks=count_fallbacks)
                continue
            self.texts += len(group)
            for name, ids in found.items():
                yield from ((name, text) for text, ours, theirs in zip(group, ids, expected, strict=True) if ours != theirs)
                if count_fallbacks:
                    self.fallbacks += self._compared[name].fallback_count(flatten_tightly(group))

    def check(self, texts: Iterable[str], *, batch_size: int = 8192) -> None:
        """Fail with a small example, unless every core gives the library's ids for every text."""
        found = list(self.mismatches(texts, batch_size=batch_size))
        assert not found, f"{len(found)} texts, one of them {self.describe(*found[0])}"

    def describe(self, name: str, text: str) -> str:
        """Return a shorter text for which a core and the library differ, with the ids of both."""
        small = _shorten(text, lambda shorter: any(core == name for core, _ in self.mismatches([shorter])))
        return f"{small!r} ({name}): {self.ids(self._compared[name], [small])[0]}, not {self.library([small])[0]}"

    def fallback_counts(self, texts: Sequence[str]) -> dict[str, int]:
        """Return for each core how many of the texts it leaves to the library."""
        return {name: tokenizer.fallback_count(flatten_tightly(texts)) for name, tokenizer in self.tokenizers.items()}


def _shorten(text: str, fails: Callable[[str], bool]) -> str:
    """Return a part of a text that still fails. If one more character is left out, it does not fail."""
    if not fails(text):
        return text  # it fails only together with other texts
    step = max(1, len(text) // 2)
    while True:
        for first in range(0, len(text), step):
            shorter = text[:first] + text[first + step :]
            if fails(shorter):
                text = shorter
                break
        else:
            if step == 1:
                return text
            step = max(1, step // 2)


def check(config: Config, texts: Sequence[str]) -> str:
    """Fail unless the tokeniser that the package chooses gives the library's ids, or refuses a text as the library does. Return its name."""
    case = Comparison(config)
    for text in texts:
        found, expected = _ids_or_none(case.ids, case.chosen, [text]), _ids_or_none(case.library, [text])
        assert found == expected, f"{text!r}: {found}, not {expected}"
    case.check(texts)
    return case.chosen.name


def _ids_or_none(tokenize: Callable[..., Ids], *arguments: object) -> Ids | None:
    """Return the ids that a function returns, ``None`` if it refuses a text."""
    try:
        return tokenize(*arguments)
    except TokenizationError:
        return None


class Case(NamedTuple):
    """A tokenizer of the table.

    Attributes:
        make: returns its config.
        cores: the names of the cores that support it.
        falls_back: whether cores may leave natural texts to the library.
    """

    make: Callable[[], Config]
    cores: tuple[str, ...]
    falls_back: bool = False


_BOTH = ("bert", "pipeline")
_PIPELINE = ("pipeline",)
_WORDS_IN_METASPACE = sequence({"type": "WhitespaceSplit"}, metaspace())


def _pipeline(model: str, pre_tokenizer: str, normalizer: Config | None = None, **changes: object) -> Case:
    """Return the case of a model of `data` after a pre-tokeniser of `PRE_TOKENIZERS`."""
    return Case(lambda: config_of(small_model(model, **changes), PRE_TOKENIZERS[pre_tokenizer], normalizer), _PIPELINE)


def _with_byte_tokens(model: Config) -> Config:
    """Return a BPE model that has tokens for some of the bytes that characters fall back to."""
    vocabulary = dict(model["vocab"])
    for byte in [*range(0x20, 0x80), *range(0xC3, 0xE4), *range(0x80, 0xC0, 3), *range(0x81, 0xC0, 3)]:
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    return {**model, "vocab": vocabulary, "byte_fallback": True}


def _fallback(pre_tokenizer: str, **changes: object) -> Case:
    return Case(lambda: config_of(_with_byte_tokens(small_model("bpe", **changes)), PRE_TOKENIZERS[pre_tokenizer]), _PIPELINE)


def _after_spaces(model: str, space: str, pre_tokenizer: str, **changes: object) -> Case:
    """Return the case of a model whose tokens also exist with a space before them."""

    def make() -> Config:
        config = config_of(small_model(model, **changes), PRE_TOKENIZERS[pre_tokenizer])
        return with_tokens(config, [space + token for token in config["model"]["vocab"]])

    return Case(make, _PIPELINE)


# The package must ignore these settings of a file.
_TRUNCATION: Config = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
_PADDING: Config = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}


def _many_added_tokens() -> Config:
    """Return a tokenizer in which more bytes begin an added token than are searched for a block at a time."""
    return with_added_tokens(bert_config(), *(f"{c}{c}token" for c in "abcdefghijkl[<\u4e00\u00e9"))


# Every tokenizer here is compared with the library, with each of its cores.
CASES: dict[str, Case] = {
    **{
        f"bert, {variant}, {vocabulary}": Case(lambda variant=variant, vocabulary=vocabulary: bert_config(variant, vocabulary), _BOTH)
        for variant in BERT_VARIANTS
        for vocabulary in ("small", "bundled")
    },
    **{
        f"bert, prefix {prefix!r}, words up to {limit}": Case(
            lambda prefix=prefix, limit=limit: with_prefix(bert_config(), prefix, limit), _BOTH if limit else _PIPELINE
        )
        for prefix, limit in (
            *(("##", 0), ("##", 1), ("##", 5), ("##", 1000), ("##", 1 << 40), ("", 5), ("", 100)),
            *(("@@", 100), ("x", 1000), ("\u00e9\u4e00", 100)),
        )
    },
    "bert, truncation and padding": Case(lambda: {**bert_config(), "truncation": _TRUNCATION, "padding": _PADDING}, _BOTH),
    "bert, another member": Case(lambda: with_model(bert_config(), surprise=True), _BOTH),
    "bert, no normaliser": Case(lambda: {**bert_config("uncased", "bundled"), "normalizer": None}, _PIPELINE),
    "bert, added token": Case(lambda: with_added_tokens(bert_config(), "New York", "the"), _BOTH),
    "bert, normalised added token": Case(lambda: with_added_tokens(bert_config(), "New York", "\u00e9t", normalized=True), _BOTH),
    "bert, many added tokens": Case(_many_added_tokens, _BOTH),
    "bytes": _pipeline("bpe-bytes", "byte-level"),
    "bytes, prefix space": _pipeline("bpe-bytes", "byte-level-prefix"),
    "bytes, Llama 3, whole words": _pipeline("bpe-bytes", "llama3-bytes", ignore_merges=True),
    "bytes, Qwen 2, no unknown token": _pipeline("bpe-bytes", "qwen2-bytes", unk_token=None),
    "bytes, StarCoder": _pipeline("bpe-bytes", "starcoder"),
    "bytes, one piece": _pipeline("bpe-bytes", "byte-level-bare"),
    "bytes, some missing": Case(lambda: config_of(with_unassigned_bytes(small_model("bpe-bytes"), "qz\u00c3\u0133"), byte_level()), _PIPELINE),
    "bytes, fallback": Case(lambda: config_of(_with_byte_tokens(small_model("bpe-bytes")), byte_level()), _PIPELINE),
    "bytes, suffix": _pipeline("bpe-bytes-suffix", "byte-level"),
    "bytes, NFC": _pipeline("bpe-bytes", "byte-level", {"type": "NFC"}),
    "characters": _pipeline("bpe", "whitespace"),
    "characters, fused": _pipeline("bpe", "whitespace", fuse_unk=True),
    "characters, no unknown token": _pipeline("bpe", "bert", unk_token=None),
    "characters, one piece": _pipeline("bpe", "nothing", fuse_unk=True),
    "characters, whole words": _pipeline("bpe", "bert", ignore_merges=True),
    "characters, fallback": _fallback("bert"),
    "characters, fallback, fused": _fallback("whitespace", fuse_unk=True),
    "characters, lowercased": _pipeline("bpe", "whitespace", normalizer_sequence(NORMALIZERS["NFKC"], NORMALIZERS["Lowercase"])),
    "prefix": _pipeline("bpe-prefix", "whitespace"),
    "suffix": _pipeline("bpe-suffix", "whitespace", fuse_unk=True),
    "prefix and suffix": _pipeline("bpe-both", "bert", ignore_merges=True),
    "no merges": Case(lambda: config_of(bpe_model([], "abcdethe\u00e9\u4e00"), PRE_TOKENIZERS["whitespace"]), _PIPELINE),
    "words": _pipeline("wordlevel", "whitespace"),
    "words of bytes": _after_spaces("wordlevel", "\u0120", "byte-level"),
    "words, normalised": _pipeline("wordlevel", "bert", NORMALIZERS["bert"]),
    "one word": Case(lambda: config_of(word_level_model("the"), PRE_TOKENIZERS["spaces"]), _PIPELINE),
    "word pieces": _pipeline("wordpiece", "whitespace"),
    "word pieces, spaces in words": _after_spaces("wordpiece", " ", "gpt2", max_input_chars_per_word=9),
    "unigram": _pipeline("unigram", "metaspace-always-\u2581"),
    "unigram, words": _pipeline("unigram", "spaces-metaspace-always-\u2581"),
    "unigram, one piece": _pipeline("unigram", "metaspace-always-whole-\u2581"),
    "unigram, no pre-tokeniser": _pipeline("unigram", "none"),
    "unigram, phrases": _pipeline("unigram-phrases", "metaspace-never-whole-\u2581"),
    "unigram, at the beginning": _pipeline("unigram", "metaspace-first-\u2581"),
    "unigram, SentencePiece": Case(
        lambda: config_of(
            small_model("unigram"),
            _WORDS_IN_METASPACE,
            normalizer_sequence(NORMALIZERS["Precompiled"], NORMALIZERS["Strip-right"], NORMALIZERS["Replace-spaces"]),
        ),
        _PIPELINE,
        falls_back=True,
    ),
    "unigram, NFKC": _pipeline("unigram", "spaces-metaspace-always-\u2581", NORMALIZERS["NFKC"]),
    "unigram, ties": Case(lambda: config_of(random_unigram_model(3), metaspace(splits=False)), _PIPELINE),
    "unigram, fallback": Case(
        lambda: config_of(unigram_model([*small_config("unigram")["model"]["vocab"], *_byte_scores()], byte_fallback=True), metaspace()), _PIPELINE
    ),
    "unigram, added token": Case(lambda: config_of(small_model("unigram"), _WORDS_IN_METASPACE, added_tokens=[_added_unigram_token()]), _PIPELINE),
    "no dropout": Case(lambda: config_of(small_model("bpe-bytes", dropout=0.0), byte_level()), _PIPELINE),
    "library: an unknown pre-tokeniser": Case(lambda: {**bert_config(), "pre_tokenizer": {"type": "UnicodeScripts"}}, ()),
}


def _byte_scores() -> list[tuple[str, float]]:
    return [(f"<0x{byte:02X}>", -5.0) for byte in range(0x20, 0x100) if byte % 7]


def _added_unigram_token() -> Config:
    """Return an added token that is a token of the small Unigram model too."""
    vocabulary = [token for token, _ in small_config("unigram")["model"]["vocab"]]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "special": False, "normalized": False}
    return {"id": vocabulary.index("a"), "content": "a", **flags}


@cache
def comparison(name: str) -> Comparison:
    """Return the comparison for one of `CASES`. The tests share it, and with it the library's answers and the cores' memory."""
    case = Comparison(CASES[name].make())
    assert tuple(case.tokenizers) == CASES[name].cores, name
    return case
