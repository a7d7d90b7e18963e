"""Tables of code points: an entry does not depend on the code points that are filled together with it."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import normalizers, pre_tokenizers
from tokenizers.normalizers import NFKC, Lowercase, Normalizer

from model2vec_numba.tokenization.added_tokens.boundaries import boundary_classes
from model2vec_numba.tokenization.bert.code_points import CodePointTable
from model2vec_numba.tokenization.bert.core import LONG_WORD
from model2vec_numba.tokenization.normalizers.local import LocalNormalizer, local_step
from model2vec_numba.tokenization.normalizers.local_kernel import IN_ARENA
from model2vec_numba.tokenization.unicode.classes import ALONE, GAP, JOINED, ClassTable, classes_by, matches_of
from model2vec_numba.tokenization.unicode.probes import find_nonstarters, normalize_each
from tokenization.configs import NORMALIZERS
from tokenization.texts import REPRESENTATIVES, assigned_characters

Entry = tuple[int, bytes]
# Returns the entries of code points, which are filled together.
Read = Callable[[list[int]], list[Entry]]


def bert(**settings: bool | None) -> Callable[[], Read]:
    def make() -> Read:
        strips = settings.get("lowercase", True) if settings.get("strip_accents") is None else settings["strip_accents"]
        table = CodePointTable(normalizers.BertNormalizer(**settings), pre_tokenizers.BertPreTokenizer(), decomposes=bool(strips))

        def read(code_points: list[int]) -> list[Entry]:
            table.filler.fill_code_points(np.array(code_points))
            return [_without_position(int(table.entries[c]), table.arena, LONG_WORD, 4, 15) for c in code_points]

        return read

    return make


def local(*configs: Any) -> Callable[[], Read]:
    def make() -> Read:
        steps = [step for config in configs if (step := local_step(config)) is not None]
        assert len(steps) == len(configs)
        table = LocalNormalizer(steps)

        def read(code_points: list[int]) -> list[Entry]:
            table._filler.fill_code_points(np.array(code_points))
            return [_without_position(int(table.entries[c]), table.arena, IN_ARENA, 8, 255) for c in code_points]

        return read

    return make


def _without_position(entry: int, arena: NDArray[np.uint8], kind: int, shift: int, mask: int) -> Entry:
    """Return an entry, and the bytes that it has in the arena. If there are any, the entry is returned without their position."""
    if entry & 15 != kind:
        return entry, b""
    position = entry >> 16
    return entry & 0xFFFF, arena[position : position + (entry >> shift & mask)].tobytes()


def classes(probe: Callable[[list[str]], Any]) -> Callable[[], Read]:
    return lambda: classes_in(ClassTable(probe))


def classes_in(table: ClassTable) -> Read:
    def read(code_points: list[int]) -> list[Entry]:
        table.filler.fill_code_points(np.array(code_points))
        zeros = table.zeros[np.array(code_points) >> 6] >> np.array(code_points, np.uint64) % np.uint64(64) & np.uint64(1)
        assert zeros.tolist() == [int(table.classes[c] == 0x80) for c in code_points]
        return [(int(table.classes[c]), b"") for c in code_points]

    return read


def of_type(name: str) -> dict[str, str]:
    return {"type": name}


PRECOMPILED = next(config for config in NORMALIZERS.values() if isinstance(config, dict) and config.get("type") == "Precompiled")
TABLES: dict[str, Callable[[], Read]] = {
    "bert": bert(),
    "bert cased": bert(lowercase=False),
    "bert with accents": bert(strip_accents=False),
    "bert unclean": bert(clean_text=False, handle_chinese_chars=False),
    **{name: local(of_type(name)) for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")},
    "lower case, then NFC": local(of_type("Lowercase"), of_type("NFC")),
    "NFKC, then lower case": local(of_type("NFKC"), of_type("Lowercase")),
    "NFD without accents": local(of_type("NFD"), of_type("StripAccents"), of_type("Lowercase")),
    "a long replacement": local({"type": "Replace", "pattern": {"String": "\u0430"}, "content": "xy" * 40}, of_type("NFC")),
    "BertNormalizer": local(
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    ),
    "Precompiled": local(PRECOMPILED),
    "sets": classes(matches_of(r"\s", r"\w", r"\p{L}", "[^x]", r"\n", ".", "(?i:k)")),
    **{name: classes(classes_by(getattr(pre_tokenizers, name)(), JOINED, ALONE, GAP)) for name in ("BertPreTokenizer", "Whitespace", "Punctuation")},
    "boundaries": lambda: classes_in(boundary_classes()),
}


@pytest.mark.parametrize("name", TABLES)
def test_groups(name: str) -> None:
    """Code points have the same entries in groups of every size and order."""
    draw = random.Random(name)
    code_points = sorted({*map(ord, REPRESENTATIVES), *map(ord, draw.sample(assigned_characters(), 600)), *range(0x16D60, 0x16D70)})
    expected = TABLES[name]()(code_points)
    for size in (1, 50):
        draw.shuffle(code_points)
        read = TABLES[name]()
        found: dict[int, Entry] = {}
        for k in range(0, len(code_points), size):
            group = code_points[k : k + size]
            found |= zip(group, read(group), strict=True)
        assert [found[c] for c in sorted(code_points)] == expected


def test_nonstarters() -> None:
    """A character that canonical ordering may move moves if it is next to a mark of the highest or the lowest class."""
    decompose = normalizers.NFD().normalize_str

    def moves(character: str) -> bool:
        form = decompose(character)
        return decompose(f"a{character}\u0334") != f"a{form}\u0334" or decompose(f"a\u0345{character}") != f"a\u0345{form}"

    every = assigned_characters()
    moving = {c for c in every if moves(c)}
    assert find_nonstarters(every) == moving
    # Python may know more characters than the library.
    assert moving <= {c for c in every if any(map(unicodedata.combining, unicodedata.normalize("NFD", c)))}
    decomposed = [c for c in every if decompose(c) == c]
    assert find_nonstarters(decomposed) == moving.intersection(decomposed)
    assert find_nonstarters([c for c in decomposed if c not in moving]) == find_nonstarters([]) == set()


@pytest.mark.parametrize("normalizer", [NFKC(), Lowercase(), normalizers.Prepend("|")])
@pytest.mark.parametrize("fence", ["|", "a", None])
def test_normalize_each(normalizer: Normalizer, fence: str | None) -> None:
    """Texts may be empty, and may hold the fence."""
    for texts in ([], [""], ["", "A", ""], ["|", "||", "\ufb01"], ["x|y", "\u0130", "a"], ["|"]):
        assert normalize_each(normalizer, texts, fence) == [normalizer.normalize_str(text) for text in texts]
