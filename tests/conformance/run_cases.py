"""Try any reader on the cases: ``python tests/conformance/run_cases.py COMMAND ...``. README.md says how a command is asked and how it answers.

It prints a line for each case where the reader gives other vectors or refuses the model, and how many agree. Only Python's standard library is used.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from asking import Reader, ask_all
from comparing import compare

CASES_FOLDER = Path(__file__).resolve().with_name("cases")


def read_cases(folder: Path, only: str = "") -> dict[str, dict[str, Any]]:
    """Return the content of each `case.json`, by the name of the case. `only` is a part of the names that are wanted."""
    paths = sorted(folder.glob("*/case.json"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in paths if only in path.parent.name}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=CASES_FOLDER, help="the folder of all cases")
    parser.add_argument("--only", default="", metavar="PART", help="only cases with this in their names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result of each case to a file")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command of the reader")
    arguments = parser.parse_args()
    if not arguments.command:
        parser.error("a command is needed")
    folder = arguments.cases.resolve()
    cases = read_cases(folder, arguments.only)
    if not cases:
        parser.error(f"no case has {arguments.only!r} in its name")
    reader = Reader(arguments.command)
    try:
        results = {name: compare(cases[name], answer) for name, answer in ask_all(reader, cases, folder).items()}
    finally:
        reader.close()
    for name, result in results.items():
        if not result.startswith("agrees"):
            print(f"{name}: {result}")
    agree = sum(result.startswith("agrees") for result in results.values())
    print(f"{agree} of {len(results)} cases agree")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if agree == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
