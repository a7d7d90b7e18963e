"""Parse the text of a `tokenizer.json`, and find out whether the library may read it differently than Python does.

"The library" is the Hugging Face `tokenizers` library. It refuses an object that has a member twice, where Python takes the last one. It reads ``-0``
as a decimal, where Python reads an integer. So this module does the same.
"""

from __future__ import annotations

import base64
import binascii
import gc
import json
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model2vec_numba.errors import ModelFormatError
from model2vec_numba.parallel.forks import forks_wait_for
from model2vec_numba.tokenization.spec.vocabulary import merges_lack_prefix

if TYPE_CHECKING:
    from model2vec_numba.tokenization.spec.model_arrays import ModelArrays

__all__ = ["ParsedText", "parse_text"]

_CHARSMAP = "precompiled_charsmap"
# It begins with two plain characters, which makes the search fast. The one before them is checked afterwards.
_MINUS_ZERO = re.compile(r"-0(?<=[\[,:\s]-0)\s*[\],}]")
_LENGTH_BYTES = 4
# Zero bytes after the text, for the searches here and for compiled code.
_PADDING = 16
# Python's garbage collector is off while a file is parsed. Otherwise it looks at all objects of the process again and again, because a list is made
# for each merge or token. This took a third of the time. Forks wait, so that it is not off in the child.
_collector_lock = threading.RLock()
forks_wait_for(_collector_lock)


class ParsedText(NamedTuple):
    """The parsed text of a `tokenizer.json`.

    Attributes:
        config: the JSON object, with an object ``model``. Arrays that are in `arrays` are empty lists here, except a vocabulary that is an object.
        arrays: the large arrays of the model, which compiled code has read. ``None``: they are in `config`.
        read_alike: whether no object has a member twice. Otherwise the library may refuse the file or read other values.
        escapes_surrogates: whether a string of `config` may hold the escape of a surrogate, such as ``\\ud800``.
    """

    config: dict[str, Any]
    arrays: ModelArrays | None
    read_alike: bool
    escapes_surrogates: bool


def parse_text(text: str, source: str, *, uses_kernels: bool = False) -> ParsedText:
    """Parse the text of a `tokenizer.json`.

    Args:
        text: the text.
        source: what to call it in errors.
        uses_kernels: whether compiled code may read the large arrays. The results are the same.

    Raises:
        ModelFormatError: the text is not JSON or not a tokenizer, or the library would ask for too much memory or end the process.
    """
    # NumPy searches these bytes in a tenth of the time that Python takes for the text, which may have four bytes for each character.
    try:
        data = text.encode("utf-8") + bytes(_PADDING)
    except UnicodeEncodeError:
        # Only the caller's text can hold a lone surrogate, and no file.
        data, uses_kernels = text.encode("utf-8", "surrogatepass") + bytes(_PADDING), False
    return (_parse_with_kernels(data, source) if uses_kernels else None) or _parse(text, data, source, _refuse_constant)


def _parse_with_kernels(data: bytes, source: str) -> ParsedText | None:
    """Parse a text as `parse_text` does. ``None`` if compiled code cannot read it, or if it may hold errors.

    Args:
        data: the text in UTF-8, and `_PADDING` zero bytes.
        source: what to call it in errors.
    """
    from model2vec_numba.tokenization.spec.large_arrays import MERGES, VOCABULARY, cut_out
    from model2vec_numba.tokenization.spec.model_arrays import make_model_arrays

    arrays = cut_out(data)
    if arrays is None:
        return None
    # Each word that stands for an array must be read once, and as the value of its member.
    signs: dict[str, object] = {}
    expected = {"vocab": VOCABULARY} if arrays.merges is None else {"vocab": VOCABULARY, "merges": MERGES}

    def sign_of(name: str) -> object:
        if name in signs or name not in expected.values():
            _refuse_constant(name)
        return signs.setdefault(name, object())

    try:
        parsed = _parse(arrays.rest.decode("utf-8"), arrays.rest + bytes(_PADDING), source, sign_of)
    except ModelFormatError:
        return None
    model = parsed.config["model"]
    if not parsed.read_alike or any(model.get(name) is not signs.get(word, word) for name, word in expected.items()):
        return None
    made = make_model_arrays(arrays, model)
    if made is None:
        return None
    model["vocab"] = [] if made.ids is None else made.vocabulary
    if arrays.merges is not None:
        model["merges"] = []
    return parsed._replace(arrays=made)


