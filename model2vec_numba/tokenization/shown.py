"""The tokeniser that a model shows to its users: an object of the `tokenizers` library, whose changes the model notices."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Hashable
from functools import cache
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from model2vec_numba.errors import ModelFormatError, shortened
from model2vec_numba.parallel.forks import forks_wait_for
from model2vec_numba.tokenization.spec.spec import TokenizerSpec, parse_tokenizer

__all__ = ["EXCHANGING", "Changes", "ShownTokenizer", "spec_of"]

# A thread holds this while it exchanges checked parts of a model, or takes note of what it saw of a tokeniser. It acquires no other lock meanwhile.
EXCHANGING = threading.RLock()
forks_wait_for(EXCHANGING)

# The number of tokens that are compared, to notice another vocabulary of the same size.
_SAMPLED_TOKENS = 8
# Settings of Unigram, which make the ids random.
_UNWRITTEN = ("alpha", "nbest_size")
# The beginning of the JSON that the library writes. The truncation is not kept: the model has its own limit, which can change.
_HEAD = re.compile(r'(\{"version":"[^"]*","truncation":)(null|\{[^{}]*\})')


def spec_of(tokenizer: Tokenizer, source: str) -> TokenizerSpec:
    """Return what a tokeniser of the `tokenizers` library does, without its truncation.

    Args:
        tokenizer: the tokeniser. It is not changed.
        source: what to call it in errors.

    Raises:
        TypeError: it is not a tokeniser of the library.
        ModelFormatError: it cannot be written as `tokenizer.json`, or has no tokens.
    """
    try:
        text = tokenizer.to_str()
    except AttributeError:
        raise TypeError(f"{source} must be a tokenizers.Tokenizer, not {type(tokenizer).__name__}") from None
    except Exception as error:
        raise ModelFormatError(f"{source}: cannot be written as tokenizer.json: {shortened(error)}") from error
    _refuse_unwritten(_state_of(tokenizer))
    return parse_tokenizer(_HEAD.sub(r"\1null", text, count=1), source)


class _State(NamedTuple):
    """The properties of a tokeniser that can be changed, except its padding: a model never pads.

    Attributes:
        truncation: the settings of `enable_truncation`. ``None``: it is off.
        components: the normaliser and the other components as JSON, and the added tokens.
        vocabulary: the size of the vocabulary, and some of its tokens.
        unwritten: the settings that are on although a `tokenizer.json` cannot hold them.
    """

    truncation: dict[str, Any] | None
    components: tuple[Any, ...]
    vocabulary: tuple[Any, ...]
    unwritten: tuple[str, ...]


class Changes(NamedTuple):
    """What users changed in a tokeniser since the model last looked.

    Attributes:
        max_length: the new `max_length`, in a tuple. ``None``: it did not change.
        spec: the new tokenizer. ``None``: it did not change.
        before, state: the old and the new state, for `ShownTokenizer.accept`.
    """

    max_length: tuple[int | None] | None
    spec: TokenizerSpec | None
    before: _State
    state: _State


class ShownTokenizer:
    """A tokeniser that users may change, and its state when the model last looked.

    The library tells nobody about changes. To compare all of a tokeniser takes 1 to 50 ms, because it must be written as JSON. So the state is
    compared, which takes 10 µs (0.3 ms if there is a table of SentencePiece), and only while a user may hold the tokeniser.

    Args:
        tokenizer: the tokeniser. Its padding is switched off, but it keeps its padding token, as in model2vec.
        max_length: the value for its truncation. ``None``: it is off.

    Raises:
        ModelFormatError: it has a setting that cannot be written as `tokenizer.json`.

    Attributes:
        watched: whether a user may hold the tokeniser, so that it must be compared before each call.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int | None) -> None:
        self._state = _state_of(tokenizer)
        _refuse_unwritten(self._state)
        self._tokenizer = tokenizer
        padding = tokenizer.padding
        if padding is not None:
            tokenizer.enable_padding(pad_id=padding["pad_id"], pad_token=padding["pad_token"], pad_type_id=padding["pad_type_id"], length=0)
        self.truncate(max_length)
        self.watched = True
        self._times_shown = 0

    def show(self, max_length: int | None) -> Tokenizer:
        """Return the tokeniser. It is watched from now on. `max_length`: the current value of the model."""
        if max_length != self._max_length:
            self.truncate(max_length)
        with EXCHANGING:
            self.watched = True
            self._times_shown += 1
            return self._tokenizer

    def truncate(self, max_length: int | None) -> None:
        """Set the truncation to the model's `max_length`. ``None``: off."""
        with EXCHANGING:
            if max_length is None:
                self._tokenizer.no_truncation()
            else:
                self._tokenizer.enable_truncation(min(max_length, sys.maxsize))
            self._max_length = max_length
            # Other changes are still to be noticed.
            self._state = self._state._replace(truncation=self._tokenizer.truncation)

    def changes(self) -> Changes | None:
        """Return what users changed. ``None``: nothing.

        Raises:
            ModelFormatError: a model cannot have the changed tokeniser.
        """
        before = self._state
        with EXCHANGING:
            # This is read before the state. If nobody holds the tokeniser now, nobody can change it while the state is read.
            times_shown, is_held = self._times_shown, sys.getrefcount(self._tokenizer) > _OWN_REFERENCES
        state = _state_of(self._tokenizer)
        if state == before:
            with EXCHANGING:
                if times_shown == self._times_shown:
                    self.watched = is_held
            return None
        _refuse_unwritten(state)
        max_length = None if state.truncation == before.truncation else (_max_length(state.truncation),)
        changed = (state.components, state.vocabulary) != (before.components, before.vocabulary)
        return Changes(max_length, spec_of(self._tokenizer, "tokenizer") if changed else None, before, state)

    def is_new(self, changes: Changes) -> bool:
        """Return whether no other thread has changed the known state since these changes were found."""
        return self._state is changes.before

    def accept(self, changes: Changes) -> None:
        """Take these changes for known."""
        self._state = changes.state
        if changes.max_length is not None:
            (self._max_length,) = changes.max_length


