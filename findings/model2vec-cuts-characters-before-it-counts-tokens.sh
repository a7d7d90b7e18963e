#!/usr/bin/env bash
# model2vec 0.10.0: encode loses the end of texts that have fewer tokens than max_length, and can make a token of half a word.
#
# max_length is documented as a number of tokens. But encode first cuts the text to max_length times the median number of characters of a token of
# the vocabulary. White space has characters, but no tokens. For 512 tokens and BERT's vocabulary, whose median is 6, the text is cut after 3,072
# characters:
# - So of indented code, or of a table with padded columns, only a part is in the vector. A text that begins with as much white space has a vector of
#   zeros.
# - The cut can be in a word, and the first half of it may be another token.
# - tokenize has no such cut, so it shows tokens that are not in the vector.
# - The place of the cut depends on the vocabulary: added words can move it.
# There is no warning. With max_length=None nothing is cut.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet model2vec==0.10.0 tokenizers==0.23.3 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer, models, pre_tokenizers

print("model2vec", version("model2vec"))
words = ["[UNK]", "monday", "friday", "inter", "internal"]
tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
model = StaticModel(np.eye(len(words), dtype=np.float32), tokenizer)


def ask(name, text, **options):
    """Return the words whose tokens are in the vector, and those that tokenize shows."""
    averaged = [words[id] for id in np.flatnonzero(model.encode(text, **options))]
    shown = [words[id] for id in model.tokenize([text])[0]]
    print(f"{name}, {options}: encode {averaged}, tokenize {shown}")
    return averaged, shown


both = ["monday", "friday"]
assert model.max_length == 512 and model.median_token_length == 6
assert ask("3,060 spaces between", "monday" + " " * 3060 + "friday") == (both, both)
assert ask("3,066 spaces between", "monday" + " " * 3066 + "friday") == (["monday"], both)
assert ask("3,066 spaces between", "monday" + " " * 3066 + "friday", max_length=None) == (both, both)
assert ask("3,072 spaces before", " " * 3072 + "friday") == ([], ["friday"])
assert ask("a cut in a word", " " * 3067 + "internal") == (["inter"], ["internal"])
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# model2vec 0.10.0
# 3,060 spaces between, {}: encode ['monday', 'friday'], tokenize ['monday', 'friday']
# 3,066 spaces between, {}: encode ['monday'], tokenize ['monday', 'friday']
# 3,066 spaces between, {'max_length': None}: encode ['monday', 'friday'], tokenize ['monday', 'friday']
# 3,072 spaces before, {}: encode [], tokenize ['friday']
# a cut in a word, {}: encode ['inter'], tokenize ['internal']
