"""Make a smaller model from a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from model2vec_numba.dtypes import Int8Scales
from model2vec_numba.quantization.clustering import cluster_table
from model2vec_numba.quantization.tables import check_quantization, quantize_table
from model2vec_numba.starting.roads import Roads

if TYPE_CHECKING:
    from model2vec_numba.model import StaticModel

__all__ = ["quantize_model"]

Model = TypeVar("Model", bound="StaticModel")


def quantize_model(
    model: Model,
    vocabulary_quantization: int | None = None,
    quantize_to: str | None = None,
    dimensionality: int | None = None,
    *,
    int8_scales: Int8Scales = "matrix",
    show_progress_bar: bool = False,
) -> Model:
    """Return a smaller model. It lets tokens share rows, converts the matrix to a smaller type, and drops dimensions, in this order.

    The figures for the quality below were measured on all-MiniLM-L6-v2 distilled to 256 dimensions in float32, with the 4,314 English sentence pairs
    of STSbenchmark. They are the rank correlation (Spearman's) of the pairs' cosines with those of the original model, and the mean and the lowest
    cosine between the vectors of a sentence in both models. `python -m benchmarks.quality` measures them for any model.

    Args:
        model: the model. It is not changed.
        vocabulary_quantization: the number of rows that the tokens share. The directions of the rows are clustered by k-means, and their L2
            norms become weights. It needs scikit-learn, and memory for a copy of the matrix in float32. It loses the most: with 8,192 rows
            for 29,525 tokens the correlation is 0.973 (mean cosine 0.871, lowest 0.63), with 2,048 rows 0.939 (0.759, 0.45).
        quantize_to: the type to store the matrix in. ``"float16"`` and ``"bfloat16"``: correlation 1.00000 (cosines above 0.99999).
            ``"int8"``: see `int8_scales`. Converting from a smaller type to ``"float32"`` or ``"float64"`` loses nothing.
        dimensionality: the number of dimensions to keep. The first ones are kept, which hold the most information in models that were distilled
            with a PCA, as most are. 128 of 256: correlation 0.993 (removed dimensions counted as zeros: mean cosine 0.886, lowest 0.70); 64:
            0.973; 32: 0.944.
        int8_scales: for int8, ``"matrix"``: one scale for all values, so that the largest magnitude is 127. The integers are those of model2vec
            if the values fit into float16. Correlation 0.99996 (mean cosine 0.99932, lowest 0.9961). Or ``"row"``: one scale for each row.
            Correlation 1.00000 (0.99997, 0.99993), and `encode` takes up to 1.7 times as long as with ``"matrix"``. With both, vectors that are not
            normalised are in the original units (model2vec drops the scale). With ``"row"`` their norms are within 1 % of the original ones.
            With ``"matrix"`` they are not if all rows of a text have small norms, such as the rows of punctuation.
        show_progress_bar: whether to show a progress bar on standard error while rows are clustered (needs `tqdm`).

    Returns:
        A model of the same class. It shares the data that does not change with `model`.

    Raises:
        ValueError: an argument is out of range, the tokens share rows already, or a value does not fit into the type.
        ImportError: scikit-learn or `tqdm` is needed and not installed.
    """
    roads = model._checked_roads()
    table = roads.table
    check_quantization(table, quantize_to, dimensionality, int8_scales)
    if vocabulary_quantization is not None:
        table = cluster_table(table, vocabulary_quantization, show_progress_bar)
        # Clustering gives float32, so convert the rows back to the type of the model.
        quantize_to = quantize_to or roads.table.dtype
    return model._with_roads(Roads(roads.tokenizer, quantize_table(table, quantize_to, dimensionality, int8_scales)))
