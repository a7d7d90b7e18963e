"""The model card: the `README.md` of a saved model, which the Hugging Face Hub shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model2vec_numba.files.layouts import DEFAULT_MODEL

__all__ = ["card_metadata", "card_source", "make_card", "model_facts"]

# The metadata that is copied from the card of the model that a model was made from.
_INHERITED = ("license", "license_name", "license_link", "language", "base_model", "datasets")
_TAGS = ["embeddings", "static-embeddings", "sentence-transformers", "model2vec"]
_BUNDLED = "bundled"

_TEXT = """\
---
{metadata}
---

# {name}

A static embedding model in the format of [Model2Vec](https://github.com/MinishLab/model2vec). It has one vector for each token of its
vocabulary. The vector of a text is the mean of the vectors of its tokens.

| | |
| --- | --- |
{facts}

## Usage

With `model2vec-numba`:

```python
from model2vec_numba import StaticModel

model = StaticModel.from_pretrained({quoted})
embeddings = model.encode(["It is cold today.", "The weather is chilly."])
```

With `model2vec`:

```python
from model2vec import StaticModel

model = StaticModel.from_pretrained({quoted})
embeddings = model.encode(["It is cold today.", "The weather is chilly."])
```
"""


def model_facts(dim: int, tokens: int, dtype: str, shared_vectors: int | None, max_length: int | None, normalize: bool) -> dict[str, str]:
    """Return the facts that a card states about a model, by their names.

    Args:
        dim: the number of dimensions of a vector.
        tokens: the number of tokens.
        dtype: the storage type of the vectors.
        shared_vectors: the number of vectors that the tokens share. ``None``: each token has its own vector.
        max_length: the number of tokens of a text that count. ``None``: all of them.
        normalize: whether vectors are divided by their L2 norm.
    """
    facts = {"Dimensions": f"{dim:,}", "Tokens": f"{tokens:,}", "Data type": dtype}
    if shared_vectors is not None:
        facts["Vectors shared by the tokens"] = f"{shared_vectors:,}"
    facts["Normalised"] = "yes" if normalize else "no"
    facts["Maximum length"] = "unlimited" if max_length is None else f"{max_length:,} tokens; the rest of a longer text is ignored"
    return facts


def card_source(folder: Path | None) -> str | None:
    """Return the place of a model's card, for the argument `source` of `make_card`.

    It is a string and not a path, because a pickled path cannot be loaded on another operating system.

    Args:
        folder: the folder of the model. ``None``: the model was not loaded from a folder.
    """
    if folder is None:
        return None
    return _BUNDLED if folder == DEFAULT_MODEL else str(folder)


def make_card(name: str, facts: dict[str, str], source: str | None, base_model: Any, language: Any) -> str:
    """Return the text of a card.

    Args:
        name: the name of the model.
        facts: the facts that `model_facts` returned.
        source: the model that this one was made from, as `card_source` returned it. The new card has the licence and the data sets of that model's
            card, if it states them.
        base_model: the name of the model that this one was distilled from, or a list of names. ``None``: it is not known.
        language: the language of the model, or a list of languages. ``None``: it is not known.
    """
    from huggingface_hub import ModelCardData

    metadata = ModelCardData(**{"library_name": "model2vec", "tags": _TAGS, **card_metadata(source), "base_model": base_model, "language": language})
    rows = "\n".join(f"| {fact} | {value} |" for fact, value in facts.items())
    return _TEXT.format(metadata=metadata.to_yaml(), name=" ".join(name.split()), quoted=json.dumps(name, ensure_ascii=False), facts=rows)


def card_metadata(source: str | None) -> dict[str, Any]:
    """Return the licence, languages, data sets and base model that the card of a model states, for the card of a model that is made from it.

    Args:
        source: the place of the card, as `card_source` returned it.
    """
    from huggingface_hub import ModelCard

    if source is None:
        return {}
    path = (DEFAULT_MODEL if source == _BUNDLED else Path(source)) / "README.md"
    if not path.is_file():
        return {}
    try:
        data = ModelCard.load(path, ignore_metadata_errors=True).data.to_dict()
    except Exception:
        # People write cards by hand. A model can be saved even if the card of its source cannot be read.
        return {}
    inherited = {name: data[name] for name in _INHERITED if data.get(name) is not None}
    languages = inherited.get("language")
    if isinstance(languages, list):
        # YAML reads the language code of Norwegian, `no`, as false if it has no quotation marks.
        inherited["language"] = ["no" if language is False else language for language in languages]
    elif languages is False:
        inherited["language"] = "no"
    return inherited
