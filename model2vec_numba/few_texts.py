"""The short road of a call with a few short strings: one kernel, which gets its arguments packed, does all steps.

A kernel with many arguments takes longer to call than a sentence takes. With a kernel for each step, and Python code between them, one string took
2.5 times as long, and ten strings twice as long.
"""

from __future__ import annotations

import ctypes

import numpy as np
from numba import carray
from numpy.typing import NDArray

from model2vec_numba.jit.decorators import compiled
from model2vec_numba.jit.pointers import address_of, call_address, call_address_for_int, matrix_words, pack, to_pointer, unpack, unpack_matrix
from model2vec_numba.jit.simd import BLOCK
from model2vec_numba.pooling.kernels import pool_address
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.text.plain_strings import has_lock
from model2vec_numba.text.strings import ALL_CHARS, SLACK, TUPLE_BYTES, max_utf8_length, write_utf8
from model2vec_numba.tokenization.chunks.rows import MAX_IDS
from model2vec_numba.tokenization.stages import PackedCore
from model2vec_numba.tokenization.tokenizer import BatchTokenizer

__all__ = ["MAX_BYTES", "MAX_TEXTS", "FewTexts"]

# The maximum number of strings, and of their UTF-8 bytes. The kernel holds the GIL, and these take less than 0.2 ms.
MAX_TEXTS, MAX_BYTES = 128, 1 << 14
_UNBOUNDED = 1 << 62
_DATA_BYTES = MAX_BYTES + max(SLACK, BLOCK)
# What every Python object has, in bytes.
_OBJECT_BYTES = object.__basicsize__
# The packed arguments: where the cache is in them, and their number.
_CACHE, _WORDS = 20, 26


class _Memory:
    """Memory that one call works in, with the arguments of `encode_few` that are the same in every call.

    Attributes:
        cache: the cache of the core.
        rows: its rows when it was last used.
        address: the address of the packed arguments.
    """

    __slots__ = ("_kept", "_packed", "address", "cache", "rows")

    def __init__(self, core: PackedCore, kernels: tuple[int, int], table: EmbeddingTable) -> None:
        data, offsets = np.zeros(_DATA_BYTES, np.uint8), np.zeros(MAX_TEXTS + 1, np.int64)
        ids, id_offsets = np.zeros(MAX_BYTES + MAX_IDS + 1, np.int32), np.zeros(MAX_TEXTS + 1, np.int64)
        factors = np.empty(0, np.float32) if table.factors is None else table.factors
        self.cache = core.cache
        self.rows = core.cache.rows
        arrays = core.packed, data, offsets, ids, id_offsets, table.mapping, factors, np.array([table.scale]), self.rows
        self._kept = core, table, arrays
        self._packed = np.append(pack([core.address, *kernels, table.factors is not None], arrays), matrix_words(table.elements))
        self.address = self._packed.ctypes.data

    def use(self, rows: NDArray[np.uint64]) -> None:
        """Use the rows that the cache has now."""
        self._packed[_CACHE : _CACHE + 2] = rows.ctypes.data, len(rows)
        self.rows = rows


