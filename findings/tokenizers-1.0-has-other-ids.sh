#!/usr/bin/env bash
# tokenizers 1.0.0rc3 gives other ids than 0.23.3 for the same tokenizer.json and the same text.
#
# If a model is used with the ids of another version, it looks up the wrong vectors. There are five cases:
# - BPE with an end_of_word_suffix (CLIP has one): a word of one character gets the token without the suffix in 1.0.0rc3.
# - Replace with the regular expression ^ or $: it matches on each line in 0.23.3, and only once for each text in 1.0.0rc3.
# - Strip before a Metaspace that prepends a character to the first word: if Strip removes a space, 0.23.3 prepends nothing, but 1.0.0rc3 does.
# - Added tokens that are not in the model's vocabulary: 0.23.3 numbers them in the order of the file, 1.0.0rc3 in the order of the ids in the file.
#   Neither uses the ids in the file.
# - byte_fallback with tokens for only some of the bytes: 1.0.0rc3 refuses the file.
# Also, the Python package has only four names left: Tokenizer, Encoding, Padding and Truncation. A tokenizer is loaded from a file or the Hub.
#
# This installs both versions in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/finding.py" <<'PYTHON'
import json
import sys
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer

EMPTY = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": []}
EMPTY |= {"normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
SPLIT = {"type": "WhitespaceSplit"}
FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}


def ids(text, **file):
    path = Path(sys.argv[1], "tokenizer.json")
    path.write_text(json.dumps({**EMPTY, **file}), encoding="utf-8")
    try:
        return Tokenizer.from_file(str(path)).encode(text).ids
    except Exception as error:
        return str(error)


def bpe(vocabulary, **settings):
    defaults = {"dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None}
    defaults |= {"fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "merges": []}
    return {"type": "BPE", **defaults, **settings, "vocab": vocabulary}


def replace(pattern):
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": "X"}


words = {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1, "b": 2, "Xa": 3, "Xb": 4, "aX": 5, "bX": 6}, "unk_token": "[UNK]"}
pieces = {"type": "Unigram", "unk_id": 0, "byte_fallback": False, "vocab": [["<unk>", 0.0], ["\u2581", -2.0], ["a", -3.0], ["\u2581a", -4.0]]}
some_bytes = {f"<0x{byte:02X}>": byte for byte in range(0xC4)}
answers = {
    "suffix": ids("a ab b", model=bpe({"a": 0, "b": 1, "a</w>": 2, "b</w>": 3}, end_of_word_suffix="</w>"), pre_tokenizer=SPLIT),
    "^": ids("a\nb", model=words, normalizer=replace("^"), pre_tokenizer=SPLIT),
    "strip": ids(
        " a a",
        model=pieces,
        normalizer={"type": "Strip", "strip_left": True, "strip_right": True},
        pre_tokenizer={"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True},
    ),
    "added tokens": ids(
        "<x> <y>", model=words, pre_tokenizer=SPLIT, added_tokens=[{"id": 9, "content": "<x>", **FLAGS}, {"id": 8, "content": "<y>", **FLAGS}]
    ),
    "some bytes": ids("a\u00e9", model=bpe({**some_bytes, "a": 300}, byte_fallback=True)),
}
print("tokenizers", tokenizers.__version__, answers)
assert answers == json.loads(sys.argv[2]), answers
PYTHON
check() {
    python3 -m venv "$folder/venv-$1"
    "$folder/venv-$1/bin/pip" install --quiet "tokenizers==$1"
    "$folder/venv-$1/bin/python" "$folder/finding.py" "$folder" "$2"
}
check 0.23.3 '{"suffix": [2, 0, 3, 3], "^": [3, 4], "strip": [2, 3], "added tokens": [7, 8], "some bytes": [300, 195, 169]}'
check 1.0.0rc3 '{"suffix": [0, 0, 3, 1], "^": [3, 2], "strip": [3, 3], "added tokens": [8, 7], "some bytes": "Byte fallback `<0xC4>` not found in the vocabulary"}'
# Output seen:
# tokenizers 0.23.3 {'suffix': [2, 0, 3, 3], '^': [3, 4], 'strip': [2, 3], 'added tokens': [7, 8], 'some bytes': [300, 195, 169]}
# tokenizers 1.0.0-rc.3 {'suffix': [0, 0, 3, 1], '^': [3, 2], 'strip': [3, 3], 'added tokens': [8, 7], 'some bytes': 'Byte fallback `<0xC4>` not
# found in the vocabulary'}
