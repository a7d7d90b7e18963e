#!/usr/bin/env bash
# tokenizers 0.23.3: if a normaliser makes two added tokens the same text, each load of the file picks one of their ids at random.
#
# "Paris" and "PARIS" are two added tokens, and the normaliser is Lowercase. The tokenizer looks for both in the normalised text, where both are
# "paris". If one process loads the same file again and again, it sometimes gets the id of the first token and sometimes the id of the second. So two
# processes that embed the same text with the same files can get different vectors.
# - 0.22.2 always gives the id of the token that is listed first.
# - 0.23.1 refuses the file with a DuplicatePatternError.
#
# This installs three versions of tokenizers in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/finding.py" <<'PYTHON'
import json
import sys

import tokenizers
from tokenizers import Tokenizer

flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
file = json.dumps(
    {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": 1, "content": "Paris", **flags}, {"id": 2, "content": "PARIS", **flags}],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "Paris": 1, "PARIS": 2}, "unk_token": "[UNK]"},
    }
)
try:
    seen = sorted({Tokenizer.from_str(file).encode("in paris").ids[-1] for _ in range(200)})
except Exception as error:
    seen = str(error).partition(":")[0]
print("tokenizers", tokenizers.__version__, "ids of 'paris' in 200 loads:", seen)
assert str(seen) == sys.argv[1], seen
PYTHON
check() {
    python3 -m venv "$folder/venv-$1"
    "$folder/venv-$1/bin/pip" install --quiet "tokenizers==$1"
    "$folder/venv-$1/bin/python" "$folder/finding.py" "$2"
}
check 0.22.2 "[1]"
check 0.23.1 "DuplicatePatternError"
check 0.23.3 "[1, 2]"
# Output seen:
# tokenizers 0.22.2 ids of 'paris' in 200 loads: [1]
# tokenizers 0.23.1 ids of 'paris' in 200 loads: DuplicatePatternError
# tokenizers 0.23.3 ids of 'paris' in 200 loads: [1, 2]
