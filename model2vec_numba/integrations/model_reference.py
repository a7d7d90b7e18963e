"""References to models for worker processes. Each process loads a model once, for all of its tasks."""

from __future__ import annotations

import hashlib
import os
import pickle
import threading

from model2vec_numba.model import StaticModel

__all__ = ["ModelReference"]

# The maximum number of models that a process keeps. Workers run for a long time, and seldom use several models.
_MAX_MODELS = 4


class _LoadedModels:
    """The models that this process keeps."""

    def __init__(self) -> None:
        self.models: dict[str | bytes | None, StaticModel] = {}
        self.renew_lock()

    def renew_lock(self) -> None:
        """Make a new lock. A forked child needs one: a lock that a thread of the parent held would stay locked."""
        self.lock = threading.Lock()


_loaded = _LoadedModels()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loaded.renew_lock)


class ModelReference:
    """A reference to a model, to pickle with a task. It holds the name of a model or, if it was made from a `StaticModel`, the contents.

    Args:
        model: a folder that the workers can read, or the name of a Hub repository. ``None``: the bundled model. The contents of a `StaticModel`
            are pickled.
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
        """Return the model. Equal references in a process return the same object, unless `_MAX_MODELS` other models were loaded in between.

        Raises:
            ModelError: the model cannot be loaded.
        """
        models = _loaded.models
        with _loaded.lock:
            if self._key not in models:
                while len(models) >= _MAX_MODELS:
                    del models[next(iter(models))]
                models[self._key] = self._load_new()
            return models[self._key]

    def _load_new(self) -> StaticModel:
        """Load the model by its name, or unpickle its contents."""
        if self._content is None:
            assert not isinstance(self._key, bytes)
            return StaticModel.from_pretrained(self._key)
        model: StaticModel = pickle.loads(self._content)
        return model

    def __dask_tokenize__(self) -> object:
        return type(self).__name__, self._key
