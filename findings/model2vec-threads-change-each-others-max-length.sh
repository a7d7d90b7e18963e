#!/usr/bin/env bash
# model2vec 0.10.0: while one thread calls encode, the call of another thread with its own max_length gives a wrong vector, without an error.
#
# encode seems to only read the model, so a server calls it from several threads. Since 0.10.0, each call first sets the truncation of the tokenizer,
# which all threads share, and sets it back at its end. So a call with max_length=None can lose the end of its text, because a call with the default
# max_length has begun or ended in between. encode_as_sequence has no limit by default, so it loses tokens when another thread calls encode. Here,
# this happens in a few of a hundred calls. If all calls have the same max_length, nothing happens. 0.9.0 cuts the ids itself, and is always right.
#
# This needs Python 3.11 or newer. It installs both versions in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/finding.py" <<'PYTHON'
import sys
import threading
import time
from importlib.metadata import version

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer, models, pre_tokenizers

tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "begin": 1, "close": 2}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
model = StaticModel(np.eye(3, dtype=np.float32), tokenizer)
text = "begin " * 512 + "close " * 512
tasks = {
    "encode": lambda: model.encode([text]).tolist(),
    "encode, max_length=None": lambda: model.encode([text], max_length=None).tolist(),
    "encode_as_sequence": lambda: len(model.encode_as_sequence([text])[0]),
}
alone = {name: task() for name, task in tasks.items()}
print("model2vec", version("model2vec"))
print("one thread:", alone)
wrong = {name: [] for name in tasks}
expected = set(sys.argv[1:])
end = time.monotonic() + (60 if expected else 10)


def call(name):
    """Call a task again and again, until every task that is expected to fail has failed."""
    while time.monotonic() < end and not (expected and all(wrong[other] for other in expected)):
        result = tasks[name]()
        if result != alone[name] and result not in wrong[name]:
            wrong[name].append(result)


threads = [threading.Thread(target=call, args=[name]) for name in tasks]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("wrong results of three threads:", wrong)
assert alone["encode, max_length=None"] == [[0, 0.5, 0.5]] and alone["encode_as_sequence"] == 1024
assert {name for name, results in wrong.items() if results} >= expected and (expected or not any(wrong.values()))
PYTHON
check() {
    python3 -m venv "$folder/venv-$1"
    "$folder/venv-$1/bin/pip" install --quiet "model2vec==$1" tokenizers==0.23.3 numpy==2.4.6
    "$folder/venv-$1/bin/python" "$folder/finding.py" "${@:2}"
}
check 0.9.0
check 0.10.0 "encode, max_length=None" encode_as_sequence
# Output seen:
# model2vec 0.9.0
# one thread: {'encode': [[0.0, 1.0, 0.0]], 'encode, max_length=None': [[0.0, 0.5, 0.5]], 'encode_as_sequence': 1024}
# wrong results of three threads: {'encode': [], 'encode, max_length=None': [], 'encode_as_sequence': []}
# model2vec 0.10.0
# one thread: {'encode': [[0.0, 1.0, 0.0]], 'encode, max_length=None': [[0.0, 0.5, 0.5]], 'encode_as_sequence': 1024}
# wrong results of three threads: {'encode': [], 'encode, max_length=None': [[[0.0, 1.0, 0.0]]], 'encode_as_sequence': [512]}
