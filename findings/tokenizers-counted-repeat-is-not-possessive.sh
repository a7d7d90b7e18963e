#!/usr/bin/env bash
# tokenizers 0.23.3: in a regular expression, `{1,3}+` is not a possessive repeat. The `+` repeats `{1,3}` once or more.
#
# The pattern of cl100k_base in tiktoken holds `\p{N}{1,3}+`: at most three digits, and the match never gives a digit back. tiktoken, Python's `re`
# from 3.11 on, PCRE and Java read it like this. tokenizers uses Oniguruma with Oniguruma's own syntax. There `?+`, `*+` and `++` are possessive, but
# `\p{N}{1,3}+` means `(?:\p{N}{1,3})+`. So if the pattern is copied into a tokenizer.json, a number of any length is one pre-token, and gets other
# ids. The pattern `\p{N}{1,3}`, which is in Llama 3's tokenizer.json, cuts numbers as tiktoken does.
#
# This needs Python 3.11 or newer. It installs tokenizers and tiktoken in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3 tiktoken==0.13.0
cat >"$folder/finding.py" <<'PYTHON'
import re

import tiktoken
import tokenizers
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

text = "12345678"


def by_tokenizers(pattern):
    return [part for part, _ in Split(Regex(pattern), "isolated").pre_tokenize_str(text)]


def by_tiktoken(pattern):
    # The vocabulary has all strings of one to three digits, so that each match becomes as few tokens as possible.
    digits = [str(digit) for digit in range(10)]
    pairs = [a + b for a in digits for b in digits]
    ranks = {token.encode(): rank for rank, token in enumerate([*digits, *pairs, *(a + b for a in pairs for b in digits)])}
    encoding = tiktoken.Encoding("digits", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return [encoding.decode([token]) for token in encoding.encode(text)]


print("tokenizers", tokenizers.__version__, "tiktoken", tiktoken.__version__)
for pattern, seen in ((r"[0-9]{1,3}+", ["12345678"]), (r"[0-9]{1,3}", ["123", "456", "78"])):
    found = by_tokenizers(pattern), by_tiktoken(pattern), re.findall(pattern, text)
    print(pattern, "tokenizers:", found[0], "tiktoken:", found[1], "re:", found[2])
    assert found == (seen, ["123", "456", "78"], ["123", "456", "78"]), found
assert by_tokenizers(r"[0-9]++5") == by_tokenizers(r"(?>[0-9]+)5") == [text]
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# tokenizers 0.23.3 tiktoken 0.13.0
# [0-9]{1,3}+ tokenizers: ['12345678'] tiktoken: ['123', '456', '78'] re: ['123', '456', '78']
# [0-9]{1,3} tokenizers: ['123', '456', '78'] tiktoken: ['123', '456', '78'] re: ['123', '456', '78']
