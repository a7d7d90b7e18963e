"""Give columns of vectors to all engines that are installed, and write what they become to a JSON file: ``python run_columns.py FILE``.

`nox -s conformance` runs this in an environment with all of them, and `columns_page.py` makes the page from the file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import re
import struct
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from column_data import EXPECTED, write_columns
from columns_page import write_page
from engines import ENGINES, Engine
from neighbours import NEIGHBOURS, write_neighbours
from products import PRODUCTS, write_product
from text_formats import TEXT_FORMATS

__all__ = ["compare_rows", "describe_text", "part_of", "run"]

_LONGEST_MESSAGE = 110
_DIMENSIONS = 1_500
_THIRD = struct.unpack("f", struct.pack("f", 1 / 3))[0]


def run(engines: Iterable[Engine]) -> dict[str, Any]:
    """Return the results of engines, which must be installed."""
    engines = list(engines)
    names = {engine.name for engine in engines}
    versions = {package: importlib.metadata.version(package) for engine in engines for package in engine.packages}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = Path(folder)
        paths = write_columns(root)
        types = {engine.name: {name: _read_words(engine, path, EXPECTED[name]) for name, path in paths.items()} for engine in engines}
        written = {name: {writer.name: _written(writer, name, path, engines) for writer in engines} for name, path in paths.items()}
        places = {name: root / f"{name}.parquet" for name in ("neighbours", "product", "texts")}
        write_neighbours(places["neighbours"])
        write_product(places["product"])
        _write_texts(places["texts"])
        return {
            "versions": dict(sorted(versions.items())),
            "types": types,
            "written": written,
            "neighbours": _asked(NEIGHBOURS, names, places["neighbours"], ", ".join),
            "products": _asked(PRODUCTS, names | {"NumPy"}, places["product"], lambda product: f"{float(product):,.0f}"),
            "texts": _asked(TEXT_FORMATS, names, places["texts"], describe_text),
        }


def _asked(questions: Any, names: set[str], path: Path, describe: Callable[[Any], str]) -> list[dict[str, str]]:
    return [
        {"engine": engine, "how": how, "answer": _words(lambda ask=ask: describe(ask(path)))} for engine, how, ask in questions if engine in names
    ]


def _words(make: Callable[[], str]) -> str:
    """Return the words of a function, or the first line of its error."""
    try:
        return make()
    except Exception as error:
        lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()] or ["no message"]
        # The paths of temporary files and the addresses of objects differ from run to run.
        text = re.sub(r"0x[0-9a-f]{6,}", "0x…", re.sub(r"(/[\w.+-]+)+/", "", lines[0]))
        text = text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
        return f"refuses: {type(error).__name__}: {text}"


def _read_words(engine: Engine, path: Path, expected: list[Any]) -> str:
    def make() -> str:
        kind, rows = engine.read(path)
        difference = compare_rows(rows, expected)
        return f"{kind}; {difference}" if difference else kind

    return _words(make)


def _written(writer: Engine, name: str, path: Path, readers: list[Engine]) -> dict[str, str]:
    """Return what each engine reads of the file that an engine writes."""
    target = path.with_name(f"{path.stem} by {writer.name.replace(chr(39), '')}.parquet")
    failed = _words(lambda: writer.copy(path, target) or "")
    if failed:
        return {"": failed}
    # What is written as an array is read as a list, so this reader would be the same twice.
    return {reader.name: _words(lambda reader=reader: compare_rows(reader.read(target)[1], EXPECTED[name]) or "=") for reader in _distinct(readers)}


def _distinct(readers: list[Engine]) -> list[Engine]:
    return [reader for reader in readers if reader.name != "DuckDB's ARRAY"]


def compare_rows(found: list[Any], expected: list[Any]) -> str:
    """Return how rows differ from the expected ones, in words. "": they are equal."""
    if len(found) != len(expected):
        return f"{len(found)} rows instead of {len(expected)}"
    if any(isinstance(row, str) for row in found):
        return "rows are text"
    for row, right in zip(found, expected, strict=True):
        if right is None and row is not None and not (isinstance(row, float) and math.isnan(row)):
            return f"a null becomes {'a vector' if len(row) else 'an empty list'}"
        if right is not None and row is None:
            return "a vector becomes a null"
    for row, right in zip(found, expected, strict=True):
        if right is not None and any(number is None for number in row):
            return "numbers become nulls"
        if right is not None and [float(number) for number in row] != [float(number) for number in right]:
            return "other values"
    return ""


def _write_texts(path: Path) -> None:
    """Write one vector of 1,500 dimensions, each a third in float32."""
    import pyarrow as pa
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.table({"vector": pa.array([[1 / 3] * _DIMENSIONS], pa.list_(pa.float32(), _DIMENSIONS))}), path)


def describe_text(text: str) -> str:
    """Return how many of the numbers of `_write_texts` a text holds, and how exactly."""
    numbers = [float(number) for number in re.findall(r"0\.3\d*", text)]
    exact = all(struct.unpack("f", struct.pack("f", number))[0] == _THIRD for number in numbers)
    digits = "" if exact else f", rounded to {numbers[0]}"
    if len(numbers) == _DIMENSIONS:
        return f"all {_DIMENSIONS:,} numbers{digits}"
    return f"{len(numbers)} of {_DIMENSIONS:,} numbers{digits}, and '...' for the others" if "..." in text else f"{len(numbers)} numbers{digits}"


def part_of(results: dict[str, Any], engines: Iterable[Engine]) -> dict[str, Any]:
    """Return those results that `run` gives for some of the engines alone."""
    engines = list(engines)
    names = {engine.name for engine in engines}
    packages = {package for engine in engines for package in engine.packages}
    readers = {engine.name for engine in _distinct(engines)} | {""}
    return {
        "versions": {package: version for package, version in results["versions"].items() if package in packages},
        "types": {name: cells for name, cells in results["types"].items() if name in names},
        "written": {
            column: {
                writer: {reader: cell for reader, cell in cells.items() if reader in readers} for writer, cells in rows.items() if writer in names
            }
            for column, rows in results["written"].items()
        },
        **{kind: [entry for entry in results[kind] if entry["engine"] in names | {"NumPy"}] for kind in ("neighbours", "products", "texts")},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the JSON file to write")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a result differs from the file")
    arguments = parser.parse_args()
    results = run(engine for engine in ENGINES if engine.versions() is not None)
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    if arguments.check:
        same = arguments.file.read_text(encoding="utf-8") == text
        print("columns:", "nothing has changed" if same else "results have changed")
        return 0 if same else 1
    arguments.file.write_text(text, encoding="utf-8")
    write_page()
    return 0


if __name__ == "__main__":
    sys.exit(main())
