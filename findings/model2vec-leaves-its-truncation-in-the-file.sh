#!/usr/bin/env bash
# model2vec 0.10.0: a model that is loaded and saved again has a truncation to 512 tokens in its tokenizer.json, which other programs obey.
#
# model2vec switches the truncation of its tokenizer on to cut texts, and saves the tokenizer as it is. The file that was loaded had none. Its
# setting max_length is in config.json, so nothing is needed in tokenizer.json. A program that reads the new file with the tokenizers library and
# does not switch the truncation off, as sentence-transformers and model2vec 0.9 do not, has other ids for long texts than with the old file. Saving
# copies a model, one would think. Also, max_length=None at load takes away a truncation that was in the file.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet model2vec==0.10.0 tokenizers==0.23.3 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

root = Path(sys.argv[1])
tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
text = "a " * 1000


def describe(folder):
    path = root / folder / "tokenizer.json"
    return json.loads(path.read_text())["truncation"], len(Tokenizer.from_file(str(path)).encode(text).ids)


original = root / "original"
original.mkdir()
tokenizer.save(str(original / "tokenizer.json"))
(original / "config.json").write_text("{}")
save_file({"embeddings": np.eye(2, dtype=np.float32)}, original / "model.safetensors")
StaticModel.from_pretrained(original).save_pretrained(root / "saved")
StaticModel.from_pretrained(root / "saved", max_length=None).save_pretrained(root / "without")

print("model2vec", version("model2vec"), "tokenizers", version("tokenizers"))
answers = {folder: describe(folder) for folder in ("original", "saved", "without")}
for folder, (truncation, count) in answers.items():
    print(f"{folder}: truncation {truncation}, a text of 1,000 words has {count} tokens")
assert answers["original"] == (None, 1000)
assert answers["saved"] == ({"direction": "Right", "max_length": 512, "strategy": "LongestFirst", "stride": 0}, 512)
assert answers["without"] == (None, 1000)
PYTHON
"$folder/venv/bin/python" "$folder/finding.py" "$folder"
# Output seen:
# Set max_length to `None`, which does not match config value `512`. Updating config.
# model2vec 0.10.0 tokenizers 0.23.3
# original: truncation None, a text of 1,000 words has 1000 tokens
# saved: truncation {'direction': 'Right', 'max_length': 512, 'strategy': 'LongestFirst', 'stride': 0}, a text of 1,000 words has 512 tokens
# without: truncation None, a text of 1,000 words has 1000 tokens
