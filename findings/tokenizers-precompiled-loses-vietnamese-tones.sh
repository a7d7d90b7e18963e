#!/usr/bin/env bash
# tokenizers 0.23.3: Precompiled, the normaliser of SentencePiece's models, loses marks of decomposed Vietnamese and leaves Korean and kana apart.
#
# A tokenizer.json of T5, XLM-RoBERTa or a multilingual Model2Vec model holds SentencePiece's table of replacements. SentencePiece replaces the
# longest match at each place. tokenizers cuts the text into graphemes, and looks a grapheme up only if it has fewer than six bytes:
# - If the table has only the beginning of a short grapheme, the whole grapheme is replaced, so the rest is lost. Decomposed "cấm" (to forbid) and
#   "cầm" (to hold) become "câm" (mute). Decomposed texts come from file names of macOS and from NFD normalisation.
# - A grapheme of six bytes is looked up character by character. So Hangul letters do not become a syllable, and か with a mark does not become が. The
#   same holds for half-width katakana, which need no decomposing: ｶﾞ becomes カ and a mark, not ガ.
# So a model gets other tokens than the SentencePiece model that it was made of, without an error. Normalise texts to NFC first, and half-width
# katakana to NFKC.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
cat >"$folder/finding.py" <<'PYTHON'
from unicodedata import normalize

import sentencepiece
import tokenizers
from sentencepiece import SentencePieceNormalizer, sentencepiece_model_pb2
from tokenizers.normalizers import Precompiled

print("tokenizers", tokenizers.__version__, "sentencepiece", sentencepiece.__version__)
reference = SentencePieceNormalizer(rule_name="nmt_nfkc", add_dummy_prefix=False, escape_whitespaces=False, remove_extra_whitespaces=False)
table = sentencepiece_model_pb2.ModelProto.FromString(reference.serialized_model_proto()).normalizer_spec.precompiled_charsmap
precompiled = Precompiled(table)

forbid, hold, mute = "c\u1ea5m", "c\u1ea7m", "c\u00e2m"
for word in (forbid, hold, "\ud55c\uad6d", "\u304c"):
    decomposed = normalize("NFD", word)
    answers = precompiled.normalize_str(decomposed), reference.normalize(decomposed)
    print(f"{word}, decomposed: tokenizers {answers[0]!a}, sentencepiece {answers[1]!a}")
    assert answers[0] == (mute if word in (forbid, hold) else decomposed)
    assert answers[1] == word == precompiled.normalize_str(word)
half_width = "\uff76\uff9e"
print(f"{half_width}: tokenizers {precompiled.normalize_str(half_width)!a}, sentencepiece {reference.normalize(half_width)!a}")
assert precompiled.normalize_str(half_width) == "\u30ab\u3099"
assert reference.normalize(half_width) == "\u30ac"


def count(first, last):
    """Count the characters that have a decomposed form, those that tokenizers leaves decomposed, and those of which it loses a mark."""
    letters = [chr(point) for point in range(first, last + 1) if normalize("NFD", chr(point)) != chr(point)]
    results = [precompiled.normalize_str(normalize("NFD", letter)) for letter in letters]
    lost = sum(normalize("NFKC", letter) != normalize("NFKC", result) for letter, result in zip(letters, results))
    return len(letters), sum(result == normalize("NFD", letter) for letter, result in zip(letters, results)), lost


counts = {"Latin, U+1E00 to U+1EFF": count(0x1E00, 0x1EFF), "Hangul syllables": count(0xAC00, 0xD7A3), "kana": count(0x3040, 0x30FF)}
for name, (letters, decomposed, lost) in counts.items():
    print(f"{name}: of {letters} letters, {decomposed} stay decomposed, {lost} lose a mark")
assert list(counts.values()) == [(245, 0, 93), (11172, 11172, 0), (58, 58, 0)]
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# tokenizers 0.23.3 sentencepiece 0.2.3
# cấm, decomposed: tokenizers 'c\xe2m', sentencepiece 'c\u1ea5m'
# cầm, decomposed: tokenizers 'c\xe2m', sentencepiece 'c\u1ea7m'
# 한국, decomposed: tokenizers '\u1112\u1161\u11ab\u1100\u116e\u11a8', sentencepiece '\ud55c\uad6d'
# が, decomposed: tokenizers '\u304b\u3099', sentencepiece '\u304c'
# ｶﾞ: tokenizers '\u30ab\u3099', sentencepiece '\u30ac'
# Latin, U+1E00 to U+1EFF: of 245 letters, 0 stay decomposed, 93 lose a mark
# Hangul syllables: of 11172 letters, 11172 stay decomposed, 0 lose a mark
# kana: of 58 letters, 58 stay decomposed, 0 lose a mark
