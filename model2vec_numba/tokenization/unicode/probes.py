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
    if fence is None:
        return [try_normalize(normalizer, text) for text in texts]
    fenced = [text for text in texts if fence not in text]
    joined = try_normalize(normalizer, fence + fence.join(fenced) + fence)
    results = joined[1:-1].split(fence) if joined is not None else []
    if len(results) != len(fenced):
        return [try_normalize(normalizer, text) for text in texts]
    following = iter(results)
    return [try_normalize(normalizer, text) if fence in text else next(following) for text in texts]


def find_nonstarters(characters: Iterable[str]) -> set[str]:
    """Return the characters that canonical ordering may move: the characters with a combining class that is not 0.

    U+0334 has the lowest of these classes, and U+0345 the highest. Each such character moves if it is next to one of these two.
    """
    characters = list(characters)
    probes = [probe for c in characters for probe in (f"a{c}", f"a{c}\u0334", f"a\u0345{c}")]
    answers = normalize_each(NFD(), probes)
    triples = zip(characters, answers[0::3], answers[1::3], answers[2::3], strict=True)
    return {c for c, alone, before, after in triples if alone is None or before != f"{alone}\u0334" or after != f"a\u0345{alone[1:]}"}
