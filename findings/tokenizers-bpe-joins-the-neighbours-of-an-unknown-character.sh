#!/usr/bin/env bash
# tokenizers 0.23.3: a BPE model without unk_token leaves unknown characters out before it merges, so "a?b" gets the token of "ab".
#
# One expects no token for the unknown character, and the tokens of both sides. But the sides become neighbours, and are merged across the gap. The
# default of BPE() is no unk_token, and the default trainer for ByteLevel learns only the bytes of its texts (initial_alphabet is empty). Such a file
# has no token for most bytes, so "naïve" gets the id and the vector of "nave". A program cannot see it: nothing is unknown, and the offsets say that
# the token has the first characters of the word. With an unk_token, nothing is merged across it. WordLevel without its unk_token raises an error.
#
# This installs tokenizers in a temporary folder, prints what it does, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3
cat >"$folder/finding.py" <<'PYTHON'
import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

print("tokenizers", tokenizers.__version__)
vocabulary = {"[UNK]": 0, "a": 1, "b": 2, "ab": 3}
without = Tokenizer(models.BPE(vocabulary, [("a", "b")])).encode("a?b")
print("without unk_token:", without.tokens, without.offsets)
with_token = Tokenizer(models.BPE(vocabulary, [("a", "b")], unk_token="[UNK]")).encode("a?b")
print("with unk_token:", with_token.tokens, with_token.offsets)

try:
    word_level = Tokenizer(models.WordLevel({"a": 1})).encode("?").tokens
except Exception as error:
    word_level = str(error)
print("WordLevel without its unk_token:", word_level)

trained = Tokenizer(models.BPE())
trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trained.train_from_iterator(["nave"] * 10, trainers.BpeTrainer(show_progress=False))
words = "nave", "na\u00efve"
found = [trained.encode(word) for word in words]
for word, encoding in zip(words, found):
    print(f"trained with ByteLevel, {word}: {encoding.tokens} {encoding.offsets}")

assert (without.tokens, without.offsets) == (["ab"], [(0, 2)])
assert (with_token.tokens, with_token.offsets) == (["a", "[UNK]", "b"], [(0, 1), (1, 2), (2, 3)])
assert word_level == "WordLevel error: Missing [UNK] token from the vocabulary"
assert found[0].tokens == found[1].tokens == ["nave"]
assert found[0].ids == found[1].ids
assert found[1].offsets == [(0, 3)]
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# tokenizers 0.23.3
# without unk_token: ['ab'] [(0, 2)]
# with unk_token: ['a', '[UNK]', 'b'] [(0, 1), (1, 2), (2, 3)]
# WordLevel without its unk_token: WordLevel error: Missing [UNK] token from the vocabulary
# trained with ByteLevel, nave: ['nave'] [(0, 4)]
# trained with ByteLevel, naïve: ['nave'] [(0, 3)]
