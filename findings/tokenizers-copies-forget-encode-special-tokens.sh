#!/usr/bin/env bash
# tokenizers 0.23.3: encode_special_tokens is lost in every copy of a tokenizer: by copy.deepcopy, by pickle, and by save.
#
# With encode_special_tokens=True, the text "</s>" is tokenised as any other text, and does not become the special token. tokenizer.json has no place
# for the setting, and copies are made by writing and reading this JSON. So workers of a pool, which get the tokenizer by pickle, give other ids than
# the main process for the same text. model2vec 0.10.0 copies the tokenizer that it is given, so a StaticModel averages other tokens than the
# tokenizer shows. Nothing warns of it. Set it again on each copy, for StaticModel as model.tokenizer.encode_special_tokens = True.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3 model2vec==0.10.0 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import copy
import pickle
from importlib.metadata import version

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer, models, pre_tokenizers

print(*(f"{name} {version(name)}" for name in ("tokenizers", "model2vec")))
words = ["[UNK]", "end", "</", "s", ">", "</s>"]
tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.add_special_tokens(["</s>"])
tokenizer.encode_special_tokens = True
model = StaticModel(np.eye(6, dtype=np.float32), tokenizer)
answers = {
    "the tokenizer": tokenizer.encode("end </s>").ids,
    "copy.deepcopy": copy.deepcopy(tokenizer).encode("end </s>").ids,
    "pickle": pickle.loads(pickle.dumps(tokenizer)).encode("end </s>").ids,
    "to_str": Tokenizer.from_str(tokenizer.to_str()).encode("end </s>").ids,
    "StaticModel": model.tokenize(["end </s>"])[0],
}
model.tokenizer.encode_special_tokens = True
answers["StaticModel, set again"] = model.tokenize(["end </s>"])[0]
for name, ids in answers.items():
    print(f"{name}: {ids}")
as_text, as_token = [1, 2, 3, 4], [1, 5]
assert list(answers.values()) == [as_text, as_token, as_token, as_token, as_token, as_text]
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# tokenizers 0.23.3 model2vec 0.10.0
# the tokenizer: [1, 2, 3, 4]
# copy.deepcopy: [1, 5]
# pickle: [1, 5]
# to_str: [1, 5]
# StaticModel: [1, 5]
# StaticModel, set again: [1, 2, 3, 4]
