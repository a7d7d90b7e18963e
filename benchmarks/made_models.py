"""Make a model of every kind: the bundled one in three storage types, and models with other tokenizers, made from the default texts."""

from __future__ import annotations

from pathlib import Path

from benchmarks.corpora import default_corpora
from benchmarks.large_models import write_bpe_model, write_unigram_model
from model2vec_numba import StaticModel, quantize_model

__all__ = ["KINDS", "TYPES", "write_models"]

TYPES = ("int8", "float16", "float32")
KINDS = ("unigram", "bpe")


def write_models(folder: Path, pieces: int) -> dict[str, Path]:
    """Write the models to folders in `folder`, and return these folders by name.

    The models of `TYPES` are the bundled model, with WordPiece. Those of `KINDS` have random vectors. "unigram" has `pieces` tokens and
    "bpe" half as many.
    """
    bundled = StaticModel.from_pretrained()
    folders = {name: folder / name for name in (*TYPES, *KINDS)}
    for name in TYPES:
        quantize_model(bundled, quantize_to=name).save_pretrained(folders[name])
    texts = [part for corpus in default_corpora() for part in corpus.texts]
    write_unigram_model(folders["unigram"], pieces, bundled.dim, texts)
    write_bpe_model(folders["bpe"], pieces // 2, bundled.dim, texts)
    for name in KINDS:
        # Saved again, so that they have the list of modules that sentence-transformers needs.
        StaticModel.from_pretrained(folders[name]).save_pretrained(folders[name])
    return folders
