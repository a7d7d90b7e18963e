"""Change the files of valid models at random: their JSON, the headers and values of their tensors, and single bytes."""

from __future__ import annotations

import base64
import json
from functools import cache
from random import Random
from typing import Any

import numpy as np
from helpers import DTYPES, LAYOUTS, ModelBytes, random_parts
from safetensors.numpy import save as safetensors_bytes
from tokenization.cases import CASES
from tokenization.configs import NORMALIZERS, PRE_TOKENIZERS, Config, charsmap_bytes, normalizer_sequence, sequence

from attack.json_mutations import mutated_json

__all__ = ["Mutant", "make_mutant"]

_DIM = 4
# Larger tokenizers would take most of the time.
_MAX_JSON = 30_000
_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"},
    {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"},
]
_CONFIG = {"model_type": "model2vec", "normalize": True, "max_length": 512, "language": ["en"], "prompts": {"query": ""}, "default_prompt_name": None}


class Mutant:
    """The files of a model, changed at random.

    Attributes:
        layout: the number of the layout.
        files: the contents of the files, by their paths relative to the model's folder.
        contents: the contents of the three files that a model needs.
        words: tokens of the vocabulary before it was changed.
    """

    def __init__(self, layout: int, contents: ModelBytes, modules: bytes, words: list[str]) -> None:
        self.layout = layout
        self.contents = contents
        self.words = words
        config, tokenizer, tensors, listed = LAYOUTS[layout]
        self.files = {config: contents.config, tokenizer: contents.tokenizer, tensors: contents.model, listed: modules}


@cache
def _tokenizers() -> list[Config]:
    """Return the small tokenizers of the tests' table, and some with other components."""
    small = [config for config in (CASES[name].make() for name in CASES) if len(json.dumps(config)) < _MAX_JSON]
    charsmap = base64.b64encode(charsmap_bytes({"\t": " ", "\u3000": " ", "\u00e9": "e", "\ufb01": "fi"})).decode("ascii")
    normalizers = [component for name, component in NORMALIZERS.items() if name != "Precompiled"]
    normalizers.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    splits = list(PRE_TOKENIZERS.values())
    models = [config for config in small if config["model"]["type"] in ("Unigram", "WordLevel", "WordPiece", "BPE")]
    random = Random("tokenizers")
    for normalizer in [*normalizers, *normalizers[-1:] * 6]:
        chain = normalizer_sequence(normalizer, random.choice(normalizers)) if random.random() < 0.5 else normalizer
        small.append({**random.choice(models), "normalizer": chain})
    for split in splits:
        chain = sequence(split, random.choice([s for s in splits if s])) if split and random.random() < 0.3 else split
        small.append({**random.choice(models), "pre_tokenizer": chain})
    return small


@cache
def _tokenizer_bytes(index: int) -> bytes:
    return json.dumps(_tokenizers()[index], ensure_ascii=index % 3 == 0).encode()


@cache
def _tensors(size: int, dtype: str, weights: bool, mapping: bool) -> bytes:
    return safetensors_bytes(random_parts(size, _DIM, dtype, weights=weights, mapping=mapping))


def make_mutant(seed: int) -> Mutant:
    """Return the mutant with this number. It is always the same one."""
    random = Random(f"model {seed}")
    index = random.randrange(len(_tokenizers()))
    config = _tokenizers()[index]
    vocabulary = config["model"]["vocab"]
    words = [token if isinstance(token, str) else token[0] for token in vocabulary]
    added = [token["content"] for token in config.get("added_tokens", [])]
    size = len({*words, *added}) + random.choice((0, 0, 3))
    parts: dict[str, Any] = {"tokenizer": _tokenizer_bytes(index)}
    parts["model"] = _tensors(size, random.choice(list(DTYPES)), random.random() < 0.4, random.random() < 0.4)
    parts["config"] = json.dumps(_CONFIG).encode()
    modules = json.dumps(_MODULES).encode()
    for _ in range(random.choice((1, 1, 1, 1, 2))):
        chosen = random.choice(("tokenizer",) * 6 + ("model",) * 3 + ("config", "modules"))
        if chosen == "modules":
            modules = _changed_text(modules, random, None)
        elif chosen == "model":
            parts["model"] = _changed_tensors(parts["model"], random)
        else:
            donor = _tokenizer_bytes(random.randrange(len(_tokenizers()))) if chosen == "tokenizer" and random.random() < 0.5 else None
            parts[chosen] = _changed_text(parts[chosen], random, donor)
    return Mutant(random.choice(list(LAYOUTS)), ModelBytes(**parts), modules, random.sample(words, min(12, len(words))) + added[:5])


def _changed_text(content: bytes, random: Random, donor: bytes | None) -> bytes:
    """Return a changed JSON text: mostly JSON, sometimes with changed bytes."""
    if random.random() < 0.85:
        try:
            return mutated_json(content, random, donor)
        except ValueError:  # it is no JSON any more after an earlier change
            pass
    return _changed_bytes(content, random)


def _changed_bytes(content: bytes, random: Random) -> bytes:
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8))):
        at = random.randrange(len(data) + 1)
        change = random.randrange(5)
        if change == 0:
            data[at:at] = bytes([random.choice((0, 0x22, 0x2C, 0x5C, 0x7B, 0xC3, 0xFF, random.randrange(256)))])
        elif change == 1:
            del data[at : at + random.choice((1, 1, 1, 100))]
        elif change == 2 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        elif change == 3:
            del data[at:]
        else:
            data[at:at] = data[max(0, at - random.randrange(1, 60)) : at]
    return bytes(data)


def _changed_tensors(content: bytes, random: Random) -> bytes:
    """Return a safetensors file with a changed header, changed values, or changed bytes."""
    length = int.from_bytes(content[:8], "little")
    header, body = content[8 : 8 + length], content[8 + length :]
    kind = random.random()
    if kind < 0.5:
        try:
            header = mutated_json(header, random)
        except ValueError:
            header = _changed_bytes(header, random)
        return len(header).to_bytes(8, "little") + header + body
    if kind < 0.6:
        length = random.choice((0, 1, length - 1, length + 1, length + 8, len(content), 2**31, 2**32, 2**63, 2**64 - 1))
        return max(0, length).to_bytes(8, "little") + header + body
    if kind < 0.8:
        # NaN, infinity, and integers that are no row.
        values = np.frombuffer(body, np.uint8).copy()
        for _ in range(random.choice((1, 4, 40))):
            at = random.randrange(max(1, len(values)))
            width = random.choice((1, 2, 4, 8))
            values[at : at + width] = random.choice((0, 0x7F, 0xFF, random.randrange(256)))
        return content[: 8 + length] + values.tobytes()
    if kind < 0.9:
        return content[: random.randrange(len(content))] if random.random() < 0.7 else content + bytes(random.choice((1, 64)))
    return _changed_bytes(content, random)
