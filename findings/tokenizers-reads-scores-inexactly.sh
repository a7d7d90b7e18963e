#!/usr/bin/env bash
# tokenizers 0.23.3: of the Unigram scores that are written with all their digits, one in seven is read as a neighbouring float64.
#
# Python and Rust print a float64 with enough digits to read the same number again. The library reads the digits with serde_json without its feature
# `float_roundtrip`: it reads them as one integer, rounds it, and divides it by a power of ten. The result can be one unit in the last place off. So
# if a vocabulary is written as JSON and loaded, some scores change. A program that reads the file with an exact parser adds up other numbers than the
# library does. A number that was changed once stays the same when it is saved and loaded again.
#
# This installs tokenizers in a temporary folder, prints what it does, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3
cat >"$folder/finding.py" <<'PYTHON'
import json
import math
import random

import tokenizers
from tokenizers import Tokenizer

generator = random.Random(0)
scores = [-generator.uniform(3, 15) for _ in range(20_000)]
empty = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": []}
empty |= {"normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}


def load_and_save(numbers):
    model = {"type": "Unigram", "unk_id": 0, "byte_fallback": False, "vocab": [[str(i), number] for i, number in enumerate(numbers)]}
    saved = Tokenizer.from_str(json.dumps({**empty, "model": model})).to_str()
    return [number for _, number in json.loads(saved)["model"]["vocab"]]


once = load_and_save(scores)
twice = load_and_save(once)
changed = [(old, new) for old, new in zip(scores, once) if old != new]
print("tokenizers", tokenizers.__version__)
print("changed by loading:", len(changed), "of", len(scores), "for example", changed[0])
print("changed by loading the result:", sum(old != new for old, new in zip(once, twice)))
assert 2_000 < len(changed) < 4_000
assert all(abs(new - old) <= math.ulp(old) for old, new in changed)
assert once == twice
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# tokenizers 0.23.3
# changed by loading: 2945 of 20000 for example (-10.000584473460375, -10.000584473460377)
# changed by loading the result: 0
