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
from model2vec_numba.starting.ready import has_note, is_ready, key_of
from model2vec_numba.tokenization.spec.spec import TokenizerSpec

if TYPE_CHECKING:
    from model2vec_numba.encoder import Encoder
    from model2vec_numba.few_texts import FewTexts
    from model2vec_numba.tokenization.tokenizer import BatchTokenizer

__all__ = ["CompiledTokenizer", "Roads"]


# How long to sleep between two looks.
_WAIT_SECONDS = 0.01
# Importing numba and loading compiled code takes about twice this processor time. Compiled code is used when calls have taken this long without it.
# So a process with a few small calls never imports numba, and no process takes much longer than with the better choice.
_WORTH_SECONDS = 0.25

# A thread holds these while it imports numba, and while it makes a tokeniser. Forks wait for both.
_importing, _making = threading.RLock(), threading.RLock()
forks_wait_for(_importing)


@functools.cache
def _import_compiled() -> tuple[type[Encoder], type[FewTexts]]:
    """Import everything that uses numba, and return the classes of encoders."""
    with _importing:
        from model2vec_numba.encoder import Encoder
        from model2vec_numba.few_texts import FewTexts

    # Making a tokeniser takes the lock of numba's compiler. A fork must take that lock later than this one, so this one is registered later.
    forks_wait_for(_making)
    return Encoder, FewTexts


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
    """The tokeniser and the table of a model, and the two roads of its calls: with compiled code and without.

    Attributes:
        tokenizer: the tokeniser with compiled code.
        table: the embedding table.
        compiled: makes an `Encoder` with compiled code. ``None`` until it may be used.
    """

    def __init__(self, tokenizer: CompiledTokenizer, table: EmbeddingTable) -> None:
        self.tokenizer = tokenizer
        self.compiled: Callable[..., Encoder] | None = None
        self.table = table
        self._mode = compile_mode()
        self._key = key_of(tokenizer.spec, table) if self._mode == "background" else ""
        self._is_ready = self._mode == "background" and is_ready(self._key)
        self._plain_seconds = 0.0
        if self._mode == "wait":
            self.use_compiled()
        elif self.find_compiled() is None and not has_note(self._key):
            # A file that the library refuses is an error now, and not in the first call.
            _ = tokenizer.spec.library
            tokenizer.spec.forget()

    def plain(self, *settings: Any) -> PlainEncoder:
        """Return an encoder without compiled code, with the settings of a call."""
        self.tokenizer.spec.forget()
        return PlainEncoder(self.tokenizer.spec, self.table, self, *settings)

    def spend(self, seconds: float) -> None:
        """Take note that a call has spent this processor time without compiled code, or is going to."""
        self._plain_seconds += seconds

    def find_compiled(self) -> Callable[..., Encoder] | None:
        """Return what makes an `Encoder`, or ``None`` if compiled code may not be used yet, or not enough was done to import it.

        This does not wait for the compiler.
        """
        if self.compiled is None and self._mode == "background":
            state = "ready" if self._is_ready else compilation_state(self.tokenizer.spec, self.table, self._key)
            if state == "killed":
                self._mode = "never"
                _report(f"the process that compiles was ended by a signal, so compiled code is not used; set {VARIABLE}=wait to compile here")
            elif state == "failed":
                # No process can compile, so this one does.
                self.use_compiled()
            elif state == "ready":
                self._is_ready = True
                if self._plain_seconds >= _WORTH_SECONDS or "numba" in sys.modules:
                    self.use_compiled()
        return self.compiled

    def wait(self) -> None:
        """Wait until the other process has compiled, if there is one, and use compiled code."""
        self.spend(_WORTH_SECONDS)
        while self.find_compiled() is None and self._mode == "background":
            time.sleep(_WAIT_SECONDS)

    def use_compiled(self) -> Callable[..., Encoder]:
        """Use compiled code from now on. Code that is not in the cache is compiled, and the call waits for it."""
        tokenizer = self.tokenizer.get()
        encoder, few_texts = _import_compiled()
        self.compiled = partial(encoder, tokenizer, self.table, few_texts(tokenizer, self.table))
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
