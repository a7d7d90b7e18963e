"""Read the numbers of a `tokenizer.json` as the installed `tokenizers` library reads them.

The library reads a decimal as serde_json does: it takes the digits as one integer, rounds it to a float64, and multiplies or divides that by a
power of ten. Python gives the nearest float64 instead. For one in seven numbers with seventeen digits, the two differ by one unit in the last place.
To find the same path as the library, Unigram must add up the same numbers. This module checks that the installed version reads numbers like this.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model2vec_numba.jit.decorators import compiled

__all__ = ["find_decimals", "library_numbers"]

_POWERS = np.array([float(f"1e{exponent}") for exponent in range(309)])
_PROBES = 512


def find_decimals(data: NDArray[np.uint8]) -> list[str]:
    """Return the numbers of a JSON text that are no integers to the library, as the text spells them, in order.

    Args:
        data: uint8, valid JSON in UTF-8, and at least a byte more.
    """
    literals = np.empty(len(data), np.uint8)
    length = _copy_decimals(data, literals)
    return literals[: length - 1].tobytes().decode("ascii").split(",") if length else []


def library_numbers(literals: list[str], nearest: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the values that the library reads from JSON numbers: float64, shape (numbers,). ``None`` if they are not known.

    Args:
        literals: the numbers as the file spells them.
        nearest: float64, shape (numbers,): the numbers as Python reads them.
    """
    text = np.frombuffer(",".join([*literals, ""]).encode("ascii"), np.uint8)
    scaled = np.empty(len(literals), np.float64)
    parse_numbers(text, _POWERS, scaled)
    if not np.isfinite(nearest).all() or not np.isfinite(scaled).all():
        return None
    # If the two readings differ, the library decides. Asking it for some of the numbers is enough.
    differ = np.flatnonzero(nearest != scaled)
    if not len(differ):
        return nearest
    probes = differ[:: -(-len(differ) // _PROBES)]
    answers = _read_by_library([literals[i] for i in probes.tolist()])
    if np.array_equal(answers, scaled[probes]):
        return scaled
    return nearest if np.array_equal(answers, nearest[probes]) else None


def _read_by_library(literals: list[str]) -> NDArray[np.float64]:
    """Return the values that the library reads. They are taken from the JSON that it writes, which has numbers without loss."""
    vocabulary = ",".join(f'["{i}",{literal}]' for i, literal in enumerate(literals))
    model = f'{{"type":"Unigram","unk_id":0,"byte_fallback":false,"vocab":[{vocabulary}]}}'
    empty = '"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,"post_processor":null'
    rewritten = Tokenizer.from_str(f'{{{empty},"decoder":null,"model":{model}}}').to_str()
    return np.array([score for _, score in json.loads(rewritten)["model"]["vocab"]])


@compiled()
def _copy_decimals(data: NDArray[np.uint8], literals: NDArray[np.uint8]) -> int:
    """Write the numbers that `find_decimals` returns to `literals`, with a comma after each. Return the number of bytes that were written.

    `literals` must be as long as `data`. At least one byte follows each number.
    """
    at = 0
    i = 0
    while i < len(data):
        byte = data[i]
        begin = i
        i += 1
        if byte == ord('"'):
            while i < len(data) and data[i] != ord('"'):
                i += 2 if data[i] == ord("\\") else 1
            i += 1
        elif byte == ord("-") or ord("0") <= byte <= ord("9"):
            # The library reads -0 as a decimal.
            is_decimal = byte == ord("-") and i < len(data) and data[i] == ord("0")
            while i < len(data) and (ord("0") <= data[i] <= ord("9") or data[i] in (ord("."), ord("e"), ord("E"), ord("+"), ord("-"))):
                is_decimal |= data[i] in (ord("."), ord("e"), ord("E"))
                i += 1
            if is_decimal:
                literals[at : at + i - begin] = data[begin:i]
                literals[at + i - begin] = ord(",")
                at += i - begin + 1
    return at


@compiled()
def parse_numbers(text: NDArray[np.uint8], powers: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Write the values of JSON numbers to `values`, as serde_json reads them. An overflow gives infinity.

    Args:
        text: uint8, the ASCII of the numbers, with a comma after each.
        powers: float64, the powers of ten, from ``10 ** 0`` on.
        values: float64, shape (numbers,), output.
    """
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
                # Digits that do not fit are skipped.
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
            digits = 0
            while text[i] != ord(","):
                digits = min(digits * 10 + np.int64(text[i] - ord("0")), 1 << 31)
                i += 1
            exponent += sign * digits
        i += 1
        value = np.float64(significand)
        while value != 0 and abs(exponent) >= len(powers):
            value = value / powers[-1] if exponent < 0 else np.inf
            exponent = min(exponent + len(powers) - 1, 0) if exponent < 0 else 0
        if value != 0:
            value = value * powers[exponent] if exponent >= 0 else value / powers[-exponent]
        values[number] = -value if negative else value
