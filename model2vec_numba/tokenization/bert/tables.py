"""Recognise BERT's pipeline in a `tokenizer.json`, and make the tables of its core."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.added_tokens.finder import make_finder
from model2vec_numba.tokenization.added_tokens.reading import NO_TOKENS, AllAddedTokens
from model2vec_numba.tokenization.bert.code_points import CodePointTable
from model2vec_numba.tokenization.bert.core import (
    BYTE_ALNUM,
    BYTE_ISOLATE,
    BYTE_OTHER,
    BYTE_SPACE,
    ISOLATE,
    KIND_MASK,
    SPACE,
    WORD,
    BertCore,
    BertTables,
)
from model2vec_numba.tokenization.components import has_form, library_normalizer
from model2vec_numba.tokenization.lookup.double_array import LARGEST_TRIE_ID
from model2vec_numba.tokenization.lookup.word_pieces import build_vocabulary, holds_nul
from model2vec_numba.tokenization.normalizers import make_normalizer
from model2vec_numba.tokenization.pipeline import PipelineCore, make_cutter, normalize_contents
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

__all__ = ["make_bert_core"]

# The members of BERT's components, besides their type.
_NORMALIZER = {"clean_text": bool, "handle_chinese_chars": bool, "strip_accents": (bool, type(None)), "lowercase": bool}
_NO_NORMALIZER = {"type": "Sequence", "normalizers": list[str]()}
_MODEL = {"unk_token": str, "continuing_subword_prefix": str, "max_input_chars_per_word": int, "vocab": dict}


def make_bert_core(spec: TokenizerSpec, added: AllAddedTokens) -> BertCore | PipelineCore | None:
    """Return the core for a tokenizer with the pipeline of BERT. ``None`` if the tokenizer has another pipeline.

    If added tokens are found in the normalised text, the text is first normalised and cut, and the core that does all in one pass gets the spans. Its
    tables are those of a tokenizer without a normaliser then.
    """
    normalizer, model = spec.config.get("normalizer"), spec.config["model"]
    if (
        not has_form(normalizer, _NORMALIZER)
        or normalizer["type"] != "BertNormalizer"
        or spec.config.get("pre_tokenizer") != {"type": "BertPreTokenizer"}
        or not has_form(model, _MODEL)
        or model["type"] != "WordPiece"
        or spec.plain_vocabulary is None
        or spec.mapped_vocabulary[1].max(initial=0) > LARGEST_TRIE_ID
        or model["unk_token"] not in model["vocab"]
        or model["max_input_chars_per_word"] < 1
    ):
        return None
    # The objects of the `tokenizers` library for the normaliser and the pre-tokeniser. Without the vocabulary, they are made quickly.
    empty = Tokenizer.from_str(json.dumps({**spec.config, "model": {**model, "vocab": {}}, "added_tokens": []}))
    if added.normalized.contents:
        stage = make_normalizer(normalizer)
        contents = normalize_contents(added.normalized, stage, normalizer) if stage is not None else None
        # If normalisation empties an added token, only the library can find it.
        if contents is None:
            return None
        core = BertCore(
            _make_tables(spec, library_normalizer(_NO_NORMALIZER), empty.pre_tokenizer, decomposes=False),
            make_finder(NO_TOKENS, None),
            finds_in_texts=False,
        )
        cutters = [make_cutter(tokens, spec.unk_token_id) for tokens in (added.raw, contents)]
        return PipelineCore(stage, core, *cutters, knows_beginnings=True)
    strips_accents = normalizer["lowercase"] if normalizer["strip_accents"] is None else normalizer["strip_accents"]
    tables = _make_tables(spec, empty.normalizer, empty.pre_tokenizer, decomposes=strips_accents)
    return BertCore(tables, make_finder(added.raw, spec.unk_token_id), finds_in_texts=added.hold_white_space)


def _make_tables(spec: TokenizerSpec, normalizer: Normalizer, pre_tokenizer: PreTokenizer, *, decomposes: bool) -> BertTables:
    """Return the tables for a normaliser and a pre-tokeniser of the library and the vocabulary of a tokenizer. `decomposes`: see `CodePointTable`."""
    model = spec.config["model"]
    code_points = CodePointTable(normalizer, pre_tokenizer, decomposes=decomposes)
    byte_kinds, lowercases = _byte_kinds(code_points)
    # The tables could not tell a NUL from padding. Tokens with a NUL are left out: no word holds one, because `CodePointTable` does not support it.
    vocabulary, ids = spec.mapped_vocabulary
    tokens = spec.mapped_texts()
    if holds_nul(tokens):
        kept = [token for token in vocabulary if "\0" not in token]
        tokens, ids = flatten(kept), np.array([vocabulary[token] for token in kept], np.int32)
    return BertTables(
        byte_kinds,
        lowercases,
        code_points.entries,
        code_points.arena,
        code_points.filler,
        build_vocabulary(tokens, ids, model["continuing_subword_prefix"].encode("utf-8")),
        model["vocab"][model["unk_token"]],
        model["max_input_chars_per_word"],
    )


def _byte_kinds(table: CodePointTable) -> tuple[NDArray[np.uint8], bool]:
    """Return the class of each byte, and whether ASCII capitals become small letters.

    Bytes are `BYTE_ALNUM` only if all ASCII letters and digits become themselves, or all become their small letters.
    """
    kinds = np.full(256, BYTE_OTHER, np.uint8)
    entries = [int(entry) for entry in table.entries[:128]]
    # The ASCII characters whose result is one byte, with that byte; see `CodePointTable.entries`.
    becomes = {c: chr(entry >> 16) for c, entry in enumerate(entries) if (entry >> 4) & 15 == 1}
    alnum = [c for c in range(128) if chr(c).isalnum()]
    same = all(becomes.get(c) == chr(c) for c in alnum)
    lower = all(becomes.get(c) == chr(c).lower() for c in alnum)
    for c, entry in enumerate(entries):
        if entry & KIND_MASK == SPACE:
            kinds[c] = BYTE_SPACE
        elif entry & KIND_MASK == ISOLATE and becomes[c] == chr(c):
            kinds[c] = BYTE_ISOLATE
        elif entry & KIND_MASK == WORD and c in alnum and (same or lower):
            kinds[c] = BYTE_ALNUM
    return kinds, lower and not same
