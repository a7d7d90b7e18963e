"""Batches of UTF-8 bytes and offsets against plain Python."""

from __future__ import annotations

import itertools
import sys
import threading
from collections import UserString
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from helpers import make_batches
from hypothesis import example, given
from hypothesis import strategies as st

from model2vec_numba import batches
from model2vec_numba.batches import BatchLimits, TextBatch
from model2vec_numba.jit.simd import BLOCK
from model2vec_numba.text import strings
from model2vec_numba.text.columns import column_batches
from model2vec_numba.text.plain_strings import has_lock
from model2vec_numba.text.strings import Strings, flatten

# Hypothesis's texts have no surrogates. These characters make all lengths of UTF-8 likely.
characters = st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("a\x00\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff"))
sentence_lists = st.lists(st.text(characters, max_size=12), max_size=12)


@pytest.fixture(params=["in place", "free-threaded"], autouse=True)
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All tests run a second time as in free-threaded Python, where no memory of strings is read."""
    if request.param == "free-threaded":
        monkeypatch.setattr(strings, "has_lock", lambda: False)
        for kernel in ("max_utf8_lengths", "write_utf8"):
            monkeypatch.setattr(strings, kernel, Mock(side_effect=AssertionError("reads the memory of strings")))
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize(("enabled", "expected"), [(None, True), (lambda: True, True), (lambda: False, False)])
def test_whether_python_is_free_threaded(enabled: Callable[[], bool] | None, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if enabled is None:
        monkeypatch.delattr(sys, "_is_gil_enabled", raising=False)
    else:
        monkeypatch.setattr(sys, "_is_gil_enabled", enabled, raising=False)
    assert has_lock() is expected


def parts(batch: TextBatch) -> list[bytes]:
    """Return the bytes of each text."""
    return [batch.data[begin:end].tobytes() for begin, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)]


@given(sentence_lists)
@example(["", "", ""])
@example(["\u00e9" * 5, "abc", "\U0001f600\U0001f600"])
@example([])
def test_flatten(sentences: list[str]) -> None:
    batch = flatten(sentences)
    assert parts(batch) == [sentence.encode() for sentence in sentences]
    assert (batch.data.dtype.name, batch.offsets.dtype.name) == ("uint8", "int64")
    assert batch.offsets[0] == 0
    # Kernels may read the bytes after the texts, so these are always zeros.
    assert len(batch.data) == batch.offsets[-1] + BLOCK and not batch.data[batch.offsets[-1] :].any()
    assert len(batch) == len(sentences)
    assert [batch.text(i) for i in range(len(batch))] == sentences


@given(
    sentence_lists,
    st.none() | st.integers(1, 15),
    st.integers(1, 14),
    st.integers(1, 40),
)
def test_batches(sentences: list[str], max_chars: int | None, batch_size: int, budget: int) -> None:
    found = make_batches(Strings(sentences, max_chars).batches(BatchLimits(batch_size, budget)))
    kept = [sentence[:max_chars] for sentence in sentences]
    assert [part for batch in found for part in parts(batch)] == [sentence.encode() for sentence in kept]
    for batch in found:
        assert 1 <= len(batch) <= batch_size
        # A batch keeps the limit unless it is one long text.
        assert len(batch) == 1 or sum(len(batch.text(i)) for i in range(len(batch))) <= budget


def test_a_huge_batch_is_split() -> None:
    long = "0123456789" * 30_000
    found = make_batches(Strings([long] * 20 + ["short"] * 5 + [long * 10], None).batches(BatchLimits(1000)))
    assert len(found) > 5
    assert sum(map(len, found)) == 26
    assert max(batch.offsets[-1] for batch in found[:-1]) <= 1_500_000
    assert parts(found[-1])[-1] == (long * 10).encode()
    # The characters that are cut off do not count.
    assert len(list(Strings([long] * 20, 10).batches(BatchLimits(1000)))) == 1


def test_few_bytes_are_one_batch() -> None:
    """They are not worth a second thread."""
    limits = BatchLimits(3000, threads=2)
    for length in (255, 257):
        assert (len(list(Strings(["x" * length] * 1024, None).batches(limits))) == 1) == (length < 256)
    assert list(Strings([], None).batches(limits)) == []


@pytest.mark.parametrize("length", [0, 1, 10, 999, 5000])
@pytest.mark.parametrize("threads", [2, 16])
def test_the_last_batches_that_threads_share_out_are_small(threads: int, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the thread that ends last keeps the others waiting for a small part of the work only."""
    fewest, most = 1000, 20_000
    monkeypatch.setattr(batches, "_MIN_SHARED_BYTES", fewest)
    limits = BatchLimits(3000, most, threads)
    sentences = ["x" * length] * 4000
    data = np.frombuffer("".join(sentences).encode(), np.uint8)
    offsets = np.arange(len(sentences) + 1, dtype=np.int64) * length
    of_list = Strings(sentences, None).batches(limits)
    # A column is read in blocks, and more texts may come after a block.
    of_column = [
        batch
        for begin in range(0, len(sentences), 1000)
        for batch in column_batches(data, offsets[begin : begin + 1001], None, None, limits, len(sentences) - begin - 1000)
    ]
    for made in (list(of_list), of_column):
        done = 0
        for batch in made:
            allowed = min(most, max(fewest, (len(sentences) - done) * length / (2 * threads)))
            done += len(batch)
            assert batch.max_bytes == length * len(batch)
            assert batch.max_bytes <= allowed or len(batch) == 1
            # One more text would have been too much, or the block has no more.
            assert batch.max_bytes + length > allowed - 1 or done % 1000 == 0
        assert done == len(sentences)


