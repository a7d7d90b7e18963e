"""The cache of chunks of a tokenizer, and how it grows."""

from __future__ import annotations

import threading

from model2vec_numba.tokenization.chunks.rows import MOST_SMALL_ROWS, copy_rows, count_small_rows, is_full, make_rows

__all__ = ["ChunkCache"]


class ChunkCache:
    """A cache that all threads of a tokenizer share.

    Attributes:
        rows: uint64; see `make_rows`.
    """

    def __init__(self) -> None:
        self.rows = make_rows()
        # A lock that a fork leaves locked in the child does no harm: the child does not wait for it, and its cache no longer grows.
        self._growing = threading.Lock()

    def grow(self) -> None:
        """If the rows are full, replace them. The first time, four times as many rows with the same chunks take their place. Later, empty rows do.

        A call that still uses the old rows can finish with them. Chunks that are still in use are soon inserted again. That costs less than counting
        how often each is used.
        """
        if not is_full(self.rows) or not self._growing.acquire(blocking=False):
            return
        try:
            rows = self.rows
            if is_full(rows):
                larger = make_rows(MOST_SMALL_ROWS)
                if count_small_rows(rows) < MOST_SMALL_ROWS:
                    copy_rows(rows, larger)
                self.rows = larger
        finally:
            self._growing.release()
