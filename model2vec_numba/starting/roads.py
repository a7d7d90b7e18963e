"""Choose the road of a call: with compiled code if it is ready, else without."""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from model2vec_numba.parallel.forks import forks_wait_for
from model2vec_numba.pooling.table import EmbeddingTable
from model2vec_numba.starting.compiling import compilation_state
from model2vec_numba.starting.encoder import PlainEncoder
from model2vec_numba.starting.mode import VARIABLE, compile_mode
from model2vec_numba.starting.ready import is_ready, key_of
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

if TYPE_CHECKING:
    from model2vec_numba.encoder import Encoder
    from model2vec_numba.tokenization.tokenizer import BatchTokenizer

__all__ = ["CompiledTokenizer", "Roads"]


# How long to sleep between two looks.
_WAIT_SECONDS = 0.01

# A thread holds these while it imports numba, and while it makes a tokeniser. Forks wait for both.
_importing, _making = threading.RLock(), threading.RLock()
forks_wait_for(_importing)


@functools.cache
def _import_compiled() -> type[Encoder]:
    """Import everything that uses numba, and return the class of encoders."""
    with _importing:
        from model2vec_numba.encoder import Encoder

    # Making a tokeniser takes the lock of numba's compiler. A fork must take that lock later than this one, so this one is registered later.
    forks_wait_for(_making)
    return Encoder


class CompiledTokenizer:
    """The tokeniser with compiled code, which is made when it is first needed. Models with the same tokenizer share it."""

    def __init__(self, spec: TokenizerSpec) -> None:
        self.spec = spec
        self._tokenizer: BatchTokenizer | None = None

    def get(self) -> BatchTokenizer:
        """Return the tokeniser. This compiles what it needs, unless that is in the cache.

        Raises:
            ModelFormatError: the `tokenizers` library is needed, and it refuses the file.
        """
        if self._tokenizer is None:
            _import_compiled()
            with _making:
                if self._tokenizer is None:
                    from model2vec_numba.tokenization.tokenizer import make_tokenizer

                    made = make_tokenizer(self.spec)
                    if made.name == "tokenizers":
                        # The compiled tokenisers check what they read. Here the library checks, now and not at the first text.
                        _ = self.spec.library
                    self.spec.forget()
                    self._tokenizer = made
        return self._tokenizer


class Roads:
    """The two roads of a model's calls.

    Attributes:
        compiled: makes an `Encoder` with compiled code. ``None`` until it may be used.
    """

    def __init__(self, tokenizer: CompiledTokenizer, table: EmbeddingTable) -> None:
        self.tokenizer = tokenizer
        self.compiled: Callable[..., Encoder] | None = None
        self._table = table
        self._mode = compile_mode()
        self._key = key_of(tokenizer.spec, table) if self._mode == "background" else ""
        if self._mode == "wait" or (self._mode == "background" and is_ready(self._key)):
            self.use_compiled()
        elif self.find_compiled() is None:
            # A file that the library refuses is an error now, and not in the first call.
            _ = tokenizer.spec.library
            tokenizer.spec.forget()

    def plain(self, *settings: Any) -> PlainEncoder:
        """Return an encoder without compiled code, with the settings of a call."""
        return PlainEncoder(self.tokenizer.spec, self._table, self.find_compiled, *settings)

    def find_compiled(self) -> Callable[..., Encoder] | None:
        """Return what makes an `Encoder`, or ``None`` if compiled code may not be used yet. This does not wait for the compiler."""
        if self.compiled is None and self._mode == "background":
            state = compilation_state(self.tokenizer.spec, self._table, self._key)
            if state == "killed":
                self._mode = "never"
                _report(f"the process that compiles was ended by a signal, so compiled code is not used; set {VARIABLE}=wait to compile here")
            elif state != "running":
                # If no process can compile, this one does.
                self.use_compiled()
        return self.compiled

    def wait(self) -> None:
        """Wait until the other process has compiled, if there is one."""
        while self.find_compiled() is None and self._mode == "background":
            time.sleep(_WAIT_SECONDS)

    def use_compiled(self) -> Callable[..., Encoder]:
        """Use compiled code from now on. What is not in the cache is compiled, and the call waits for it."""
        tokenizer = self.tokenizer.get()
        self.compiled = partial(_import_compiled(), tokenizer, self._table)
        if tokenizer.name != "tokenizers":
            # The tokeniser of the library takes memory, and is made again if a text needs it.
            self.tokenizer.spec.__dict__.pop("library", None)
        return self.compiled

    @property
    def is_plain(self) -> bool:
        """Whether all calls work without compiled code."""
        return self.compiled is None and self._mode == "never"


def _report(message: str) -> None:
    """Print a line on standard error."""
    if sys.stderr is not None:
        sys.stderr.write(f"model2vec-numba: {message}\n")
