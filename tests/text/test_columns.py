"""Arrow columns of every layout, encoded to Arrow arrays, against `encode` with a list of the same texts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from helpers import make_batches
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model2vec_numba import StaticModel
from model2vec_numba.batches import BatchLimits, TextBatch
from model2vec_numba.text import columns
from model2vec_numba.text.columns import column_batches, column_of_strings

pa = pytest.importorskip("pyarrow")

TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.uint32(), pa.large_string()),
    pa.dictionary(pa.int64(), pa.string_view()),
]
characters = st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("a\x00\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff"))
optional_texts = st.lists(st.none() | st.text(characters, max_size=12), max_size=12)


def column(texts: list[str | None], kind: Any) -> Any:
    """Return an Arrow array of a type. pyarrow can make a dictionary of string views only from its parts."""
    if not pa.types.is_dictionary(kind):
        return pa.array(texts, kind)
    values = sorted({text for text in texts if text is not None})
    indices = pa.array([None if text is None else values.index(text) for text in texts], kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, pa.array(values, kind.value_type))


def assert_vectors(found: Any, texts: list[str | None], model: StaticModel, **options: Any) -> None:
    """Check that the vectors equal those of `encode` to the bit. A null text has a null vector, which holds zeros."""
    expected = model.encode([text or "" for text in texts], **options)
    assert found.type == pa.list_(pa.float32(), model.dim)
    assert found.is_null().to_pylist() == [text is None for text in texts]
    for chunk in found.chunks if isinstance(found, pa.ChunkedArray) else [found]:
        chunk.validate(full=True)
        first = chunk.offset * model.dim
        values = chunk.values.to_numpy()[first : first + len(chunk) * model.dim].reshape(len(chunk), model.dim)
        assert values.tobytes() == expected[: len(chunk)].tobytes()
        expected = expected[len(chunk) :]
    assert len(expected) == 0


@pytest.fixture(scope="module")
def optional(texts: list[str]) -> list[str | None]:
    """Texts of all lengths, some of them twice, and nulls between them."""
    sample = [*texts[:50], *texts[20:40]]
    return [None if i % 7 == 3 else text for i, text in enumerate(sample)]


# Types of columns


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("backend", ["wordpiece-uncased", "byte-bpe"])
def test_types(kind: Any, backend: str, optional: list[str | None], make_model: Callable[..., StaticModel]) -> None:
    model = make_model(backend)
    array = column(optional, kind)
    found = model.encode_arrow(array)
    assert isinstance(found, pa.FixedSizeListArray)
    assert_vectors(found, optional, model)
    without = [text for text in optional if text is not None]
    found = model.encode_arrow(column(without, kind))
    assert found.buffers()[0] is None
    assert_vectors(found, without, model)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_slices(kind: Any, optional: list[str | None], make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    array = column(optional, kind)
    for begin, end in ((0, 5), (1, 9), (3, 4), (4, 5), (13, 70), (70, 70), (8, 16)):
        assert_vectors(model.encode_arrow(array[begin:end]), optional[begin:end], model)
        assert_vectors(model.encode_arrow(array[2:][begin:end]), optional[2:][begin:end], model)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_chunks_stay(kind: Any, optional: list[str | None], make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    array = column(optional, kind)
    other = column(["of another dictionary", None, optional[0]], kind)
    chunked = pa.chunked_array([array[:0], array[:9], array[9:40], other, other[:0], array[30:]])
    found = model.encode_arrow(chunked)
    assert isinstance(found, pa.ChunkedArray)
    assert [len(chunk) for chunk in found.chunks] == [len(chunk) for chunk in chunked.chunks]
    assert_vectors(found, chunked.to_pylist(), model)
    assert_vectors(model.encode_arrow(chunked.slice(5, 37)), chunked.slice(5, 37).to_pylist(), model)


@pytest.mark.parametrize("kind", [*TYPES, pa.null()], ids=str)
def test_nothing(kind: Any, make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    empty = pa.array([], kind) if pa.types.is_null(kind) else column([], kind)
    assert_vectors(model.encode_arrow(empty), [], model)
    for chunked in (pa.chunked_array([], kind), pa.chunked_array([empty, empty])):
        found = model.encode_arrow(chunked)
        assert found.num_chunks == chunked.num_chunks
        assert_vectors(found, [], model)
    nulls = pa.nulls(9, kind)
    assert_vectors(model.encode_arrow(nulls), [None] * 9, model)
    assert_vectors(model.encode_arrow(nulls[2:5]), [None] * 3, model)
    assert model.encode(empty).shape == (0, model.dim)


def test_nulls_in_a_dictionary(make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    array = pa.DictionaryArray.from_arrays(pa.array([2, 1, None, 0, 1]), pa.array(["a text", None, "another"]))
    assert_vectors(model.encode_arrow(array), ["another", None, None, "a text", None], model)
    assert_vectors(model.encode_arrow(array[3:]), ["a text", None], model)
    assert_vectors(model.encode_arrow(pa.chunked_array([array[3:], array[:1]])), ["a text", None, "another"], model)
    with pytest.raises(TypeError, match=r"sentences\[1\] must be a str, not null"):
        model.encode(array)


def test_what_lies_under_a_null_is_not_read(make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    data, offsets = pa.py_buffer(b"one\xff\xfetwo three"), pa.py_buffer(np.array([0, 3, 5, 8, 14], np.int32))
    array = pa.Array.from_buffers(pa.string(), 4, [pa.py_buffer(b"\x0d"), offsets, data])
    assert_vectors(model.encode_arrow(array), ["one", None, "two", " three"], model)


def test_a_dictionary_is_encoded_once(make_model: Callable[..., StaticModel], monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    tokenize = model._tokenizer.tokenize
    counts: list[int] = []

    def count(texts: TextBatch, *arguments: Any) -> Any:
        counts.append(len(texts))
        return tokenize(texts, *arguments)

    monkeypatch.setattr(model._tokenizer, "tokenize", count)
    values = pa.array([f"text {i}" for i in range(50)])
    array = pa.DictionaryArray.from_arrays(pa.array(np.arange(20_000) % 40), values)
    copy = pa.DictionaryArray.from_arrays(array.indices, pa.array(values.to_pylist()))
    found = model.encode_arrow(pa.chunked_array([array, array[7:9], copy]))
    assert sum(counts) == 40
    assert_vectors(found, [*array.to_pylist(), "text 7", "text 8", *array.to_pylist()], model)


@given(optional_texts, st.integers(0, 3), st.booleans(), st.none() | st.integers(1, 9), st.integers(1, 14), st.integers(1, 40))
@example(["", "", None], 0, False, None, 2, 5)
@example(["\u00e9" * 5, "abc", None, "\U0001f600\U0001f600"], 1, True, 1, 10, 30)
def test_column_portions(texts: list[str | None], skip: int, garbage: bool, max_chars: int | None, batch_size: int, budget: int) -> None:
    """Against slices of strings. The bytes before and after the texts, and under nulls, are arbitrary."""
    stored = [(b"\xff!" if garbage else b"") if text is None else text.encode() for text in texts]
    data = np.frombuffer(b"".join([b"\x80before", *stored, b"behind"]), np.uint8)
    offsets = 7 + np.cumsum([0, *map(len, stored)]).astype(np.int64)
    valid = np.array([text is not None for text in texts], bool)
    skip = min(skip, len(texts))
    made = make_batches(column_batches(data, offsets[skip:], None if valid.all() else valid[skip:], max_chars, BatchLimits(batch_size, budget)))
    kept = [(text or "")[:max_chars] for text in texts[skip:]]
    assert [batch.text(i) for batch in made for i in range(len(batch))] == kept
    for batch in made:
        assert 1 <= len(batch) <= batch_size
        assert batch.offsets[0] == 0 and batch.offsets[-1] == len(batch.data)
        assert len(batch.data) <= budget or len(batch) == 1
        assert (batch.data.dtype, batch.offsets.dtype) == (np.uint8, np.int64)
        # Kernels are compiled for one type of array, so all batches must have it.
        assert batch.data.flags.c_contiguous and not batch.data.flags.writeable and batch.offsets.flags.writeable
        if max_chars is None and not (garbage and None in texts):
            assert not len(batch.data) or np.shares_memory(batch.data, data)


@given(optional_texts, st.sampled_from(range(len(TYPES))), st.integers(1, 5), st.data())
def test_any_column(default_model: StaticModel, texts: list[str | None], kind: int, max_length: int, data: st.DataObject) -> None:
    array = column(texts, TYPES[kind])
    begin = data.draw(st.integers(0, len(texts)))
    end = data.draw(st.integers(begin, len(texts)))
    assert_vectors(default_model.encode_arrow(array[begin:end], max_length=max_length), texts[begin:end], default_model, max_length=max_length)


def test_batches_within_a_column(optional: list[str | None], make_model: Callable[..., StaticModel], monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    for kind in TYPES[:3]:
        array = column(optional, kind)
        for block, batch_size in ((10, 3), (10, 25), (1, 1), (1000, 7)):
            monkeypatch.setattr(columns, "_BLOCK_ROWS", block)
            assert_vectors(model.encode_arrow(array, batch_size=batch_size), optional, model)
            assert_vectors(model.encode_arrow(pa.chunked_array([array[:33], array[33:]]), batch_size=batch_size), optional, model)


# Options


@pytest.mark.parametrize("options", [{"max_length": 2}, {"max_length": None}, {"normalize": False}, {"max_length": 10**30}], ids=str)
@pytest.mark.parametrize("kind", TYPES[2:4], ids=str)
def test_options(kind: Any, options: dict[str, Any], optional: list[str | None], make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    assert_vectors(model.encode_arrow(column(optional, kind), **options), optional, model, **options)


@pytest.mark.parametrize("kind", TYPES[1:4], ids=str)
def test_float16(kind: Any, optional: list[str | None], make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    found = model.encode_arrow(column(optional, kind), dtype="float16")
    assert found.type == pa.list_(pa.float16(), model.dim)
    expected = model.encode([text or "" for text in optional]).astype(np.float16)
    assert found.values.to_numpy().tobytes() == expected.tobytes()
    assert found.null_count == optional.count(None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"dtype": "float64"}, "'float32' or 'float16'"), ({"max_length": 0}, "1 or more"), ({"batch_size": 0}, "1 or more")],
    ids=str,
)
def test_options_out_of_range(options: dict[str, Any], expected: str, default_model: StaticModel) -> None:
    with pytest.raises(ValueError, match=expected):
        default_model.encode_arrow(pa.array(["a text"]), **options)


def test_progress_bar(default_model: StaticModel, capfd: pytest.CaptureFixture[str]) -> None:
    for array in (pa.array(["a text"] * 20), pa.array(["a text"] * 20).dictionary_encode()):
        default_model.encode_arrow(array, show_progress_bar=True, batch_size=5)
        out, err = capfd.readouterr()
        assert out == ""
        assert "20/20" in err.replace("20.0", "20")


# Arrays of vectors


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_nothing_is_copied_on_the_way_out(dtype: str) -> None:
    for array in (pa.array(["a", None, "b"]), pa.chunked_array([["a", "b"], [None]]), pa.array(["a", "b", "c"])):
        matrix = np.ones((3, 5), dtype)
        found = column_of_strings(array).lists(matrix)
        chunks = found.chunks if isinstance(found, pa.ChunkedArray) else [found]
        assert {chunk.values.buffers()[1].address for chunk in chunks} == {matrix.ctypes.data}


def test_vectors_outlive_everything(default_model: StaticModel) -> None:
    found = default_model.encode_arrow(pa.chunked_array([["a text"], ["another"]])).chunk(1)
    assert found.to_pylist() == [default_model.encode("another").tolist()]


# Arrow's PyCapsule interface


class Stream:
    """An object that only exports a stream of arrays."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.held.__arrow_c_stream__(requested_schema)


