"""Conversions from and to half precision and bfloat16 against NumPy and ml_dtypes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from numba import njit

from model2vec_numba.pooling.half import to_float
from model2vec_numba.vectors.form import make_form
from model2vec_numba.vectors.kernels import write_vectors


@njit
def widen_all(elements, out):  # type: ignore[no-untyped-def]
    for i in range(len(elements)):
        out[i] = to_float(elements[i])


def test_widen_float16() -> None:
    """All 65,536 numbers are equal to the bit. A NaN becomes some NaN."""
    bits = np.arange(2**16).astype(np.uint16)
    found = np.empty(2**16, np.float32)
    widen_all(bits, found)
    expected = bits.view(np.float16).astype(np.float32)
    np.testing.assert_array_equal(found, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(found.view(np.uint32)[numbers], expected.view(np.uint32)[numbers])


def test_widen_bfloat16() -> None:
    bits = np.arange(2**16).astype(np.uint16)
    found = np.empty(2**16, np.float32)
    widen_all(bits.view(np.int16), found)
    np.testing.assert_array_equal(found, bits.view(ml_dtypes.bfloat16).astype(np.float32))
    np.testing.assert_array_equal(np.signbit(found), bits >> 15 == 1)


@pytest.mark.parametrize("dtype", ["int8", "float32", "float64"])
def test_widen_leaves_other_types(dtype: str) -> None:
    values = np.array([-128, -1, 0, 1, 127, 100]).astype(dtype)
    found = np.empty(len(values), np.float64)
    widen_all(values, found)
    np.testing.assert_array_equal(found, values.astype(np.float64))


def test_widen_is_for_compiled_code() -> None:
    with pytest.raises(NotImplementedError):
        to_float(np.uint16(0))


def test_to_half() -> None:
    """Rounds as NumPy does: all half precision numbers, the numbers half-way between two, their neighbours, and a million random numbers."""
    values = np.arange(2**16).astype(np.uint16).view(np.float16).astype(np.float32)
    values = np.unique(values[np.isfinite(values)])
    halfway = ((values[1:].astype(np.float64) + values[:-1]) / 2).astype(np.float32)
    beside = np.nextafter(halfway, np.float32(np.inf)), np.nextafter(halfway, np.float32(-np.inf))
    limits = np.array([0.0, -0.0, 1e-45, -1e-45, 65519.996, 65520, -65520, 65536, 1e30, np.inf, -np.inf, np.nan], np.float32)
    random = np.random.default_rng(4).integers(0, 2**32, 1_000_000, np.uint64).astype(np.uint32).view(np.float32)
    for given in (values, halfway, *beside, limits, random):
        with np.errstate(over="ignore", invalid="ignore"):
            expected = given.astype(np.float16)
        found = np.empty((1, len(given)), np.float16)
        write_vectors(given[None], make_form(len(given), precision="float16"), found)
        numbers = ~np.isnan(given)
        np.testing.assert_array_equal(found.view(np.uint16)[0][numbers], expected.view(np.uint16)[numbers])
        assert np.isnan(found[0][~numbers]).all()


@pytest.mark.exhaustive
def test_a_processor_without_half_precision(tmp_path: Path) -> None:
    """Every number is converted and float16 is pooled also on processors without instructions for half precision."""
    tests = [
        "test_half.py::test_widen_float16",
        "test_half.py::test_to_half",
        "test_kernels.py::test_pool[float16-33]",
        "test_kernels.py::test_rows[float16-7]",
    ]
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"{Path(__file__).parent}/{name}" for name in tests)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 passed" in run.stdout
