"""Name the part of a `tokenizer.json` that is not compiled, so that people see why the `tokenizers` library tokenises."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from model2vec_numba.tokenization.components import is_library_error
from model2vec_numba.tokenization.models import make_model
from model2vec_numba.tokenization.normalizers import make_normalizer
from model2vec_numba.tokenization.pre_tokenizers import make_pre_tokenizer
from model2vec_numba.tokenization.regex.parser import UnsupportedPatternError, parse
from model2vec_numba.tokenization.spec.spec import TokenizerSpec
from model2vec_numba.tokenization.tokenizer import make_tokenizer

__all__ = ["uncompiled_part"]

# The maximum number of characters of JSON that are shown.
_SHOWN = 120

# The number of tokens in the small vocabulary with which settings are tried.
_FEW = 100

# The names of the lists that hold the members of a sequence.
_MEMBERS = ("normalizers", "pretokenizers")

# Every model needs these members. The others are settings, which can be left out.
_NEEDED = ("type", "vocab", "merges")


def uncompiled_part(spec: TokenizerSpec) -> str:
    """Return the first part of a tokenizer that is not compiled, and why, in one line. The tokenizer must be one without a compiled core.

    Examples: ``model: no compiled code for "dropout": 0.1``, ``normalizer: no compiled code for {"type": "Replace", …}``.
    """
    # Only Python reads the whole vocabulary and the merges into the JSON.
    spec = TokenizerSpec(spec.text, spec.source)
    spec.use_kernels(False)
    config = spec.config
    if not spec.keeps_ids:
        return f"post_processor: it may change the ids: {_shortened(config.get('post_processor'))}"
    factories: dict[str, Callable[[Any], object]] = {"normalizer": make_normalizer, "pre_tokenizer": make_pre_tokenizer}
    for name, make in factories.items():
        component = config.get(name)
        if make(component) is None:
            part = next((member for member in _single_members(component) if make(member) is None), component)
            return f"{name}: no compiled code for {_shortened(part)}{_unsupported_in_pattern(part)}"
    if make_model(spec) is None:
        return f"model: no compiled code for {_uncompiled_setting(spec)}"
    if _is_compiled(spec, added_tokens=[]):
        return "added_tokens: no compiled code for these tokens"
    return "pre_tokenizer: no compiled code for it after this normalizer"


def _single_members(component: Any) -> Iterator[Any]:
    """Yield the members of a component, with nested sequences flattened. If the component is not a sequence, yield the component itself."""
    lists = [component.get(name) for name in _MEMBERS] if isinstance(component, dict) and component.get("type") == "Sequence" else []
    members = next((found for found in lists if isinstance(found, list)), None)
    if members is None:
        yield component
    else:
        for member in members:
            yield from _single_members(member)


def _unsupported_in_pattern(part: Any) -> str:
    """Return what the parser says about the regular expression of a component, if the parser refuses it, else an empty string."""
    pattern = part.get("pattern") if isinstance(part, dict) else None
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    try:
        if isinstance(regex, str):
            parse(regex)
    except UnsupportedPatternError as error:
        return f", whose pattern {str(error).removeprefix(repr(regex)).lstrip()}"
    except BaseException as error:
        # The parser asks the library about some parts of a pattern.
        if not is_library_error(error):
            raise
    return ""


def _uncompiled_setting(spec: TokenizerSpec) -> str:
    """Return the setting that keeps a model from being compiled. If no single setting does, return what else is not compiled."""
    model = _with_few_tokens(spec.config["model"])
    if _is_compiled(spec, model=model, added_tokens=[]):
        return "this vocabulary"
    for name, value in model.items():
        if name not in _NEEDED:
            rest = {member: content for member, content in model.items() if member != name}
            if any(_is_compiled(spec, model=changed, added_tokens=[]) for changed in (rest, {**rest, name: None}, {**rest, name: False})):
                return f"{json.dumps(name)}: {_shortened(value)}"
    return f"this model of type {json.dumps(model.get('type'))}"


def _with_few_tokens(model: dict[str, Any]) -> dict[str, Any]:
    """Return a model with the same settings and a small vocabulary. Reading a large one again for each setting would take seconds."""
    vocabulary, unknown = model.get("vocab"), model.get("unk_token")
    few: Any = vocabulary
    if isinstance(vocabulary, dict):
        few = {token: i for i, token in enumerate(dict.fromkeys([*islice(vocabulary, _FEW), *([unknown] if unknown in vocabulary else [])]))}
    elif isinstance(vocabulary, list):
        unknown_id = model.get("unk_id")
        few = vocabulary[: max(_FEW, unknown_id + 1 if isinstance(unknown_id, int) else 0)]
    return {**model, "vocab": few, **({"merges": []} if "merges" in model else {})}


def _is_compiled(spec: TokenizerSpec, **changes: Any) -> bool:
    """Return whether a tokenizer has a core if some members of its JSON are changed."""
    try:
        return make_tokenizer(TokenizerSpec(json.dumps({**spec.config, **changes}), spec.source)).name != "tokenizers"
    except (ValueError, KeyError, TypeError):
        # A changed file may lack something that every valid file has.
        return False


def _shortened(component: Any) -> str:
    text = json.dumps(component, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