def _parse(text: str, padded: bytes, source: str, parse_constant: Callable[[str], object]) -> ParsedText:
    """Parse a text as `parse_text` does, without compiled code.

    Args:
        text: the text.
        padded: the text in UTF-8, and `_PADDING` bytes.
        source: what to call it in errors.
        parse_constant: is called with the words that Python reads as numbers although they are not JSON, such as NaN.
    """

    def parse_int(literal: str) -> float:
        return float(literal) if literal == "-0" else int(literal)

    data = np.frombuffer(padded, np.uint8)
    minuses = np.flatnonzero(data == ord("-"))
    # A function for each integer takes a tenth of the time of parsing, so it is used only where it is needed.
    integers = parse_int if np.any(data[minuses + 1] == ord("0")) and _MINUS_ZERO.search(text) else None
    try:
        with _collector_lock:
            is_enabled = gc.isenabled()
            try:
                gc.disable()
                config = json.loads(text, parse_int=integers, parse_constant=parse_constant)
            finally:
                if is_enabled:
                    gc.enable()
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{source}: not JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise ModelFormatError(f"{source}: not a tokenizer: expected a JSON object with an object 'model'")
    if merges_lack_prefix(config["model"]):
        raise ModelFormatError(f"{source}: the right token of a merge does not begin with the continuing_subword_prefix")
    strings, charsmaps = _survey(config)
    backslashes = np.flatnonzero(data == ord("\\"))
    read_alike = strings == _count_strings(data, backslashes)
    for charsmap in charsmaps if read_alike else _all_charsmaps(text):
        _check_charsmap(charsmap, source)
    escapes_surrogates = bool(np.any((data[backslashes + 1] == ord("u")) & (data[backslashes + 2] | 0x20 == ord("d"))))
    return ParsedText(config, None, read_alike, escapes_surrogates)


def _refuse_constant(name: str) -> float:
    """Raise an error for a word that Python reads as a number although it is not JSON: NaN, Infinity or -Infinity."""
    raise ValueError(f"{name} is no number in JSON")


def _count_strings(data: NDArray[np.uint8], backslashes: NDArray[np.int64]) -> int:
    """Return the number of strings in a valid JSON text, names of members included.

    Args:
        data: the text in UTF-8, and at least a byte more.
        backslashes: the positions of the backslashes in it.
    """
    # A quotation mark after an odd number of backslashes belongs to the string.
    lasts = np.flatnonzero(np.diff(backslashes, append=len(data)) > 1)
    lengths = np.diff(lasts, prepend=-1)
    escaped = np.count_nonzero((lengths % 2 == 1) & (data[backslashes[lasts] + 1] == ord('"'))) if len(lasts) else 0
    # NumPy takes a twentieth of the time of `str.count`.
    return int(np.count_nonzero(data == ord('"')) - escaped) // 2


def _survey(config: dict[str, Any]) -> tuple[int, list[Any]]:
    """Return the number of strings in a tokenizer, names of members included, and the values of all members `precompiled_charsmap`.

    Vocabulary, merges and added tokens are not looked at one by one, which would take as long as parsing them. They are counted as if they had their
    usual form. If they do not, the number is wrong.
    """
    strings, charsmaps = 0, []
    model = config["model"]
    vocabulary, merges, added = model.get("vocab"), model.get("merges"), config.get("added_tokens")
    if isinstance(vocabulary, (dict, list)):
        strings += len(vocabulary)
    if isinstance(merges, list):
        strings += len(merges) * (1 if merges and isinstance(merges[0], str) else 2)
    if isinstance(added, list) and set(map(type, added)) <= {dict}:
        strings += sum(map(len, added)) + len(added)
    rest: list[Any] = [config]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            strings += 1
        elif isinstance(value, list):
            rest.extend(value)
        elif isinstance(value, dict):
            strings += len(value)
            rest.extend(member for member in value.values() if member is not vocabulary and member is not merges and member is not added)
            if _CHARSMAP in value:
                charsmaps.append(value[_CHARSMAP])
    return strings, charsmaps


def _all_charsmaps(text: str) -> list[Any]:
    """Return the values of all members `precompiled_charsmap`, also where an object has the member twice."""
    charsmaps: list[Any] = []

    def collect(members: list[tuple[str, Any]]) -> dict[str, Any]:
        charsmaps.extend(value for name, value in members if name == _CHARSMAP)
        return dict(members)

    json.loads(text, object_pairs_hook=collect)
    return charsmaps


def _check_charsmap(charsmap: Any, source: str) -> None:
    """Check the length that a normaliser of SentencePiece states.

    The library does not check the length first. It may ask for gigabytes of memory, and some systems end the process then.

    Raises:
        ModelFormatError: the data is shorter than the length.
    """
    if not isinstance(charsmap, str):
        return
    try:
        data = base64.b64decode(charsmap, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ModelFormatError(f"{source}: {_CHARSMAP} is not base64: {error}") from None
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or length // 4 * 4 > len(data) - _LENGTH_BYTES:
        raise ModelFormatError(f"{source}: {_CHARSMAP} has {max(0, len(data) - _LENGTH_BYTES)} bytes after its length, but its length says {length}")
