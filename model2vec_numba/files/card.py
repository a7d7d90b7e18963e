"""A model's card: the `README.md` that the Hugging Face Hub shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["make_card"]

# What a model that is made of another one has from it.
_INHERITED = ("license", "license_name", "license_link", "language", "base_model", "datasets")
_TAGS = ["embeddings", "static-embeddings", "sentence-transformers", "model2vec"]

_TEXT = """\
---
{metadata}
---

# {name}

A static embedding model in the format of [Model2Vec](https://github.com/MinishLab/model2vec): it has one vector for each token of its
vocabulary, and a text's vector is the mean of its tokens' vectors.

| | |
| --- | --- |
{facts}

## How to load it

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


def make_card(name: str, facts: dict[str, str], source: Path | None) -> str:
    """The text of a card.

    Args:
        name: what the model is called.
        facts: what to say of it.
        source: the card of the model that it was made of, if there is one. Its licence, languages and base model are those of this one too; where it
            says none, this one says none.
    """
    from huggingface_hub import ModelCardData

    metadata = ModelCardData(**{"library_name": "model2vec", "tags": _TAGS, **_inherited(source)})
    rows = "\n".join(f"| {fact} | {value} |" for fact, value in facts.items())
    return _TEXT.format(metadata=metadata.to_yaml(), name=" ".join(name.split()), quoted=json.dumps(name, ensure_ascii=False), facts=rows)


def _inherited(source: Path | None) -> dict[str, Any]:
    from huggingface_hub import ModelCard

    if source is None or not source.is_file():
        return {}
    try:
        data = ModelCard.load(source, ignore_metadata_errors=True).data.to_dict()
    except Exception:
        # A card is prose with a head that somebody wrote by hand. One that cannot be read is no reason not to save a model.
        return {}
    inherited = {name: data[name] for name in _INHERITED if data.get(name) is not None}
    languages = inherited.get("language")
    if isinstance(languages, list):
        # Norwegian without quotation marks is read as the truth value.
        inherited["language"] = ["no" if language is False else language for language in languages]
    elif languages is False:
        inherited["language"] = "no"
    return inherited
