"""The numbers of a `tokenizer.json`, as the installed `tokenizers` library reads them.

It reads a decimal as serde_json does: the digits as one integer, rounded to a float64, which is then multiplied or divided by a power of ten. Of
numbers with seventeen digits one in seven comes out one unit in the last place beside the nearest float64, which Python gives, and a search that
shall find the library's path must add up the library's numbers. Whether the installed version reads so is asked of it.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.compiled import compiled

__all__ = ["library_numbers"]

_POWERS = np.array([float(f"1e{exponent}") for exponent in range(309)])
_PROBES = 512


def library_numbers(literals: list[str]) -> NDArray[np.float64] | None:
    """The values that the library has for numbers written so, float64, all of them numbers of JSON; ``None`` if that is not known."""
    nearest = np.array(literals, dtype=np.float64) if literals else np.zeros(0)
    text = np.frombuffer(",".join([*literals, ""]).encode("ascii"), np.uint8)
    scaled = np.empty(len(literals), np.float64)
    parse_numbers(text, _POWERS, scaled)
    if not np.isfinite(nearest).all() or not np.isfinite(scaled).all():
        return None
    # Where the two readings differ, the library decides.
    differ = np.flatnonzero(nearest != scaled)
    if not len(differ):
        return nearest
    probes = differ[:: -(-len(differ) // _PROBES)]
    answers = _read_by_library([literals[i] for i in probes.tolist()])
    if np.array_equal(answers, scaled[probes]):
        return scaled
    return nearest if np.array_equal(answers, nearest[probes]) else None


def _read_by_library(literals: list[str]) -> NDArray[np.float64]:
    """What the library makes of numbers: it writes them so that nothing is lost."""
    vocabulary = ",".join(f'["{i}",{literal}]' for i, literal in enumerate(literals))
    model = f'{{"type":"Unigram","unk_id":0,"byte_fallback":false,"vocab":[{vocabulary}]}}'
    parts = '"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,"post_processor":null'
    written = Tokenizer.from_str(f'{{{parts},"decoder":null,"model":{model}}}').to_str()
    return np.array([score for _, score in json.loads(written)["model"]["vocab"]])


@compiled()
def parse_numbers(text: NDArray[np.uint8], powers: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Read numbers of JSON, each ended by a comma, as serde_json does; `powers` are those of ten, from the 0th on. Overflow gives infinity."""
    limit = np.uint64(0xFFFFFFFFFFFFFFFF)
    ten = np.uint64(10)
    i = 0
    for number in range(len(values)):
        negative = text[i] == ord("-")
        i += negative
        significand = np.uint64(0)
        exponent = 0
        full = False
        fraction = False
        while text[i] == ord(".") or ord("0") <= text[i] <= ord("9"):
            if text[i] == ord("."):
                fraction = True
            else:
                digit = np.uint64(text[i] - ord("0"))
                full = full or significand > limit // ten or (significand == limit // ten and digit > limit % ten)
                # Digits for which there is no room are passed over.
                if not full:
                    significand = significand * ten + digit
                    exponent -= fraction
                elif not fraction:
                    exponent += 1
            i += 1
        if text[i] == ord("e") or text[i] == ord("E"):
            i += 1
            sign = -1 if text[i] == ord("-") else 1
            i += text[i] == ord("-") or text[i] == ord("+")
            written = 0
            while text[i] != ord(","):
                written = min(written * 10 + np.int64(text[i] - ord("0")), 1 << 31)
                i += 1
            exponent += sign * written
        i += 1
        value = np.float64(significand)
        while value != 0 and abs(exponent) >= len(powers):
            value = value / powers[-1] if exponent < 0 else np.inf
            exponent = min(exponent + len(powers) - 1, 0) if exponent < 0 else 0
        if value != 0:
            value = value * powers[exponent] if exponent >= 0 else value / powers[-exponent]
        values[number] = -value if negative else value
