"""scikit-learn: a transformer from texts to vectors, for pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import require
from model2vec_numba.integrations.shipping import ModelReference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

    from model2vec_numba.model import StaticModel
else:
    _base = require("sklearn.base", "model2vec_numba.integrations.scikit_learn", "scikit-learn")
    BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin = (
        getattr(_base, name) for name in ("BaseEstimator", "ClassNamePrefixFeaturesOutMixin", "TransformerMixin")
    )

__all__ = ["StaticModelTransformer"]


class StaticModelTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Texts to their vectors. There is nothing to learn, so `transform` works without `fit`.

    Args:
        model: a folder or the name of a Hub repository, as for `StaticModel.from_pretrained` (``None``: the bundled model), or a
            `StaticModel`, which scikit-learn copies wherever it copies the transformer.
        max_length: the number of tokens of a text that count; ``None``: as the model says.
        normalize: whether vectors are divided by their L2 norm; ``None``: as the model says.
    """

    def __init__(
        self, model: StaticModel | str | os.PathLike[str] | None = None, *, max_length: int | None = None, normalize: bool | None = None
    ) -> None:
        self.model = model
        self.max_length = max_length
        self.normalize = normalize

    def fit(self, X: Iterable[str], y: Any = None) -> StaticModelTransformer:
        """Load the model. The texts are not looked at."""
        _refuse_one_text(X)
        self._loaded()
        return self

    def transform(self, X: Iterable[str]) -> NDArray[np.float32]:
        """The vectors of texts, float32 of shape (texts, dim).

        Args:
            X: texts, as `StaticModel.encode` takes them.

        Raises:
            TypeError: an element is not a string; its position is named.
            ValueError: `X` is one string.
        """
        _refuse_one_text(X)
        options: dict[str, Any] = {} if self.max_length is None else {"max_length": self.max_length}
        vectors: NDArray[np.float32] = self._loaded().encode(X, normalize=self.normalize, **options)
        return vectors

    def _loaded(self) -> StaticModel:
        # Not kept here: what is pickled and copied with a transformer is what was given to it.
        if self.model is None or isinstance(self.model, (str, os.PathLike)):
            return ModelReference(self.model).load()
        return self.model

    @property
    def _n_features_out(self) -> int:
        """What scikit-learn's mixin numbers the features' names by."""
        return self._loaded().dim

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _refuse_one_text(texts: object) -> None:
    if isinstance(texts, str):
        raise ValueError("X must be an iterable of texts, not one str")