class _Holder:
    def __init__(self) -> None:
        self._tokenizer = object()

    def references(self) -> int:
        """Return the number of references to an object that nobody else holds, counted as in `ShownTokenizer.changes`."""
        return sys.getrefcount(self._tokenizer)


_OWN_REFERENCES = _Holder().references()


def _refuse_unwritten(state: _State) -> None:
    if state.unwritten:
        raise ModelFormatError(f"tokenizer: {' and '.join(state.unwritten)} cannot be written as tokenizer.json, expected it to be off")


def _max_length(truncation: dict[str, Any] | None) -> int | None:
    """Return the `max_length` of a model whose tokeniser is truncated in this way.

    Raises:
        ModelFormatError: the tokeniser keeps the end of a text, or no token.
    """
    if truncation is None:
        return None
    if truncation["direction"] != "right" or truncation["max_length"] < 1:
        raise ModelFormatError(f"tokenizer: its truncation is {truncation}, expected the direction 'right' and a max_length of 1 or more")
    return int(truncation["max_length"])


def _state_of(tokenizer: Tokenizer) -> _State:
    model: Any = tokenizer.model
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    sampled = tuple(tokenizer.id_to_token(size * i // _SAMPLED_TOKENS) for i in range(_SAMPLED_TOKENS))
    components = (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.post_processor, tokenizer.decoder)
    try:
        written = tuple(None if component is None else component.__getstate__() for component in components)
    except Exception as error:
        raise ModelFormatError(f"tokenizer: cannot be written as tokenizer.json: {shortened(error)}") from error
    kind: Any = type(model)
    settings = tuple((name, getattr(model, name)) for name in _settings(kind))
    unwritten = [name for name, value in settings if name in _UNWRITTEN and value is not None]
    if getattr(tokenizer, "encode_special_tokens", False):
        unwritten.append("encode_special_tokens")
    # Added tokens are equal if their contents are. Their texts show all flags.
    added = repr(tokenizer.get_added_tokens_decoder())
    return _State(tokenizer.truncation, (*written, added), (kind, settings, size, sampled), tuple(unwritten))


@cache
def _settings(model: Hashable) -> tuple[str, ...]:
    """Return the names of the settings of a class of models of the library."""
    return tuple(name for name in dir(model) if not name.startswith("_") and type(getattr(model, name)).__name__ == "getset_descriptor")
