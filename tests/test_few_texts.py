"""The short road of a few strings gives the vectors of the other road, to the bit, or leaves the strings to it."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pytest
from helpers import DTYPES, KINDS, sample_texts
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model2vec_numba import StaticModel, few_texts
from model2vec_numba.encoder import Encoder
from model2vec_numba.few_texts import MAX_BYTES, MAX_TEXTS

characters = st.one_of(st.characters(), st.sampled_from("aB  \u00e9\u0436\u65e5\U0001f600\ud800"))


def encoder_of(model: StaticModel, **settings: Any) -> Encoder:
    encoder = model._encoder(model._length(settings.pop("max_length", model.max_length)), **settings)
    assert isinstance(encoder, Encoder)
    return encoder


def by_short_road(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32] | None:
    out = np.full((len(texts), encoder.table.dim), np.nan, np.float32)
    settings = encoder.max_tokens, encoder.max_chars, encoder.normalize
    written = encoder.few_texts.encode(tuple(texts), *settings, out)
    new = encoder.few_texts.encode(tuple(texts), *settings)
    if written is None:
        assert new is None
        return None
    assert written is out
    assert new is not None and new.dtype == out.dtype and new.shape == out.shape and new.flags.carray and new.flags.owndata
    assert new.tobytes() == out.tobytes()
    return out


def by_other_road(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    out = np.full((len(texts), encoder.table.dim), np.nan, np.float32)
    encoder._write_strings(tuple(texts), out)
    return out


def check(encoder: Encoder, texts: Sequence[str]) -> None:
    """Compare both roads. The other road first, so that all characters and chunks are known."""
    expected = by_other_road(encoder, texts)
    found = by_short_road(encoder, texts)
    assert found is not None
    assert found.tobytes() == expected.tobytes()


def some_lists(texts: list[str]) -> list[list[str]]:
    """Return lists of all lengths that the short road takes."""
    short = [text for text in texts if len(text) < 100]
    return [[], *([text] for text in short), ["", "", short[0], ""], short[:MAX_TEXTS], ["a" * MAX_BYTES], ["a b "] * MAX_TEXTS]


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tokenizer(kind: str, normalize: bool, make_model: Callable[..., StaticModel]) -> None:
    model = make_model(kind, 40, "int8", normalize=normalize)
    for max_length in (None, 1, 7, 512):
        encoder = encoder_of(model, max_length=max_length)
        for texts in some_lists(sample_texts(60)):
            by_other_road(encoder, texts)
            # Chunks that are too long for the cache are not known later either.
            check(encoder, [text for text in texts if by_short_road(encoder, [text]) is not None])


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("dim", [1, 31, 32, 96, 257])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_storage_type(dtype: str, dim: int, weights: bool, make_model: Callable[..., StaticModel]) -> None:
    for mapping in (False, True):
        model = make_model("wordpiece-uncased", dim, dtype, weights=weights, mapping=mapping)
        for normalize in (True, False):
            check(encoder_of(model, normalize=normalize), ["it is cold", "", "the cat sat " * 60, "!"])


@given(st.lists(st.text(characters, max_size=30), max_size=6), st.none() | st.integers(1, 5))
@example(["\ud800"], None)
@example(["a\x00b", "\x00"], 3)
def test_random_strings(default_model: StaticModel, strings: list[str], max_length: int | None) -> None:
    encoder = encoder_of(default_model, max_length=max_length)
    found = by_short_road(encoder, strings)
    try:
        expected = by_other_road(encoder, strings)
    except ValueError:
        assert found is None
        return
    assert found is None or found.tobytes() == expected.tobytes()
    again = by_short_road(encoder, strings)
    # The other road fills the tables of characters.
    assert again is not None and again.tobytes() == expected.tobytes()


class Liar(str):
    """A string whose methods say something else than its contents."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"other"

    def __len__(self) -> int:
        return 99


