"""Ask the `tokenizers` library for the normalised form of many texts at once, and for the code points that canonical ordering may move."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers.normalizers import NFD, Normalizer

from model2vec_numba.tokenization.components import is_library_error

__all__ = ["find_nonstarters", "normalize_each", "try_normalize"]


def try_normalize(normalizer: Normalizer, text: str) -> str | None:
    """Return the normalised text, or ``None`` if the library fails. Some sequences of normalisers fail on some texts."""
    try:
        result: str = normalizer.normalize_str(text)
    except BaseException as error:
        if is_library_error(error):
            return None
        raise
    return result


def normalize_each(normalizer: Normalizer, texts: list[str], fence: str | None = "|") -> list[str | None]:
    """Return the normalised form of each text, or ``None`` if the library fails on it.

    Args:
        normalizer: the library's normaliser.
        texts: the texts.
        fence: a character that the normaliser does not change, and that does not act on its neighbours. It separates the texts, so that one call
            normalises all of them, which is much faster. ``None``: each text is normalised by itself.
    """
    if fence is None or not texts:
        return [try_normalize(normalizer, text) for text in texts]
    joined = fence.join(texts)
    if joined.count(fence) >= len(texts):
        # Some texts hold the fence.
        others = iter(normalize_each(normalizer, [text for text in texts if fence not in text], fence))
        return [try_normalize(normalizer, text) if fence in text else next(others) for text in texts]
    result = try_normalize(normalizer, f"{fence}{joined}{fence}")
    results = result[1:-1].split(fence) if result is not None else []
    return list(results) if len(results) == len(texts) else [try_normalize(normalizer, text) for text in texts]


def find_nonstarters(characters: Iterable[str]) -> set[str]:
    """Return the characters that canonical ordering may move: the characters with a combining class that is not 0.

    U+0345 has the highest of these classes, and U+0334 the lowest. Each such character lets the two change places if it is between them.
    """
    characters = list(characters)
    if not characters:
        return set()
    decompose = NFD()
    text = "\u0345" + "\u0334|\u0345".join(characters) + "\u0334|"
    answer = decompose.normalize_str(text)
    if answer == text:
        return set()
    if len(answer) == len(text):
        # No character became several, and none moved past a fence.
        answers = [answer[k : k + 4] for k in range(0, len(answer), 4)]
    else:
        answers = [decompose.normalize_str(f"\u0345{c}\u0334|") for c in characters]
    return {c for c, answer in zip(characters, answers, strict=True) if answer[0] != "\u0345" or answer[-2] != "\u0334"}