class FewTexts:
    """Encodes a few short strings with one kernel.

    Args:
        tokenizer: turns texts into tokens.
        table: the vectors of the tokens.
    """

    def __init__(self, tokenizer: BatchTokenizer, table: EmbeddingTable) -> None:
        self._tokenizer = tokenizer
        self._table = table
        self._memories: list[_Memory] = []
        # If the vocabulary lists a token twice, a token may have no row, and each batch must be checked. The kernel reads strings in place.
        self._is_possible = tokenizer.size <= table.size and has_lock() and _array_header_is_known()

    def write(self, strings: tuple[str, ...], max_tokens: int | None, max_chars: int | None, normalize: bool, out: NDArray[np.float32]) -> bool:
        """Write the vectors of strings to `out`, float32, C-contiguous, shape (strings, dim). Return whether it was possible.

        `dim` may be smaller than the number of dimensions of the table. For one string, the shape may be (dim,).

        It is not possible if there are too many or too long strings, an element is not a string or has no UTF-8 form, or compiled code does not know
        all characters or chunks. Then the contents of `out` have no meaning.
        """
        count = len(strings)
        if count > MAX_TEXTS:
            return False
        # Other threads see `pop` and `append` as single steps.
        try:
            memory = self._memories.pop()
        except IndexError:
            made = self._make_memory()
            if made is None:
                return False
            memory = made
        rows = memory.cache.rows
        if rows is not memory.rows:
            memory.use(rows)
        undone = encode_few(
            id(strings) + TUPLE_BYTES,
            count,
            ALL_CHARS if max_chars is None else max_chars,
            _UNBOUNDED if max_tokens is None else max_tokens,
            normalize,
            memory.address,
            id(out) + _OBJECT_BYTES,
            out.shape[-1],
        )
        self._memories.append(memory)
        return not undone

    def _make_memory(self) -> _Memory | None:
        """Return new memory. ``None`` if this tokenizer or this version of numba or NumPy does not allow it."""
        core = self._tokenizer.pack(MAX_TEXTS) if self._is_possible else None
        writes = address_of(write_utf8, (0, 0, ALL_CHARS, np.zeros(_DATA_BYTES, np.uint8), np.zeros(1, np.int64)))
        pools = pool_address(self._table)
        if core is None or writes is None or pools is None:
            self._is_possible = False
            return None
        return _Memory(core, (writes, pools), self._table)


def _array_header_is_known() -> bool:
    """Return whether NumPy stores the address of an array's elements where its C interface says: after what every Python object has."""
    probe = np.zeros(1)
    return bool(ctypes.c_void_p.from_address(id(probe) + _OBJECT_BYTES).value == probe.ctypes.data)


@compiled(gil=True)
def encode_few(elements: int, count: int, max_chars: int, max_tokens: int, normalize: bool, address: int, out_address: int, dim: int) -> int:
    """Write the vectors of strings. All arguments are numbers, because numba takes 100 ns to pass an array.

    Args:
        elements: the address of the elements of a tuple.
        count: the number of its elements, at most `MAX_TEXTS`.
        max_chars, max_tokens: the numbers of code points and of tokens of a text that count.
        normalize: whether to divide each vector by its L2 norm.
        address: the address of the packed arguments of `_Memory`.
        out_address: the address of the address of the output, float32 of shape (count, dim).
        dim: the number of dimensions of the output, at most that of the matrix.

    Returns:
        0, or another number if an element is not a string, the strings are too long, or the core does not know all characters or chunks.
    """
    packed = carray(to_pointer(address), _WORDS, np.int64)
    tokenizes, writes, pools, has_weights = packed[0], packed[1], packed[2], packed[3]
    core, data, offsets = unpack(packed, 4, np.int64), unpack(packed, 6, np.uint8), unpack(packed, 8, np.int64)[: count + 1]
    ids, id_offsets = unpack(packed, 10, np.int32), unpack(packed, 12, np.int64)[: count + 1]
    mapping, scale, cache = unpack(packed, 14, np.int32), unpack(packed, 18, np.float64)[0], unpack(packed, _CACHE, np.uint64)
    matrix = unpack_matrix(packed, _CACHE + 2)
    out = carray(to_pointer(carray(to_pointer(out_address), 1, np.int64)[0]), (count, dim), np.float32)
    objects = carray(to_pointer(elements), count, np.int64)
    size = 0
    for i in range(count):
        bound = max_utf8_length(objects[i], max_chars)
        size += bound
        if bound < 0 or size > MAX_BYTES:
            return 1
    if call_address_for_int(writes, elements, 0, max_chars, data, offsets) >= 0:
        return 1
    used = offsets[count]
    for at in range(used, used + BLOCK):
        data[at] = 0
    if call_address_for_int(tokenizes, core, max_tokens, cache, data[: used + BLOCK], offsets, id_offsets, ids) != 0:
        return 1
    sums = carray(to_pointer(address), (0, 0), np.float64)
    if has_weights:
        call_address(pools, matrix, unpack(packed, 16, np.float32), mapping, scale, ids, id_offsets, normalize, 0, count, out, sums)
    else:
        call_address(pools, matrix, None, mapping, scale, ids, id_offsets, normalize, 0, count, out, sums)
    return 0
