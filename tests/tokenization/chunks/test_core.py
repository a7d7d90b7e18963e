"""The core with a cache of chunks in front, around a core in Python whose ids are easy to predict."""

from __future__ import annotations

import itertools
import random
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model2vec_numba.batches import TextBatch, TokenBatch, token_batch
from model2vec_numba.text.strings import flatten
from model2vec_numba.tokenization.chunks.core import ChunkedCore
from model2vec_numba.tokenization.chunks.kernel import MAX_GAPS
from model2vec_numba.tokenization.chunks.rules import ChunkRule
from model2vec_numba.tokenization.stages import DONE, FALLBACK

RULES = {
    "trims": ChunkRule(trims=True, after_newline=False, drops_space=False, edges=None),
    "spaces": ChunkRule(trims=False, after_newline=False, drops_space=False, edges=None),
    "lines": ChunkRule(trims=False, after_newline=True, drops_space=False, edges=None),
    "dropped": ChunkRule(trims=False, after_newline=True, drops_space=True, edges=None),
}
WORDS = ["a", "the", "house,", "Möbius", "日本語", "x" * 16, "y" * 17, "z" * 32, "long" * 20, "end.", "(see", "\u3000", "\x00"]
GAPS = [" "] * 12 + ["  ", "\n", "\n\n", "\t", " \n ", "\r\n", "\u00a0", "\x1f"]


def cut(text: bytes, rule: ChunkRule) -> list[bytes]:
    """Return the chunks of a text, as `ChunkRule` describes them."""
    if rule.trims:
        return re.findall(rb"[^ \t\n\r]+", text)
    single = rb"(?<=[\x21-\xff]) (?=[\x21-\xff])"
    cuts = {match.start() for match in re.finditer(single, text)}
    if rule.after_newline:
        cuts |= {match.end() for match in re.finditer(rb"(?<=[\x21-\xff])\n(?=[\x21-\xff])", text)}
    places = [0, *sorted(cuts), len(text)]
    chunks = [text[begin:end] for begin, end in itertools.pairwise(places) if begin < end]
    return [chunk[1:] if rule.drops_space and k > 0 and chunk[:1] == b" " else chunk for k, chunk in enumerate(chunks)]


class PythonCore:
    """A core whose ids depend on all bytes of a text. A text that holds ``?`` is not supported. Tokens may be more than bytes."""

    name = "python"
    cuts_at_spaces = False

    def __init__(self) -> None:
        self.texts: list[bytes] = []

    def make_scratch(self) -> Any:
        return object()

    @staticmethod
    def ids_of(text: bytes) -> list[int]:
        count = text[0] % 7 if len(text) > 1 else 40
        return [sum(text) * 1000 + k for k in range(count)]

    def tokenize(self, texts: TextBatch, max_tokens: int | None, _scratch: object) -> tuple[TokenBatch, NDArray[np.uint8] | None]:
        data, offsets = texts.data.tobytes(), texts.offsets.tolist()
        parts = [data[begin:end] for begin, end in itertools.pairwise(offsets)]
        self.texts += parts
        status = np.array([FALLBACK if b"?" in part else DONE for part in parts], np.uint8)
        return token_batch([self.ids_of(part)[:max_tokens] for part in parts]), status if status.any() else None


def is_unsafe(chunk: bytes) -> bool:
    """Return whether a chunk begins with a quotation mark. Only `NoQuotes` makes a difference for these."""
    return chunk.lstrip(b" ").startswith(b'"')


class NoQuotes:
    """Edges that are unsafe if a chunk begins with a quotation mark."""

    def unsafe(self, chunks: TextBatch) -> NDArray[np.uint8]:
        return np.array([is_unsafe(chunks.text(k).encode()) for k in range(len(chunks))], np.uint8)


def random_texts(draw: random.Random, count: int, words: list[str] = WORDS) -> list[str]:
    return ["".join(draw.choice(words) + draw.choice(GAPS) for _ in range(draw.randrange(30)))[: draw.choice([9999, -1])] for _ in range(count)]


def check(core: Any, rule: ChunkRule, texts: list[str], max_tokens: int | None) -> None:
    scratch = core.make_scratch()
    seen_before = len(core._core.texts)
    tokens, status = core.tokenize(flatten(texts), max_tokens, scratch)
    # If most bytes are in long chunks, the core gets the texts as they are.
    goes_directly = core._core.texts[seen_before:] == [text.encode() for text in texts]
    for k, (begin, end) in enumerate(tokens.bounds()):
        text = texts[k].encode()
        seen = chunks = cut(text, rule)
        if max_tokens is not None:
            # A chunk after the limit changes nothing, unless it is the first one. On an empty cache it may be met all the same.
            counts = np.cumsum([len(PythonCore.ids_of(chunk)) for chunk in chunks])
            seen = chunks[: int(np.searchsorted(counts, max_tokens)) + 1 + (rule.edges is not None)]
        if status is not None and status[k] == FALLBACK:
            assert b"?" in text
            continue
        assert not any(b"?" in chunk for chunk in seen) or goes_directly
        by_chunks, as_whole = ([number for part in parts for number in PythonCore.ids_of(part)][:max_tokens] for parts in (chunks, [text]))
        expected = [] if any(map(is_unsafe, seen)) else [by_chunks]
        if goes_directly or (rule.edges is not None and any(map(is_unsafe, chunks))):
            expected.append(as_whole)
        assert tokens.ids[begin:end].tolist() in expected, texts[k]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("max_tokens", [None, 0, 1, 13, 100])