# Lengths around the numbers of characters that compiled code handles at a time.
LENGTHS = [*range(70), 127, 128, 129, 1000]


@pytest.mark.parametrize("character", ["a", "\u00e9", "\u0436", "\u65e5", "\U0001f600"])
def test_one_other_character_anywhere(character: str) -> None:
    """Strings of ASCII and one other character, which decides how wide CPython stores them, at every place."""
    sentences = ["b" * at + character + "c" * (length - at) for length in LENGTHS[:70] for at in range(0, length + 1, 3)]
    sentences += [character * length for length in LENGTHS] + [(character + "d") * length for length in LENGTHS]
    batch = flatten(sentences)
    assert parts(batch) == [sentence.encode() for sentence in sentences]
    assert not batch.data.flags.writeable
    for max_chars in (1, 15, 16, 17, 40):
        (cut,) = make_batches(Strings(sentences[-60:], max_chars).batches(BatchLimits(1000)))
        assert parts(cut) == [sentence[:max_chars].encode() for sentence in sentences[-60:]]


class Liar(str):
    """A string whose methods say something else than its contents."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"other"

    def __getitem__(self, _: object) -> str:
        return "other"

    def __len__(self) -> int:
        return 99


def test_subclasses() -> None:
    assert parts(flatten([Text("\u00fc"), np.str_("x\u65e5"), "", Text("")])) == ["\u00fc".encode(), "x\u65e5".encode(), b"", b""]
    assert parts(flatten([Liar("abc")])) == [b"abc"]
    with pytest.raises(ValueError, match=r"U\+DC00 at character 2$"):
        flatten([Liar("ab\udc00")])


class Impostor:
    """An object that claims to be a string. Its memory has something else where a string has its length."""

    __slots__ = ("a", "b", "c", "d")
    __class__ = property(lambda _: str)  # type: ignore[assignment]


class Thrower:
    """An object whose class cannot be asked for."""

    @property
    def __class__(self) -> type:
        raise ValueError("no class")


@pytest.mark.parametrize("make", [Impostor, Thrower, lambda: Mock(spec=str)], ids=["impostor", "thrower", "mock"])
def test_what_only_says_that_it_is_a_string(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r"sentences\[1\] must be a str, not "):
        Strings(["x", make()], None)
    with pytest.raises(TypeError, match=r"sentences\[1\] must be a str, not "):
        flatten(["x", make()])


def test_a_list_that_changes_later() -> None:
    """The batches have the strings that were in the list before."""
    sentences = ["fine"] * 4
    made = Strings(sentences, None).batches(BatchLimits(2))
    first = next(made)
    sentences[3] = b"bytes"  # type: ignore[call-overload]
    del sentences[:2]
    assert [part for batch in (first, *made) for part in parts(batch.make())] == [b"fine"] * 4


def test_a_list_that_another_thread_changes(road: str) -> None:
    """All strings are those that the list had at one time."""
    sentences = ["x"] * 100_000
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            del sentences[stop_at() :]
            sentences.extend("y" for _ in range(100_000 - len(sentences)))

    stop_at = iter(itertools.cycle([0, 99_999, 50_000, 65_536, 1])).__next__
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300 if road == "in place" else 10):
            taken = Strings(sentences, None)
            assert (taken.max_bytes == 1).all() and len(taken) <= 100_000
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_portions_are_flattened_when_they_are_asked_to() -> None:
    good, bad = Strings(["fine", "fine", "bad \ud800"], None).batches(BatchLimits(2))
    assert parts(good.make()) == [b"fine"] * 2
    with pytest.raises(ValueError, match=r"sentences\[2\]"):
        bad.make()


@given(sentence_lists, sentence_lists, st.text(characters, max_size=5), st.integers(0xD800, 0xDFFF), st.text(characters, max_size=5))
def test_surrogates_are_named(before: list[str], after: list[str], head: str, surrogate: int, tail: str) -> None:
    sentences = [*before, head + chr(surrogate) + tail, *after]
    with pytest.raises(ValueError, match="surrogate") as raised:
        make_batches(Strings(sentences, None).batches(BatchLimits(5)))
    assert not isinstance(raised.value, UnicodeError)
    message = str(raised.value)
    assert f"sentences[{len(before)}]" in message
    assert f"U+{surrogate:04X}" in message
    assert message.endswith(f"character {len(head)}")


def test_surrogates_past_the_cut_are_not_read() -> None:
    (batch,) = make_batches(Strings(["ab\udc80", "c"], 2).batches(BatchLimits(1024)))
    assert parts(batch) == [b"ab", b"c"]


def test_a_pair_of_surrogates_is_two_lone_ones() -> None:
    with pytest.raises(ValueError, match=r"sentences\[1\].*U\+D83D at character 1$"):
        flatten(["", "x\ud83d\ude00"])


class Text(str):
    """A subclass of str."""

    __slots__ = ()


class Pair(tuple[str, ...]):
    """A tuple with members of its own."""


def test_any_iterable() -> None:
    for sentences in (
        ["a", "b"],
        ("a", "b"),
        Pair(("a", "b")),
        [Text("a"), np.str_("b")],
        (word for word in ("a", "b")),
        {"a": 1, "b": 2},
        np.array(["a", "b"]),
    ):
        assert parts(flatten(sentences)) == [b"a", b"b"]


@given(sentence_lists, st.sampled_from([None, float("nan"), b"bytes", 7, ["nested"], UserString("not one"), np.bytes_(b"x")]), sentence_lists)
def test_other_elements_are_named(before: list[str], culprit: Any, after: list[str]) -> None:
    for sentences in ([*before, culprit, *after], (*before, culprit), iter([*before, culprit, None])):
        with pytest.raises(TypeError) as raised:
            Strings(sentences, None)
        message = str(raised.value)
        assert f"sentences[{len(before)}]" in message
        assert type(culprit).__name__ in message


@pytest.mark.parametrize(
    "sentences", [b"bytes", bytearray(b"bytes"), None, 7, 1.5, object(), np.array("scalar")], ids=lambda value: type(value).__name__
)
def test_what_is_no_sequence_is_refused(sentences: Any) -> None:
    with pytest.raises(TypeError):
        Strings(sentences, None)


def test_message_of_a_long_culprit_is_short() -> None:
    with pytest.raises(TypeError) as raised:
        Strings([b"x" * 100_000], None)  # type: ignore[list-item]
    assert len(str(raised.value)) < 300
