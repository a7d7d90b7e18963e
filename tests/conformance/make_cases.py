"""Write the cases of `definitions` as plain files: ``python tests/conformance/make_cases.py``. Only Python's standard library is used.

Each case is a folder in `cases` with `case.json` and the folder `model`, whose files a reader opens. README.md says what is in `case.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import struct
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from definitions import CASES
from definitions.form import Case, Tensor, Text, normalized

__all__ = ["CASES_FOLDER", "case_files", "main"]

CASES_FOLDER = Path(__file__).with_name("cases")


def case_files(case: Case) -> dict[str, bytes]:
    """Return the files of a case, by their paths in its folder."""
    files: dict[str, bytes] = {"case.json": _readable(_describe(case))}
    if case.config is not None:
        files["model/config.json"] = _compact(case.config)
    for name, content in case.files.items():
        files[f"model/{name}"] = _safetensors(content) if name.endswith(".safetensors") else _compact(content)
    inside = Path("model", case.inside)
    files[(inside / "tokenizer.json").as_posix()] = _compact(case.tokenizer)
    files[(inside / "model.safetensors").as_posix()] = _safetensors(case.tensors)
    return files


def _describe(case: Case) -> dict[str, Any]:
    """Return the content of `case.json`."""
    means = case.means()
    texts = [
        {"text": text.text, "ids": _shortened_ids(text.ids), "working": _working(case, text), "mean": row, "vector": _final(case, row)}
        if not case.refused
        else {"text": text.text}
        for text, row in zip(case.texts, means, strict=True)
    ]
    return {
        "question": case.question,
        "answer": case.answer,
        "reason": case.reason,
        "model": Path("model", case.opened).as_posix(),
        "refused": case.refused,
        "normalize": case.normalize,
        "texts": texts,
        "others": [
            {"answer": other.name, "means": case.means(other)} if other.vectors is None else {"answer": other.name, "vectors": other.vectors}
            for other in case.others
        ],
    }


def _final(case: Case, row: Sequence[float]) -> list[float]:
    return normalized(row) if case.normalize else list(row)


def _runs(values: Sequence[Any]) -> list[tuple[Any, int]]:
    """Return each value with the number of times that it is repeated."""
    return [(value, len(list(group))) for value, group in groupby(values)]


def _shortened_ids(ids: Sequence[int]) -> list[Any]:
    """Return ids. A run of ten or more is written as the text ``"512 x 1"``."""
    return [item for value, count in _runs(ids) for item in ([f"{count} x {value}"] if count >= 10 else [value] * count)]


def _working(case: Case, text: Text) -> str:
    """Return how the vector of a text is computed, in words and numbers."""
    why = f"{text.why} " if text.why else ""
    if not text.ids:
        return f"{why}No tokens, so zeros."
    weights = case.tensors["weights"].stored() if "weights" in case.tensors else None
    mapping = case.tensors["mapping"].stored() if "mapping" in case.tensors else None
    terms = []
    for number, count in _runs(text.ids):
        term = f"row {mapping[number] if mapping else number}"
        if weights:
            term = f"{weights[number]:g} * {term}"
        terms.append(f"{count} * {term}" if count > 1 else term)
    formula = f"({' + '.join(terms)}) / {len(text.ids)}" if len(text.ids) > 1 else terms[0]
    return f"{why}{formula}{', divided by its length' if case.normalize else ''}"


def _json_numbers(value: Any) -> Any:
    """Return a value for JSON, which has no NaN: ``null`` stands for it."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _json_numbers(item) for key, item in value.items()}
    return [_json_numbers(item) for item in value] if isinstance(value, (list, tuple)) else value


def _readable(value: Mapping[str, Any]) -> bytes:
    """Return JSON with one line for each member, and for each item of a list of objects."""
    lines = []
    for key, item in _json_numbers(value).items():
        if isinstance(item, list) and item:
            rows = ",\n    ".join(json.dumps(row, ensure_ascii=False) for row in item)
            lines.append(f"{json.dumps(key)}: [\n    {rows}\n  ]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}")
    return ("{\n  " + ",\n  ".join(lines) + "\n}\n").encode()


def _compact(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()


def _safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a file in the format of safetensors. The tensors are stored in their order."""
    header: dict[str, Any] = {}
    data = b""
    for name, tensor in tensors.items():
        content = tensor.to_bytes()
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    # The data begin at a multiple of 8, as most writers have it.
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def main() -> None:
    """Write all cases to a folder. What was there is removed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=CASES_FOLDER)
    folder: Path = parser.parse_args().folder
    shutil.rmtree(folder, ignore_errors=True)
    for case in CASES:
        for name, content in case_files(case).items():
            path = folder / case.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


if __name__ == "__main__":
    main()
