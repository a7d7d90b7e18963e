"""The forms of vectors: fewer dimensions, and each precision, by both roads, against the definitions in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import in_precision

from model2vec_numba import StaticModel, quantization_ranges, quantize_model
from model2vec_numba.starting.mode import VARIABLE
from model2vec_numba.vectors import kernels
from model2vec_numba.vectors.form import PRECISIONS, Form, make_form
from model2vec_numba.vectors.kernels import write_vectors
from model2vec_numba.vectors.plain import write_plainly

TEXTS = ["It is cold today.", "He plays the violin.", "", "a", "Caf\u00e9, 12 \u4f60\u597d", "It is cold today. " * 300]
WRITERS: list[Callable[[NDArray[np.float32], Form, NDArray[Any]], None]] = [write_vectors, write_plainly]


def with_ranges(precision: str, dim: int, low: float = -0.1, high: float = 0.1) -> dict[str, Any]:
    """Return the arguments of a call for a precision."""
    ranges = {"ranges": np.stack([np.linspace(low, low / 2, dim), np.full(dim, high)])} if precision in {"int8", "uint8"} else {}
    return {"precision": precision, **ranges}


def assert_same(found: NDArray[Any], right: NDArray[Any]) -> None:
    assert (found.dtype, found.shape) == (right.dtype, right.shape)
    np.testing.assert_array_equal(found, right)


@given(st.data())
def test_random_vectors(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    rows, dim, more = data.draw(st.integers(0, 20)), data.draw(st.integers(1, 70)), data.draw(st.integers(0, 9))
    vectors = (rng.normal(size=(rows, dim + more)) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
    vectors[rng.random(vectors.shape) < 0.1] = 0
    ranges = np.sort(rng.normal(size=(2, dim)).astype(data.draw(st.sampled_from(["f2", "f4", "f8"]))), axis=0)
    # Some dimensions are constant.
    ranges[1, rng.random(dim) < 0.1] = ranges[0, 0]
    ranges.sort(axis=0)
    for precision in PRECISIONS:
        form = make_form(dim, None, precision, ranges if precision in {"int8", "uint8"} else None)._replace(pooled=dim + more)
        right = in_precision(vectors[:, :dim], precision, ranges)
        for write in WRITERS:
            memory = np.full((rows, 2 * form.columns + 1), 7, form.dtype)
            for out in (memory[:, : form.columns], memory[:, 1::2], np.empty((rows, form.columns), form.dtype)):
                write(vectors, form, out)
                assert_same(out, right)


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_the_ends_of_the_ranges(precision: str) -> None:
    """Values at and beside each step, values far outside the ranges, constant dimensions, infinity and NaN."""
    steps = np.arange(-3, 260, dtype=np.float32) * np.float32(0.3)
    values = np.concatenate(
        [steps, np.nextafter(steps, np.float32(9e9)), np.nextafter(steps, np.float32(-9e9)), [np.inf, -np.inf, 3e38, -3e38, np.nan]]
    )
    # The kernel multiplies if steps are neither very large nor very small, and divides if a product does not tell the step.
    for far in (1e38, 1e20, 1.0, 1e-38):
        ranges = np.array([[0, 0.3, 5, -far], [76.5, 76.5, 5, far]], np.float32).repeat(5, axis=1)
        vectors = np.stack([values.astype(np.float32)] * ranges.shape[1], axis=1)
        form = make_form(ranges.shape[1], None, precision, ranges)
        for write in WRITERS:
            out = np.empty(vectors.shape, form.dtype)
            write(vectors, form, out)
            assert_same(out[:-1], in_precision(vectors[:-1], precision, ranges))
            assert (out[-1] == (-128 if precision == "int8" else 0)).all()
            assert len(np.unique(out[:, 0])) == 256


@pytest.mark.parametrize("road", ["wait", "never"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_encode(precision: str, road: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, road)
    model = StaticModel.from_pretrained()
    texts = TEXTS * 60
    for dim in (None, 256, 64, 9, 1):
        right = in_precision(model.encode(texts, dimensionality=dim), precision, with_ranges(precision, dim or 256).get("ranges"))
        arguments = {"dimensionality": dim, **with_ranges(precision, dim or 256)}
        found = model.encode(texts, batch_size=50, **arguments)
        assert found.flags.c_contiguous
        assert_same(found, right)
        assert_same(model.encode(iter(texts), num_threads=1, **arguments), right)
        assert_same(model.encode(texts[:3], **arguments), right[:3])
        for text, row in zip(TEXTS, right, strict=False):
            assert_same(model.encode(text, **arguments), row)
        assert_same(model.encode([], **arguments), right[:0])


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_fewer_dimensions(dtype: str, weights: bool, normalize: bool, make_model: Callable[..., StaticModel], texts: list[str]) -> None:
    """The vectors are those of a model with fewer dimensions, to the bit."""
    model = make_model(dtype=dtype, dim=80, weights=weights, mapping=weights)
    for dim in (1, 9, 31, 32, 33, 64, 79, 80):
        smaller = quantize_model(model, dimensionality=dim)
        assert_same(model.encode(texts, dimensionality=dim, normalize=normalize), smaller.encode(texts, normalize=normalize))
        long = " ".join(texts) * 5
        assert_same(
            model.encode(long, dimensionality=dim, normalize=normalize, max_length=None), smaller.encode(long, normalize=normalize, max_length=None)
        )


def test_a_long_text_in_sections(default_model: StaticModel) -> None:
    text = "It is cold today. He plays the violin. " * 40_000
    for precision in PRECISIONS:
        arguments: dict[str, Any] = {"max_length": None, "dimensionality": 50, **with_ranges(precision, 50)}
        assert_same(default_model.encode(text, num_threads=2, **arguments), default_model.encode(text, num_threads=1, **arguments))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_out(precision: str, default_model: StaticModel, tmp_path: Path) -> None:
    arguments = {"dimensionality": 20, **with_ranges(precision, 20)}
    right = default_model.encode(TEXTS, **arguments)
    for sentences, expected in ((TEXTS, right), (TEXTS[0], right[0]), (TEXTS * 50, np.concatenate([right] * 50))):
        mapped = np.lib.format.open_memmap(tmp_path / "out.npy", mode="w+", dtype=expected.dtype, shape=expected.shape)
        misaligned = np.zeros(expected.nbytes + 1, np.uint8)[1:].view(expected.dtype).reshape(expected.shape)
        spread = np.full((*expected.shape[:-1], 2 * expected.shape[-1]), 7, expected.dtype)
        for out in (np.empty_like(expected), np.empty_like(expected, order="F"), mapped, misaligned, spread[..., ::2], spread[..., 1::2]):
            assert default_model.encode(sentences, out=out, **arguments) is out
            assert_same(np.asarray(out), expected)
        mapped.flush()
        assert_same(np.load(tmp_path / "out.npy"), expected)


def test_out_is_checked(default_model: StaticModel) -> None:
    good = np.empty((3, 256), np.float32)
    read_only = good.copy()
    read_only.flags.writeable = False
    wrong: list[tuple[Any, type[Exception], str]] = [
        ([[0.0] * 256] * 3, TypeError, "out must be a NumPy array or memory map, not list"),
        (np.empty((3, 256)), TypeError, "out must be float32 in the machine's byte order, not float64"),
        (np.empty((3, 256), np.int8), TypeError, "not int8"),
        (np.empty((3, 256), ">f4"), TypeError, "not >f4"),
        (np.empty((4, 256), np.float32), ValueError, r"out must have shape \(3, 256\), not \(4, 256\)"),
        (np.empty((3, 255), np.float32), ValueError, r"out must have shape \(3, 256\), not \(3, 255\)"),
        (np.empty(768, np.float32), ValueError, r"out must have shape \(3, 256\), not \(768,\)"),
        (read_only, ValueError, "read-only"),
    ]
    for out, error, message in wrong:
        for sentences in (TEXTS[:3], iter(TEXTS[:3])):
            with pytest.raises(error, match=message):
                default_model.encode(sentences, out=out)
    with pytest.raises(ValueError, match=r"out must have shape \(256,\), not \(3, 256\)"):
        default_model.encode("a", out=good)
    with pytest.raises(ValueError, match=r"out must have shape \(3, 32\)"):
        default_model.encode(TEXTS[:3], precision="ubinary", out=np.empty((3, 256), np.uint8))
    assert default_model.encode([], out=np.empty((0, 256), np.float32)).shape == (0, 256)


def test_ranges(default_model: StaticModel) -> None:
    vectors = default_model.encode(TEXTS)
    ranges = quantization_ranges(vectors)
    assert_same(ranges, np.stack([vectors.min(axis=0), vectors.max(axis=0)]))
    assert_same(quantization_ranges(vectors.astype(np.float64)), ranges)
    assert_same(quantization_ranges(vectors.tolist()), ranges)
    found = default_model.encode(TEXTS, precision="uint8", ranges=ranges.tolist())
    # The smallest and the largest value of each dimension have the first and the last step; the division may round down.
    assert (found.min(axis=0) == 0).all() and (found.max(axis=0) >= 254).all()
    for bad, message in (
        (vectors[0], r"of shape \(vectors, dim\), not float32 of shape \(256,\)"),
        (vectors[:1], "at least two vectors"),
        (vectors[:0], "at least two vectors"),
        (default_model.encode(TEXTS, precision="binary"), "must be floating point"),
        (np.array([[0, np.nan], [1, 2]]), "finite"),
        (np.array([[0, np.inf], [1, 2]]), "finite"),
        (np.array([[0, 1e300], [1, 2]]), "finite"),
    ):
        with pytest.raises(ValueError, match=message), np.errstate(over="ignore"):
            quantization_ranges(bad)


def test_ranges_are_checked(default_model: StaticModel) -> None:
    ranges = np.array([[-1.0] * 256, [1.0] * 256])
    for precision in ("int8", "uint8"):
        with pytest.raises(ValueError, match=r"needs ranges=.* compute them once from a sample with quantization_ranges\(model.encode\(texts\)\)"):
            default_model.encode(TEXTS, precision=precision)
        for bad, message in (
            (ranges[:, :64], r"of shape \(2, 256\), the minima and the maxima, not float64 of shape \(2, 64\)"),
            (ranges[0], r"not float64 of shape \(256,\)"),
            (ranges[::-1], "dimension 0 has 1.0 and -1.0"),
            (ranges * np.nan, "finite"),
            (ranges * 1e300, "finite"),
            (ranges * 3e38, "finite"),
            (ranges.astype(str), "must be numbers"),
            (ranges > 0, "must be numbers"),
        ):
            with pytest.raises(ValueError, match=message):
                default_model.encode(TEXTS, precision=precision, ranges=bad)
        with pytest.raises(ValueError, match=r"of shape \(2, 64\)"):
            default_model.encode(TEXTS, precision=precision, ranges=ranges, dimensionality=64)
    for precision in ("float32", "float16", "binary", "ubinary"):
        with pytest.raises(ValueError, match=f"for the precisions 'int8' and 'uint8', not for '{precision}'"):
            default_model.encode(TEXTS, precision=precision, ranges=ranges)


@pytest.mark.parametrize("dim", [0, -1, 257, 1.5, "8", True, [8]], ids=repr)
def test_dimensionality_is_checked(dim: Any, default_model: StaticModel) -> None:
    for sentences in (TEXTS, TEXTS[0]):
        with pytest.raises(ValueError, match="dimensionality must be None or an integer from 1 to 256"):
            default_model.encode(sentences, dimensionality=dim)


@pytest.mark.parametrize("precision", ["int4", "FLOAT32", None, 8, ["int8"], np.float16], ids=repr)
def test_precision_is_checked(precision: Any, default_model: StaticModel) -> None:
    with pytest.raises(ValueError, match="precision must be one of 'float32', 'float16', 'int8', 'uint8', 'binary', 'ubinary', not"):
        default_model.encode(TEXTS, precision=precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_arrow(precision: str, default_model: StaticModel) -> None:
    pa = pytest.importorskip("pyarrow")
    arguments: dict[str, Any] = {"dimensionality": 20, **with_ranges(precision, 20)}
    optional = [*TEXTS, None, "a"] * 3
    right = default_model.encode([text or "" for text in optional], **arguments)
    right[[text is None for text in optional]] = 0
    column = pa.chunked_array([pa.array(optional[:5]), pa.array(optional[5:])])
    for array in (column, column.dictionary_encode(), column.combine_chunks(), pa.array(optional).cast(pa.large_string())):
        found = default_model.encode_arrow(array, num_threads=1, **arguments)
        assert found.type == pa.list_(pa.from_numpy_dtype(right.dtype), right.shape[1])
        assert found.is_null().to_pylist() == [text is None for text in optional]
        values = [chunk.values.to_numpy().reshape(-1, right.shape[1]) for chunk in getattr(found, "chunks", [found])]
        assert_same(np.concatenate(values) if len(values) > 1 else values[0][-len(right) :], right)
    filled = pa.array([text or "" for text in optional]).dictionary_encode()
    out = np.empty_like(right)
    assert default_model.encode(filled, out=out, **arguments) is out
    assert_same(out, default_model.encode([text or "" for text in optional], **arguments))
    assert default_model.encode_arrow(pa.nulls(3), **arguments).null_count == 3


def test_arrow_dtype(default_model: StaticModel) -> None:
    pa = pytest.importorskip("pyarrow")
    array = pa.array(TEXTS)
    for dtype in ("float32", "float16"):
        found = default_model.encode_arrow(array, dtype=dtype)
        assert found.equals(default_model.encode_arrow(array, precision=dtype))
        assert found.equals(default_model.encode_arrow(array, dtype=dtype, precision=dtype))
    with pytest.raises(ValueError, match="dtype='float16' and precision='int8' contradict each other"):
        default_model.encode_arrow(array, dtype="float16", precision="int8")
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float16'"):
        default_model.encode_arrow(array, dtype="int8")


@pytest.mark.parametrize("dtype", ["i2", "f4", "f8"])
def test_sums_are_written_as_their_float32_vectors(dtype: str) -> None:
    """The kernels get sums and a factor. They compute integers with multiplications, which must be right to the bit at the ends of the steps."""
    rng = np.random.default_rng(5)
    for dim in (1, 31, 64, 100):
        for far in (0.0, 1.0, 30.0, 1e5):
            factor = float(rng.choice([1.0, 0.01, 1 / 3, 1e-4, 1e-21, 3e-42, 1e25]) * rng.uniform(1, 2))
            totals = (rng.normal(size=(300, dim)) * 300).round() if dtype == "i2" else rng.normal(size=(300, dim)) * rng.choice([1e-3, 1, 1e4])
            totals[rng.random(totals.shape) < 0.1] = 0
            totals = totals.astype(dtype)
            if dtype != "i2":
                totals[0], totals[1] = np.nan, np.inf
            with np.errstate(all="ignore"):
                # NumPy 1 would multiply float32 numbers by a float64 in float32.
                vectors = (totals.astype(np.float64) * factor).astype(np.float32)
            # Many vectors are at the ends of steps: a step is the distance of some vectors.
            middle, width = vectors[2].astype(np.float64), np.abs(vectors[3:]).max(axis=0).astype(np.float64) + 1e-44
            low = (middle - width * (1 + far)).astype(np.float32)
            ranges = np.stack([low, low + np.maximum(width, np.abs(low) * 1e-6) * rng.choice([2, 255 / 512])]).astype(np.float32)
            for precision in ("float16", "int8", "uint8", "binary", "ubinary"):
                form = make_form(dim, None, precision, ranges if precision in {"int8", "uint8"} else None)
                out = np.empty((len(totals), form.columns), form.dtype)
                packed = kernels._Packed(form, out)
                for text, total in enumerate(totals):
                    kernels.write_sum(total.ctypes.data, total.itemsize, factor, packed.address, text)
                with np.errstate(all="ignore"):
                    assert_same(out[1:], in_precision(vectors[1:], precision, ranges))
                if dtype != "i2":
                    # Of NaN.
                    lowest = {"float16": np.nan, "int8": -128, "binary": -128}.get(precision, 0)
                    np.testing.assert_array_equal(out[0], lowest)


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_the_neighbours_of_every_step(precision: str) -> None:
    """Each float32 around the end of each step, for steps of many lengths and starts, has the integer of the division."""
    rng = np.random.default_rng(6)
    lows = np.concatenate([rng.uniform(-1, 0, 96), rng.uniform(-30, 30, 32)]).astype(np.float32)
    ranges = np.stack([lows, lows + rng.uniform(0.01, 2, 128).astype(np.float32)])
    form = make_form(128, None, precision, ranges)
    ends = ranges[0] + np.arange(256)[:, None] * form.steps.astype(np.float64)
    for distance in range(-6, 7):
        vectors = (ends.astype(np.float32).view(np.int32) + distance).view(np.float32)
        out = np.empty(vectors.shape, form.dtype)
        write_vectors(vectors, form, out)
        assert_same(out, in_precision(vectors, precision, ranges))
