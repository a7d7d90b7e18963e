"""The short road of a call with a few short strings: one kernel, which gets its arguments packed, does all steps.

A kernel with many arguments takes longer to call than a sentence takes. With a kernel for each step, and Python code between them, one string took
2.5 times as long, and ten strings twice as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray
from numpy.typing import NDArray

from model2vec_numba.jit.builtins import (
    as_builtin,
    drop_reference,
    elements_of_array,
    elements_of_list,
    is_list,
    is_none,
    last_length_of_array,
    new_float32_matrix,
    new_none,
    new_reference,
    numpy_functions,
    sequence_length,
    to_integer,
    word_at,
)
from model2vec_numba.jit.decorators import compiled, inner
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
_DATA_BYTES = MAX_BYTES + max(SLACK, BLOCK)
_ADDRESS_BYTES = 8
# The packed arguments: where the matrix and NumPy's functions are in them, and their number.
_MATRIX, _NUMPY, _WORDS = 22, 26, 28
# The number of the output among the arguments of a call.
_OUTPUT = 4


class FewTexts:
    """Encodes a few short strings with one kernel.

    Args:
        tokenizer: turns texts into tokens.
        table: the vectors of the tokens.
    """

    def __init__(self, tokenizer: BatchTokenizer, table: EmbeddingTable) -> None:
        self._tokenizer = tokenizer
        self._table = table
        self._core: PackedCore | None = None
        self._rows: NDArray[np.uint64] | None = None

    def encode(self, *arguments: Any) -> NDArray[np.float32] | None:
        """Call the built-in function `encode_few`, which takes the place of this method. This method makes it, in the first call.

        If this tokenizer or this version of numba or NumPy does not allow it, no call is possible.
        """
        # If the vocabulary lists a token twice, a token may have no row, and each batch must be checked. The kernel reads strings in place.
        is_possible = self._tokenizer.size <= self._table.size and has_lock()
        core = self._tokenizer.pack(MAX_TEXTS) if is_possible else None
        # An attribute of the object is found before a method of its class. A method in this attribute would be a cycle of references.
        self.encode = (None if core is None else self._make(core)) or _never  # type: ignore[method-assign]
        return self.encode(*arguments)

    def _make(self, core: PackedCore) -> Callable[..., NDArray[np.float32] | None] | None:
        """Return the function for the rows that the cache of a core has now. ``None`` if this version of numba or NumPy does not allow it."""
        table, rows = self._table, core.cache.rows
        writes = address_of(write_utf8, (0, 0, ALL_CHARS, np.zeros(_DATA_BYTES, np.uint8), np.zeros(1, np.int64)))
        pools, functions = pool_address(table), numpy_functions()
        if writes is None or pools is None or functions is None:
            return None
        data, offsets = np.zeros(_DATA_BYTES, np.uint8), np.zeros(MAX_TEXTS + 1, np.int64)
        ids, id_offsets = np.zeros(MAX_BYTES + MAX_IDS + 1, np.int32), np.zeros(MAX_TEXTS + 1, np.int64)
        factors = np.empty(0, np.float32) if table.factors is None else table.factors
        arrays = core.packed, data, offsets, ids, id_offsets, table.mapping, factors, np.array([table.scale]), rows
        numbers = pack([core.address, writes, pools, table.factors is not None], arrays)
        packed = np.concatenate([numbers, matrix_words(table.elements), np.array(functions, np.int64)])
        self._core, self._rows = core, rows
        return as_builtin(encode_few, (packed, core, table, arrays))

    def heed_growth(self) -> None:
        """Use the rows that the cache of the core has now. The old ones give the same vectors, but do not know new chunks."""
        core = self._core
        if core is not None and core.cache.rows is not self._rows:
            # Another function, because other threads may be calling the old one.
            self.encode = self._make(core) or _never  # type: ignore[method-assign]


def _never(*_arguments: Any) -> None:
    """Take the place of `encode_few` if it cannot be called."""


@compiled(gil=True, for_c=True)
def encode_few(owner: int, arguments: int, count: int) -> int:
    """Return the vectors of a few short strings. This is a built-in function; see `as_builtin`.

    It holds the GIL, and while it uses its memory, it calls nothing that might release it. So all threads can use the same memory.

    Args:
        owner: the address of a tuple. Its first element is an array with the packed arguments; see `FewTexts`.
        arguments: the address of the addresses of
            a list or a tuple of the strings;
            the numbers of tokens and of code points of a text that count, or ``None``, which means all;
            whether to divide each vector by its L2 norm;
            and optionally the output: float32, C-contiguous, shape (strings, dim), or (dim,) for one string. `dim` may be smaller than the number of
            columns of the matrix. Not given: a new array with all columns.
        count: the number of arguments.

    Returns:
        The output. ``None`` if it is not possible: there are too many or too long strings, an element is not a string or has no UTF-8 form, or
        compiled code does not know all characters or chunks. Then the contents of the output have no meaning.
    """
    objects = carray(to_pointer(arguments), count, np.int64)
    strings, max_tokens, max_chars, normalize = objects[0], _limit(objects[1]), _limit(objects[2]), to_integer(objects[3]) != 0
    texts = sequence_length(strings)
    if texts > MAX_TEXTS:
        return new_none()  # type: ignore[no-any-return]
    address = elements_of_array(word_at(owner + TUPLE_BYTES))
    packed = carray(to_pointer(address), _WORDS, np.int64)
    matrix = unpack_matrix(packed, _MATRIX)
    is_given = count > _OUTPUT
    result: int = new_reference(objects[_OUTPUT]) if is_given else new_float32_matrix(packed[_NUMPY], packed[_NUMPY + 1], texts, matrix.shape[1])
    if result == 0:
        return result
    # From here on, nothing can release the GIL before the strings are read. So no other thread can change a list.
    if sequence_length(strings) != texts:
        drop_reference(result)
        return new_none()  # type: ignore[no-any-return]
    elements = elements_of_list(strings) if is_list(strings) else strings + TUPLE_BYTES
    out = carray(to_pointer(elements_of_array(result)), (texts, last_length_of_array(result)), np.float32)
    if not _write_vectors(packed, matrix, elements, max_chars, max_tokens, normalize, out, carray(to_pointer(address), (0, 0), np.float64)):
        drop_reference(result)
        return new_none()  # type: ignore[no-any-return]
    return result


@inner
def _limit(value: int) -> int:
    """Return the value of the Python integer at an address, or a number that no text reaches for ``None``."""
    return ALL_CHARS if is_none(value) else to_integer(value)


@inner
def _write_vectors(
    packed: NDArray[np.int64],
    matrix: NDArray[np.int8],
    elements: int,
    max_chars: int,
    max_tokens: int,
    normalize: bool,
    out: NDArray[np.float32],
    no_sums: NDArray[np.float64],
) -> bool:
    """Write the vectors of strings to `out`, shape (strings, dim). Return whether it was possible; see `encode_few`.

    `elements` is the address of the addresses of the strings, and `no_sums` an empty array.
    """
    texts = len(out)
    size = 0
    for i in range(texts):
        bound = max_utf8_length(word_at(elements + _ADDRESS_BYTES * i), max_chars)
        size += bound
        if bound < 0 or size > MAX_BYTES:
            return False
    tokenizes, writes, pools, has_weights = packed[0], packed[1], packed[2], packed[3]
    core, data, offsets = unpack(packed, 4, np.int64), unpack(packed, 6, np.uint8), unpack(packed, 8, np.int64)[: texts + 1]
    ids, id_offsets = unpack(packed, 10, np.int32), unpack(packed, 12, np.int64)[: texts + 1]
    mapping, scale, cache = unpack(packed, 14, np.int32), unpack(packed, 18, np.float64)[0], unpack(packed, 20, np.uint64)
    if call_address_for_int(writes, elements, 0, max_chars, data, offsets) >= 0:
        return False
    used = offsets[texts]
    for at in range(used, used + BLOCK):
        data[at] = 0
    if call_address_for_int(tokenizes, core, max_tokens, cache, data[: used + BLOCK], offsets, id_offsets, ids) != 0:
        return False
    if has_weights:
        call_address(pools, matrix, unpack(packed, 16, np.float32), mapping, scale, ids, id_offsets, normalize, 0, texts, out, no_sums, 0, 0)
    else:
        call_address(pools, matrix, None, mapping, scale, ids, id_offsets, normalize, 0, texts, out, no_sums, 0, 0)
    return True
