"""Run all readers on all cases, and all engines on the columns, and write the pages: ``nox -s conformance``.

Each reader of `readers.json` has an environment of its own, which a later run uses again, and all engines of `columns` share one. A reader that
cannot be installed here is left out, with a message. With ``--check``, nothing is written, and the exit code is 1 if a result differs from the files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asking import Reader, ask_all
from comparing import compare
from compatibility_page import write_page
from environments import make_environment, reader_command
from run_cases import CASES_FOLDER, read_cases

_HERE = Path(__file__).resolve().parent
_DOCS = _HERE.parents[1] / "docs"
# Each reader uses one thread, so that sums have one order.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "MODEL2VEC_NUMBA_COMPILE": "wait"}


def run_reader(reader: Mapping[str, Any], cases: Mapping[str, Mapping[str, Any]], environments: Path) -> dict[str, Any]:
    """Return the entry of a reader in the JSON file."""
    command, versions = reader_command(reader, environments)
    process = Reader(command, _ENVIRONMENT)
    try:
        answers = ask_all(process, cases, CASES_FOLDER)
    finally:
        process.close()
    results = {name: compare(cases[name], answer) for name, answer in answers.items()}
    return {"name": reader["name"], "title": reader.get("title", ""), "call": reader["call"], "versions": versions, "results": results}


def run_all(only: Sequence[str], environments: Path) -> list[dict[str, Any]]:
    """Return the entries of all readers, or of those whose names contain a part in `only`."""
    cases = read_cases(CASES_FOLDER)
    entries = []
    for reader in json.loads((_HERE / "readers.json").read_text(encoding="utf-8")):
        if only and not any(part in reader["name"] for part in only):
            continue
        try:
            entry = run_reader(reader, cases, environments)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{reader['name']} is left out: {error}")
            continue
        agree = sum(result.startswith("agrees") for result in entry["results"].values())
        print(f"{entry['name']}: {agree} of {len(cases)} cases agree", flush=True)
        entries.append(entry)
    return entries


def run_columns(environments: Path, *, check: bool) -> int:
    """Run the engines in an environment of theirs, and return the exit code. Spark needs Java."""
    folder = _HERE / "columns"
    packages = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    python = make_environment(environments / "columns", packages)
    options = ["--check"] if check else []
    return subprocess.run([str(python), str(folder / "run_columns.py"), str(_DOCS / "vector-columns.json"), *options], check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, required=True, metavar="FOLDER", help="the folder of the readers' environments")
    parser.add_argument(
        "--reader", action="append", default=[], metavar="PART", help="only readers with this in their names; the others stay as they are"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a result differs from the files")
    arguments = parser.parse_args()
    arguments.environments.mkdir(parents=True, exist_ok=True)
    environments = arguments.environments.resolve()
    changed = _run_readers(arguments.reader, environments, check=arguments.check)
    code = 0
    if not arguments.reader or "columns" in arguments.reader:
        code = run_columns(environments, check=arguments.check)
    return 1 if arguments.check and changed else code


def _run_readers(only: Sequence[str], environments: Path, *, check: bool) -> bool:
    """Run readers, write their results unless `check` is true, and return whether a result has changed."""
    path = _DOCS / "compatibility.json"
    before = json.loads(path.read_text(encoding="utf-8"))["readers"] if path.is_file() else []
    names = [reader["name"] for reader in json.loads((_HERE / "readers.json").read_text(encoding="utf-8"))]
    unknown = [part for part in only if part != "columns" and not any(part in name for name in names)]
    if unknown:
        raise SystemExit(f"no reader has {unknown[0]!r} in its name")
    found = {entry["name"]: entry for entry in run_all(only, environments)}
    old = {entry["name"]: entry for entry in before}
    entries = [found.get(name) or old[name] for name in names if name in found or name in old]
    changed = [entry["name"] for entry in entries if entry != old.get(entry["name"])]
    print("readers with other results than before:", ", ".join(changed) or "none")
    if not check:
        path.write_text(json.dumps({"readers": entries}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write_page()
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main())