def test_subclasses_of_str(default_model: StaticModel) -> None:
    expected = default_model.encode("abc")
    for text in (Liar("abc"), np.str_("abc")):
        assert default_model.encode(text).tobytes() == expected.tobytes()
        assert default_model.encode([text, "x"])[0].tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "strings",
    [["a"] * (MAX_TEXTS + 1), ["a" * (MAX_BYTES + 1)], ["a" * 9000, "b" * 9000], ["a", 1], ["a", None], [b"a"], ["\ud800"], [Mock(spec=str)]],
    ids=["many", "long", "long together", "int", "None", "bytes", "surrogate", "mock"],
)
def test_what_it_leaves(default_model: StaticModel, strings: list[Any]) -> None:
    assert by_short_road(encoder_of(default_model, max_length=None), strings) is None


def test_a_tokenizer_without_compiled_code() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.CharDelimiterSplit("x")
    model = StaticModel(np.eye(3, dtype=np.float32), tokenizer)
    assert model.encode("axb").tolist() == [0.5, 0.5, 0]
    if model.tokenizer_backend == "tokenizers":
        assert by_short_road(encoder_of(model), ["a"]) is None


@pytest.mark.parametrize("missing", ["address_of", "as_builtin", "numpy_functions"])
def test_another_version_of_numba_or_numpy(missing: str, monkeypatch: pytest.MonkeyPatch, tiny_folder: Any) -> None:
    monkeypatch.setattr(few_texts, missing, lambda *_: None)
    model = StaticModel.from_pretrained(tiny_folder)
    assert model.encode("the cat").tolist() == model.encode(["the cat"] * 300)[299].tolist()
    assert by_short_road(encoder_of(model), ["the cat"]) is None


@pytest.mark.parametrize("column", [["it is cold"], pa.array(["it is cold"])], ids=["list", "Arrow"])
def test_a_full_cache_grows(column: Any, make_model: Callable[..., StaticModel]) -> None:
    """Also if only short calls are made."""
    model = make_model()
    encoder = encoder_of(model)
    model.encode(["it is cold"])
    cache = encoder.tokenizer._core._cache  # type: ignore[union-attr]
    rows = cache.rows
    # The element that says that the cache is full.
    rows[-5] = 1
    assert by_short_road(encoder, ["it is cold"]) is None
    model.encode(column)
    assert cache.rows is not rows
    model.encode(column)
    assert by_short_road(encoder, ["it is cold"]) is not None
    check(encoder, ["it is cold"])


def test_references(default_model: StaticModel) -> None:
    """No call keeps or loses a reference to its arguments or its result."""
    encoder = encoder_of(default_model)
    texts, bad, out = ("it is cold", "and warm"), ("it is cold", 1), np.empty((2, encoder.table.dim), np.float32)
    encoder.encode_strings(texts)
    objects = (*texts, texts, bad, out, None, encoder.few_texts.encode)
    before = [sys.getrefcount(value) for value in objects]
    fresh = object()
    for _ in range(1000):
        result = encoder.few_texts.encode(texts, None, 1 << 40, False)
        assert sys.getrefcount(result) == sys.getrefcount(fresh)
        del result
        encoder.few_texts.encode(texts, 5, None, True, out)
        encoder.few_texts.encode(bad, 5, None, True)
        encoder.few_texts.encode(bad, 5, None, True, out)
    after = [sys.getrefcount(value) for value in objects]
    assert all(abs(new - old) < 100 for new, old in zip(after, before, strict=True))


def test_a_model_that_was_never_called_is_freed(tiny_folder: Any) -> None:
    """The garbage collector is not needed."""
    model = StaticModel.from_pretrained(tiny_folder)
    few, table = weakref.ref(encoder_of(model).few_texts), weakref.ref(model._table)
    assert few() is not None
    del model
    assert few() is table() is None


