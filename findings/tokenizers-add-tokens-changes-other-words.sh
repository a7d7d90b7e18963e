#!/usr/bin/env bash
# tokenizers 0.23.3: add_tokens of a token that the vocabulary already has changes the ids of other words, and says that it made a token.
#
# The documentation says that tokens are added only if they do not exist in the vocabulary, and that the result is the number of tokens that were
# created. But for a token of the model, the result is 1, and the vocabulary keeps its size. From then on, the token is cut out of every text before
# the model sees it, also inside words: after add_tokens(["in"]), "inside" is no longer one token. So to make sure that a list of words has tokens, as
# a program does before it adds vectors for new words, changes the vectors of texts that have none of these words. The file that is saved then
# has the same. add_special_tokens does this too. Ask token_to_id first, or add an AddedToken with single_word=True.
#
# This installs tokenizers in a temporary folder, prints what it does, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3
cat >"$folder/finding.py" <<'PYTHON'
import tokenizers
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

print("tokenizers", tokenizers.__version__)
pieces = ["[UNK]", "in", "inside", "side", "king", "k", "g"]


def make():
    tokenizer = Tokenizer(models.WordPiece({piece: id for id, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def describe(tokenizer):
    return tokenizer.encode("king inside").tokens, tokenizer.get_vocab_size()


added, special, single = make(), make(), make()
results = added.add_tokens(["in"]), added.add_tokens(["in"]), special.add_special_tokens(["in"])
single.add_tokens([AddedToken("in", single_word=True)])
answers = {
    "before": describe(make()),
    "add_tokens": describe(added),
    "saved and loaded": describe(Tokenizer.from_str(added.to_str())),
    "add_special_tokens": describe(special),
    "single_word": describe(single),
}
print("results of add_tokens, add_tokens once more, add_special_tokens:", *results)
for name, answer in answers.items():
    print(f"{name}:", *answer)
whole, cut = (["king", "inside"], 7), (["k", "in", "g", "in", "side"], 7)
assert results == (1, 0, 1)
assert list(answers.values()) == [whole, cut, cut, cut, whole]
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# tokenizers 0.23.3
# results of add_tokens, add_tokens once more, add_special_tokens: 1 0 1
# before: ['king', 'inside'] 7
# add_tokens: ['k', 'in', 'g', 'in', 'side'] 7
# saved and loaded: ['k', 'in', 'g', 'in', 'side'] 7
# add_special_tokens: ['k', 'in', 'g', 'in', 'side'] 7
# single_word: ['king', 'inside'] 7
