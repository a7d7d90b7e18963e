#!/usr/bin/env bash
# model2vec 0.9.0 and 0.10.0 give other vectors for the same Unigram model and the same text, if the text has an unknown character.
#
# Both leave unknown tokens of WordPiece, WordLevel and BPE out of the mean. 0.9.0 looks for the name of the unknown token, which Unigram does not
# have in its file, so it averages the row of <unk> in. 0.10.0 uses the id. Multilingual models are Unigram models, and texts with emoji or rare
# scripts have unknown tokens. So vectors in a database that 0.9.0 made must not be compared with those of 0.10.0.
#
# This needs Python 3.11 or newer. It installs both versions in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/finding.py" <<'PYTHON'
import json
import sys
from importlib.metadata import version

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer, models, pre_tokenizers

matrix = np.array([[8, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
unigram = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0)], unk_id=0))
word_level = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>"))
word_level.pre_tokenizer = pre_tokenizers.Split("", "isolated")
answers = {name: StaticModel(matrix, tokenizer).encode("a?").tolist() for name, tokenizer in (("Unigram", unigram), ("WordLevel", word_level))}
print("model2vec", version("model2vec"), answers)
assert answers == json.loads(sys.argv[1]), answers
PYTHON
check() {
    python3 -m venv "$folder/venv-$1"
    "$folder/venv-$1/bin/pip" install --quiet "model2vec==$1" tokenizers==0.23.3 numpy==2.4.6
    "$folder/venv-$1/bin/python" "$folder/finding.py" "$2"
}
check 0.9.0 '{"Unigram": [4.0, 0.5, 0.0], "WordLevel": [0.0, 1.0, 0.0]}'
check 0.10.0 '{"Unigram": [0.0, 1.0, 0.0], "WordLevel": [0.0, 1.0, 0.0]}'
# Output seen:
# model2vec 0.9.0 {'Unigram': [4.0, 0.5, 0.0], 'WordLevel': [0.0, 1.0, 0.0]}
# model2vec 0.10.0 {'Unigram': [0.0, 1.0, 0.0], 'WordLevel': [0.0, 1.0, 0.0]}