def test_a_first_call_while_a_cycle_is_collected(tiny_folder: Any) -> None:
    """The garbage collector clears weak references before it calls ``__del__``."""

    class Owner:
        def __init__(self) -> None:
            self.model, self.cycle = StaticModel.from_pretrained(tiny_folder), self

        def __del__(self) -> None:
            vectors.append(self.model.encode(["the cat"]))

    vectors: list[Any] = []
    Owner()
    gc.collect()
    assert [found.shape for found in vectors] == [(1, StaticModel.from_pretrained(tiny_folder).dim)]


def test_a_limit_of_too_many_characters() -> None:
    """The number of tokens times the length of a token does not fit into an int64."""
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel({"c": 0, "x" * 70000: 1, "y" * 70000: 2, "?" * 70000: 3}, unk_token="?" * 70000))
    model = StaticModel(np.eye(4, dtype=np.float32), tokenizer, max_length=(1 << 47) - 1)
    assert model.median_token_length * model.max_length > sys.maxsize  # type: ignore[operator]
    assert model.encode(["c"] * 2).tolist() == model.encode(["c"] * 300)[:2].tolist() == [[1, 0, 0, 0]] * 2


def test_the_encoder_is_kept_until_a_setting_changes(tiny_folder: Any) -> None:
    model = StaticModel.from_pretrained(tiny_folder)
    usual = model._usual_encoder()
    assert model._usual_encoder() is usual
    for copied in (copy.copy(model.config), copy.deepcopy(model.config), pickle.loads(pickle.dumps(model.config))):
        assert type(copied) is type(model.config)
        assert copied == model.config
    assert pickle.loads(pickle.dumps(model)).config.kept.encoder is None
    raw = model.encode("the cat sat here")
    model.normalize = True
    assert np.linalg.norm(model.encode("the cat sat here")) == pytest.approx(1)
    model.normalize = False
    model.max_length = 1
    assert model.encode("the cat sat here").tolist() == model.encode("the").tolist() != raw.tolist()
    for wrong in ({"normalize": 1}, {"normalize": 0}):
        with pytest.raises(TypeError):
            model.encode("the", **wrong)
    for wrong in ({"batch_size": True}, {"batch_size": 0}, {"num_threads": 0}):
        with pytest.raises(ValueError, match="must be"):
            model.encode("the", **wrong)


def test_threads(default_model: StaticModel) -> None:
    """Each call has memory of its own."""
    lists = [[f"{word} {number}" for number in range(k + 1)] for k, word in enumerate(["cold", "warm", "windy", "wet"])]
    expected = [default_model.encode(strings).tobytes() for strings in lists]
    failures: list[int] = []

    def work(k: int) -> None:
        failures.extend(k for _ in range(300) if default_model.encode(lists[k]).tobytes() != expected[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(lists))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_arrow_columns(default_model: StaticModel, kind: pa.DataType) -> None:
    texts = ["it is cold", "", "Caf\u00e9", "x" * MAX_BYTES, *map(str, range(2 * MAX_TEXTS))]
    whole = pa.array([*texts[:2], None, *texts[2:]], kind)
    expected = default_model.encode([*texts[:2], "", *texts[2:]])
    for column in (whole, pa.chunked_array([whole[:5], whole[5:]])):
        for first, count in ((0, 0), (0, 1), (0, 2), (1, 3), (4, 1), (3, MAX_TEXTS), (7, 2 * MAX_TEXTS)):
            found = default_model.encode_arrow(column.slice(first, count))
            found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
            assert found.is_null().to_pylist() == whole[first : first + count].is_null().to_pylist()
            values = found.values.to_numpy()[found.offset * default_model.dim :][: count * default_model.dim]
            assert values.tobytes() == expected[first : first + count].tobytes()
            if found.null_count == 0:
                assert default_model.encode(column.slice(first, count)).tobytes() == expected[first : first + count].tobytes()
    assert default_model.encode_arrow(whole[:2], dtype="float16").type.value_type == pa.float16()


def test_a_bad_arrow_column(default_model: StaticModel) -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"a\xff")])
    with pytest.raises(ValueError, match="rows 0 to 0: "):
        default_model.encode_arrow(bad)