def test_ids_are_those_of_the_chunks(rule: ChunkRule, max_tokens: int | None) -> None:
    draw = random.Random(max_tokens)
    core = ChunkedCore(PythonCore(), rule)
    for count in (1, 3, 400, 400, 1):
        check(core, rule, random_texts(draw, count), max_tokens)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_texts_of_all_lengths(rule: ChunkRule) -> None:
    core = ChunkedCore(PythonCore(), rule)
    texts = ["x" * length + gap + "y" * (130 - length) + gap for length in range(131) for gap in (" ", "\n", "")]
    for k in range(2):
        check(core, rule, texts[k:], None)
        for text in texts[k::7]:
            check(core, rule, [text], None)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("max_tokens", [None, 50])
def test_more_missing_chunks_than_gaps(rule: ChunkRule, max_tokens: int | None) -> None:
    texts = [" ".join(f"{number}.{k}" for k in range(700)) for number in range(20)]
    inner = PythonCore()
    core = ChunkedCore(inner, rule)
    check(core, rule, [*texts, *texts[::-1], " ".join(texts)], max_tokens)
    check(core, rule, [" ".join(texts[:9]), "", "one"], max_tokens)
    assert MAX_GAPS < 20 * 700


def test_a_chunk_goes_to_the_core_once() -> None:
    inner = PythonCore()
    core = ChunkedCore(inner, RULES["trims"])
    check(core, RULES["trims"], ["one two one", "two three one"] * 100, None)
    check(core, RULES["trims"], ["three", "two two"], None)
    assert sorted(inner.texts) == [b"one", b"three", b"two"]


def test_texts_that_cannot_be_cut_are_tokenized_whole() -> None:
    rule = ChunkRule(trims=False, after_newline=True, drops_space=False, edges=NoQuotes())
    draw = random.Random(1)
    core = ChunkedCore(PythonCore(), rule)
    words = [*WORDS, '"quoted', "what?", 'say"']
    for max_tokens in (None, 5):
        for _ in range(3):
            check(core, rule, random_texts(draw, 300, words), max_tokens)
            check(core, rule, random_texts(draw, 1, words), max_tokens)


def test_a_full_cache_is_replaced() -> None:
    core = ChunkedCore(PythonCore(), RULES["trims"])
    first = core._cache.rows
    for start in range(0, 80_000, 4_000):
        check(core, RULES["trims"], [" ".join(map(str, range(start + k, start + k + 40))) for k in range(0, 4_000, 40)], None)
    assert core._cache.rows is not first
    check(core, RULES["trims"], ["17 3999 79999"], None)


def test_texts_without_spaces_go_to_the_core_directly() -> None:
    inner = PythonCore()
    core = ChunkedCore(inner, RULES["spaces"])
    scratch = core.make_scratch()
    texts = ["x" * 100 + str(k) for k in range(50)]
    core.tokenize(flatten(texts), None, scratch)
    assert inner.texts == [text.encode() for text in texts]
    # The next batch is cut, and nothing remains of the chunks that were met before.
    core.tokenize(flatten(["some words"] * 3), None, scratch)
    assert inner.texts[len(texts) :] == [b"some", b" words"]


def test_long_chunks_after_the_beginning_are_cut() -> None:
    inner = PythonCore()
    core = ChunkedCore(inner, RULES["trims"])
    texts = ["one two"] * 3000 + [f"one {'x' * 100}"] * 3000
    check(core, RULES["trims"], texts, None)
    assert inner.texts == [b"one", b"two", *[b"x" * 100] * 3000]
    # The slots of the chunks that were met before the core got the texts must be empty.
    check(core, RULES["trims"], [" ".join(f"{k}" for k in range(100, 200)), "y" * 5000], None)
    check(core, RULES["trims"], [f"{k}" for k in range(100, 200)], None)
    assert inner.texts[-100:] == [f"{k}".encode() for k in range(100, 200)]


def test_threads_share_the_cache() -> None:
    rule = RULES["trims"]
    core = ChunkedCore(PythonCore(), rule)
    # No batch begins with long chunks.
    words = [word for word in WORDS if len(word) < 17]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(lambda seed: check(core, rule, random_texts(random.Random(seed), 300, words), 60), seed) for seed in range(24)]:
            done.result()


def test_a_short_text_is_in_the_memory_of_the_call() -> None:
    core = ChunkedCore(PythonCore(), RULES["trims"])
    scratch = core.make_scratch()
    core.tokenize(flatten(["some words"]), None, scratch)
    tokens, _ = core.tokenize(flatten(["some words"]), None, scratch)
    assert tokens.ids is scratch.tokens.ids