class Array:
    """An object that only exports an array."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.held.__arrow_c_array__(requested_schema)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_capsules(kind: Any, optional: list[str | None], make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    array = column(optional, kind)
    found = model.encode_arrow(Array(array))
    assert isinstance(found, pa.Array)
    assert_vectors(found, optional, model)
    found = model.encode_arrow(Stream(pa.chunked_array([array[:50], array[50:]])))
    assert found.num_chunks == 2
    assert_vectors(found, optional, model)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1, 2]),
        pa.array([b"bytes"]),
        pa.array([["a list"]]),
        pa.chunked_array([[1.5]]),
        pa.array([1, 1]).dictionary_encode(),
        pa.table({"text": ["a"]}),
        pa.record_batch({"text": ["a"]}),
        ["a list"],
        "a string",
        None,
        np.array(["a"]),
    ],
    ids=lambda array: type(array).__name__,
)
def test_what_is_no_column_of_strings(array: Any, default_model: StaticModel) -> None:
    with pytest.raises(TypeError, match=r"^array must be "):
        default_model.encode_arrow(array)


def test_a_table_is_asked_for_a_column(default_model: StaticModel) -> None:
    with pytest.raises(TypeError, match="give one of its columns"):
        default_model.encode_arrow(pa.table({"text": ["a"]}))
    assert_vectors(default_model.encode_arrow(pa.table({"text": ["a"]})["text"]), ["a"], default_model)


# Bad buffers


def from_buffers(offsets: list[int], data: bytes, width: type = np.int32, wrapped: Callable[[Any], Any] = lambda array: array) -> Any:
    """Return an array with offsets that pyarrow has not checked, as arrays from files and from other programs have."""
    memory = np.zeros(len(offsets), width)
    kind = pa.string() if width is np.int32 else pa.large_string()
    array = pa.Array.from_buffers(kind, len(offsets) - 1, [None, pa.py_buffer(memory), pa.py_buffer(data)])
    array = wrapped(array)
    memory[:] = offsets
    return array


@pytest.mark.parametrize(
    "wrapped", [lambda array: array, lambda array: pa.chunked_array([array]), lambda array: array[1:]], ids=["array", "chunked", "slice"]
)
@pytest.mark.parametrize("width", [np.int32, np.int64])
@pytest.mark.parametrize(
    ("offsets", "data"),
    [
        ([0, 0, 1], b"\xff"),
        ([0, 0, 1, 2], "\u00e9".encode()),
        ([0, 0, 3], b"\xed\xa0\x80"),
        ([0, 0, 2], b"\xc0\x80"),
        ([0, 0, 4], b"\xf4\x90\x80\x80"),
        ([0, 0, 3, 2], b"abc"),
        ([0, 0, 9, 3], b"abc"),
        ([0, 0, 4], b"abc"),
        ([0, 0, 2**31 - 1], b"abc"),
        ([0, -1, 3], b"abc"),
    ],
    ids=str,
)
def test_bad_buffers(offsets: list[int], data: bytes, width: type, wrapped: Callable[[Any], Any], default_model: StaticModel) -> None:
    array = from_buffers(offsets, data, width, wrapped)
    for encode in (default_model.encode_arrow, default_model.encode):
        with pytest.raises(ValueError, match=r"^(rows 0 to \d+|chunk 0): "):
            encode(array)
    # The buffers of a dictionary must be checked too.
    dictionary = from_buffers(offsets, data, width, lambda array: wrapped(pa.DictionaryArray.from_arrays(pa.array([0, 0]), array)))
    with pytest.raises(ValueError, match=r"^chunk 0: "):
        default_model.encode_arrow(dictionary)


@pytest.mark.parametrize("index", [2, 127, -1])
def test_bad_indices(index: int, default_model: StaticModel) -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, index, 1], pa.int8()), pa.array(["a", "b"]), safe=False)
    for encode in (default_model.encode_arrow, default_model.encode):
        with pytest.raises(ValueError, match=f"chunk 0: .*{index}"):
            encode(array)


@pytest.mark.skipif(int(pa.__version__.partition(".")[0]) < 21, reason="older versions of pyarrow cannot make such arrays")
def test_bad_views(default_model: StaticModel) -> None:
    views = np.zeros(2, [("length", "<i4"), ("prefix", "S4"), ("buffer", "<i4"), ("offset", "<i4")])
    for length, buffer, offset in ((20, 5, 0), (20, 0, 100), (20, -1, 0), (-5, 0, 0), (20, 0, -1)):
        views[1] = (length, b"xxxx", buffer, offset)
        array = pa.Array.from_buffers(pa.string_view(), 2, [None, pa.py_buffer(views), pa.py_buffer(b"x" * 30)])
        with pytest.raises(ValueError, match="rows 0 to 1: "):
            default_model.encode_arrow(array)


def test_the_rows_that_are_wrong_are_named(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_BLOCK_ROWS", 2)
    good, bad = pa.array(["a", "b", "c"]), from_buffers([0, 1, 2, 3, 4], b"abc\xff")
    with pytest.raises(ValueError, match=r"^rows 5 to 6: "):
        default_model.encode_arrow(pa.chunked_array([good, bad]), batch_size=1)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_few_rows_of_a_large_column_are_few_texts(kind: Any) -> None:
    texts = [f"row {i}, with a text that is not in its view" for i in range(5_000)]
    array = pa.array(texts, kind)
    few = column_of_strings(array.slice(4_000, 3))
    assert few.few_strings(3, 200) == tuple(texts[4_000:4_003])
    assert few.few_strings(2, 200) is None and few.few_strings(3, 100) is None
    assert column_of_strings(array).few_strings(10_000, 100_000) is None


# Columns and arrays as the argument of `encode`


# NumPy has this type since version 2.
STRING_DTYPE: Any = getattr(getattr(np, "dtypes", None), "StringDType", None)


def numpy_arrays() -> Iterator[NDArray[Any]]:
    yield np.array(["some text", "", "na\u00efve"])
    yield np.array(["some text", "", "na\u00efve"], object)
    if STRING_DTYPE is not None:
        yield np.array(["some text", "", "na\u00efve"], STRING_DTYPE())


@pytest.mark.parametrize("array", [*numpy_arrays()], ids=lambda array: array.dtype.name)
def test_encode_numpy(array: NDArray[Any], default_model: StaticModel) -> None:
    expected = default_model.encode(["some text", "", "na\u00efve"])
    np.testing.assert_array_equal(default_model.encode(array), expected)
    np.testing.assert_array_equal(default_model.encode(array[::-1]), expected[::-1])
    assert default_model.encode(array[:0]).shape == (0, default_model.dim)
    with pytest.raises(TypeError, match="one column of str, not ndarray of shape"):
        default_model.encode(array.reshape(3, 1))


def test_encode_numpy_missing(default_model: StaticModel) -> None:
    with pytest.raises(TypeError, match=r"sentences\[1\] must be a str, not float: nan"):
        default_model.encode(np.array(["a", float("nan")], object))
    if STRING_DTYPE is not None:
        with pytest.raises(TypeError, match=r"sentences\[1\] must be a str, not NoneType"):
            default_model.encode(np.array(["a", None], STRING_DTYPE(na_object=None)))


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_encode_arrow_columns(kind: Any, texts: list[str], make_model: Callable[..., StaticModel]) -> None:
    model = make_model()
    array = column([*texts], kind)
    for held in (array, pa.chunked_array([array[:9], array[9:]]), Stream(pa.chunked_array([array])), Array(array)):
        found = model.encode(held, max_length=7, batch_size=9, normalize=False)
        assert found.tobytes() == model.encode(texts, max_length=7, normalize=False).tobytes()
    with pytest.raises(TypeError, match=r"sentences\[3\] must be a str, not null"):
        model.encode(pa.chunked_array([column(["a", "b"], kind), column(["a", None], kind)]))


@pytest.mark.parametrize("sentences", [pa.table({"text": ["a"]}), pa.record_batch({"text": ["a"]}), pa.array([1]), {"text": ["a"]}.items()], ids=str)
def test_encode_refuses_what_is_no_column(sentences: Any, default_model: StaticModel) -> None:
    with pytest.raises(TypeError):
        default_model.encode(sentences)


# Without pyarrow


def test_without_pyarrow(default_model: StaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    series = type("Series", (list,), {"__arrow_c_stream__": None})(["a text", "another"])
    expected = default_model.encode(["a text", "another"])
    array = pa.array(["a text"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"encode_arrow needs pyarrow: pip install 'model2vec-numba\[arrow\]'"):
        default_model.encode_arrow(array)
    np.testing.assert_array_equal(default_model.encode(series), expected)


def test_lists_do_not_import_pyarrow() -> None:
    code = "import sys; from model2vec_numba import StaticModel; StaticModel.from_pretrained().encode(['x']); print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("version", ["9.0.0", "17.0.0"])
def test_an_old_pyarrow(version: str, default_model: StaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars exports string views, which pyarrow imports since version 16 and converts since version 18. `encode` needs no pyarrow."""

    class Series:
        """A column of another library."""

        texts = ("a text", "", "another")

        def __iter__(self) -> Any:
            return iter(self.texts)

        def __len__(self) -> int:
            return len(self.texts)

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            if pa.__version__ == version:
                raise pa.ArrowNotImplementedError("Unsupported cast from string_view")
            return pa.chunked_array([pa.array(self.texts, pa.string_view())]).__arrow_c_stream__(requested_schema)

    expected = default_model.encode(list(Series.texts))
    assert default_model.encode(Series()).tobytes() == expected.tobytes()
    monkeypatch.setattr(pa, "__version__", version)
    monkeypatch.setattr(columns, "_checked_pyarrow", [None])
    assert default_model.encode(Series()).tobytes() == expected.tobytes()
    with pytest.raises(ImportError, match=f"^encode_arrow needs pyarrow 18 or newer, found {version}: pip install --upgrade "):
        default_model.encode_arrow(pa.array(["a"]))
