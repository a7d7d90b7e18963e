#!/usr/bin/env bash
# tokenizers 0.23.3: after a setting of a BPE model is changed, words that were encoded before keep their old ids, and new words get others.
#
# tokenizer.model.fuse_unk, byte_fallback and unk_token can be set, and reading them shows the new value. But the model remembers the tokens of each
# pre-token, and setting does not make it forget them. So the ids of a text depend on which texts the process encoded before, and a process that loads
# the saved file gets other ids for the same text. Set the model before the first text, or load what to_str returns.
#
# This installs tokenizers in a temporary folder, prints what it does, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3
cat >"$folder/finding.py" <<'PYTHON'
import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers

print("tokenizers", tokenizers.__version__)
vocabulary = {"<unk>": 0, "a": 1, "<0xC3>": 2, "<0xA9>": 3, "<none>": 4}
changes = {"fuse_unk": ("??a", "???a", True), "byte_fallback": ("a\u00e9", "\u00e9a", True), "unk_token": ("a?", "?a", "<none>")}
answers = {}
for setting, (seen, new, value) in changes.items():
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    before = tokenizer.encode(seen).ids
    setattr(tokenizer.model, setting, value)
    assert getattr(tokenizer.model, setting) == value
    loaded = Tokenizer.from_str(tokenizer.to_str())
    answers[setting] = before, [tokenizer.encode(text).ids for text in (seen, new)], [loaded.encode(text).ids for text in (seen, new)]
    print(f"{setting}: {seen} was {before} before, {seen} and {new} are {answers[setting][1]} after, and {answers[setting][2]} in the saved file")
assert answers == {
    "fuse_unk": ([0, 0, 1], [[0, 0, 1], [0, 1]], [[0, 1], [0, 1]]),
    "byte_fallback": ([1, 0], [[1, 0], [2, 3, 1]], [[1, 2, 3], [2, 3, 1]]),
    "unk_token": ([1, 0], [[1, 0], [4, 1]], [[1, 4], [4, 1]]),
}
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# tokenizers 0.23.3
# fuse_unk: ??a was [0, 0, 1] before, ??a and ???a are [[0, 0, 1], [0, 1]] after, and [[0, 1], [0, 1]] in the saved file
# byte_fallback: aé was [1, 0] before, aé and éa are [[1, 0], [2, 3, 1]] after, and [[1, 2, 3], [2, 3, 1]] in the saved file
# unk_token: a? was [1, 0] before, a? and ?a are [[1, 0], [4, 1]] after, and [[1, 4], [4, 1]] in the saved file
