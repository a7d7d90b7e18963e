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

__all__ = ["library_numbers", "parse_numbers", "read_numbers"]

_POWERS = np.array([float(f"1e{exponent}") for exponent in range(309)])
_PROBES = 256
# For each of these numbers, the two readings differ by one unit in the last place.
_TELLING = ["-10.115954091544237", "-11.155237376806923", "-1.1626762404869995", "-3.8282403347746845", "-1.1791870367106105e+19"]
_TELLING += ["0.0009452706955539223", "-0.9522444552911937", "0.39335362306983956", "5.2781057446855035e-09"]


def read_numbers(numbers: NDArray[np.uint8], count: int) -> NDArray[np.float64]:
    """Return the values of JSON numbers, read as serde_json does: float64, shape (count,). Integers below ``2 ** 53`` are exact.

    Args:
        numbers: uint8, the numbers as the file spells them, with a comma after each.
        count: how many there are.
    """
    values = np.empty(count, np.float64)
    parse_numbers(numbers, _POWERS, values)
    return values


def library_numbers(numbers: NDArray[np.uint8], count: int) -> NDArray[np.float64] | None:
    """Return the values that the library reads from JSON numbers: float64, shape (count,). ``None`` if they are not known.

    Args:
        numbers, count: see `read_numbers`.
    """
    scaled = read_numbers(numbers, count)
    if not np.isfinite(scaled).all():
        return None
    # The library is asked for some of the numbers, and for some others on which the two readings differ. They differ on no number of a file that the
    # library has written. Reading all numbers with Python took as long as all the rest.
    commas = np.flatnonzero(numbers == ord(","))
    sample = slice(None, None, max(1, -(-count // _PROBES)))
    begins = np.append(0, commas + 1)[:-1]
    literals = [numbers[begin:end].tobytes().decode("ascii") for begin, end in zip(begins[sample], commas[sample], strict=True)]
    answers = _read_by_library([*literals, *_TELLING])
    telling = read_numbers(np.frombuffer("".join(f"{literal}," for literal in _TELLING).encode(), np.uint8), len(_TELLING))
    if np.array_equal(answers, np.append(scaled[sample], telling)):
        return scaled
    nearest = np.array(list(map(float, numbers.tobytes().decode("ascii").split(",")[:-1])), np.float64)
    is_nearest = np.array_equal(answers, np.append(nearest[sample], list(map(float, _TELLING))))
    return nearest if is_nearest and np.isfinite(nearest).all() else None


def _read_by_library(literals: list[str]) -> NDArray[np.float64]:
    """Return the values that the library reads. They are taken from the JSON that it writes, which has numbers without loss."""
    vocabulary = ",".join(f'["{i}",{literal}]' for i, literal in enumerate(literals))
    model = f'{{"type":"Unigram","unk_id":0,"byte_fallback":false,"vocab":[{vocabulary}]}}'
    empty = '"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,"post_processor":null'
    rewritten = Tokenizer.from_str(f'{{{empty},"decoder":null,"model":{model}}}').to_str()
    return np.array([score for _, score in json.loads(rewritten)["model"]["vocab"]])


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
