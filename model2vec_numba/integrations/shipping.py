"""How a model comes to worker processes: by its name, or by value, and loaded once in each process however many tasks use it."""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from numba import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from model2vec_numba.model import StaticModel

__all__ = ["ModelReference", "one_thread"]


# Models that a process keeps. Several at a time are rare, and workers live long.
_KEPT = 4


class _Loaded:
    """The models that this process keeps."""

    def __init__(self) -> None:
        self.models: dict[str | bytes | None, StaticModel] = {}
        self.renew_lock()

    def renew_lock(self) -> None:
        """In a forked child too: nobody loads there what a thread of the parent was loading."""
        self.lock = threading.Lock()


_loaded = _Loaded()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loaded.renew_lock)


class ModelReference:
    """Stands for a model in tasks: to pickle as small as a name, or as large as a model that goes by value.

    Args:
        model: a folder that workers see too, or the name of a Hub repository; ``None``: the bundled model. Or a model, which goes by value.
    """

    def __init__(self, model: StaticModel | str | os.PathLike[str] | None) -> None:
        self._content: bytes | None = None
        self._key: str | bytes | None
        if model is None or isinstance(model, (str, os.PathLike)):
            self._key = None if model is None else os.fspath(model)
        else:
            self._content = pickle.dumps(model._by_value(), pickle.HIGHEST_PROTOCOL)
            self._key = hashlib.sha256(self._content).digest()

    def load(self) -> StaticModel:
        """The model: the same for all that load it in a process, unless many others were loaded between.

        Raises:
            ModelError: there is no such model here.
        """
        models = _loaded.models
        with _loaded.lock:
            if self._key not in models:
                while len(models) >= _KEPT:
                    del models[next(iter(models))]
                models[self._key] = self._made()
            return models[self._key]

    def _made(self) -> StaticModel:
        from model2vec_numba.model import StaticModel

        if self._content is None:
            assert not isinstance(self._key, bytes)
            return StaticModel.from_pretrained(self._key)
        model: StaticModel = pickle.loads(self._content)
        return model

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self._key


@contextmanager
def one_thread() -> Iterator[None]:
    """Run kernels in the calling thread alone: an engine that starts a worker for each core has no cores left over."""
    count = get_num_threads()
    set_num_threads(1)
    try:
        yield
    finally:
        set_num_threads(count)
