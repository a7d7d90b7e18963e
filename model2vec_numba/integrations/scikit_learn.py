"""scikit-learn: a transformer that turns texts into vectors, for pipelines."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from model2vec_numba.extras import require
from model2vec_numba.integrations.model_reference import ModelReference
from model2vec_numba.vectors.form import make_form

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

    from model2vec_numba.model import StaticModel
else:
    _base = require("sklearn.base", "model2vec_numba.integrations.scikit_learn", "scikit-learn")
    BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin = (
        getattr(_base, name) for name in ("BaseEstimator", "ClassNamePrefixFeaturesOutMixin", "TransformerMixin")
    )

__all__ = ["StaticModelTransformer"]


class StaticModelTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer that turns texts into vectors. It has nothing to fit, so `transform` works without `fit`.

    Args:
        model: a folder or the name of a Hub repository, as in `StaticModel.from_pretrained`. ``None``: the bundled model. It can also be a
            `StaticModel`, which scikit-learn copies together with the transformer.
        max_length: the number of tokens of a text that count. ``None``: as in the model.
        normalize: whether vectors are divided by their L2 norm. ``None``: as in the model.
        dimensionality, precision, ranges, num_threads: as in `StaticModel.encode`.
    """

    def __init__(
        self,
        model: StaticModel | str | os.PathLike[str] | None = None,
        *,
        max_length: int | None = None,
        normalize: bool | None = None,
        dimensionality: int | None = None,
        precision: str = "float32",
        ranges: ArrayLike | None = None,
        num_threads: int | None = None,
    ) -> None:
        self.model = model
        self.max_length = max_length
        self.normalize = normalize
        self.dimensionality = dimensionality
        self.precision = precision
        self.ranges = ranges
        self.num_threads = num_threads

    def fit(self, X: Iterable[str], y: Any = None) -> StaticModelTransformer:
        """Load the model. The texts are not used."""
        _refuse_one_text(X)
        self._load()
        return self

    def transform(self, X: Iterable[str]) -> NDArray[Any]:
        """Return the vectors of texts, shape (texts, dim), as `StaticModel.encode` does.

        Args:
            X: an iterable of texts, as for `StaticModel.encode`.

        Raises:
            TypeError: an element is not a string. The message names its position.
            ValueError: `X` is a string, or a parameter is out of range.
        """
        _refuse_one_text(X)
        names = ("normalize", "dimensionality", "precision", "ranges", "num_threads")
        options: dict[str, Any] = {name: getattr(self, name) for name in names}
        if self.max_length is not None:
            options["max_length"] = self.max_length
        vectors: NDArray[Any] = self._load().encode(X, **options)
        return vectors

    def _load(self) -> StaticModel:
        # The loaded model is not stored here, so that pickling and copying a transformer do not include it.
        if self.model is None or isinstance(self.model, (str, os.PathLike)):
            return ModelReference(self.model).load()
        return self.model

    @property
    def _n_features_out(self) -> int:
        """The number of columns of the vectors. scikit-learn makes the names of the features from it."""
        return make_form(self._load().dim, self.dimensionality, self.precision, self.ranges).columns

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
    """Raise a ValueError for a string, which would be taken for an iterable of texts."""
    if isinstance(texts, str):
        raise ValueError("X must be an iterable of texts, not one str")
