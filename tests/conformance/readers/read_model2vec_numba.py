"""This package."""

import warnings

from serving import serve

from model2vec_numba import StaticModel

# Rows with NaN are a warning, and one case is about them.
warnings.simplefilter("ignore", RuntimeWarning)
serve(lambda folder, texts: StaticModel.from_pretrained(folder).encode(texts))
