#!/usr/bin/env bash
# tokenizers 0.23.3: an uncased tokenizer gives a Greek word in capitals another token than in small letters, because Lowercase knows no final sigma.
#
# At the end of a word, Σ is ς in small letters, elsewhere σ. Very many Greek words end with it. Python and Polars lower the end of "ΚΟΣΜΟΣ" to ς, as
# Unicode says, and so did BERT's first tokenizer, which was written in Python. Lowercase and BertNormalizer lower each character on its own, so they
# make "κοσμοσ". A vocabulary that was made of Greek texts has "κοσμος", so the word in capitals is unknown, or is cut into other pieces. If a program
# lowers its texts before it calls the tokenizer, the ids change, although the tokenizer lowers them too. pyarrow and DuckDB have no final sigma
# either, so a text that is lowered in a table gets ids that depend on the library.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tokenizers==0.23.3 polars==2.1.0 pyarrow==26.0.1 duckdb==2.0.1
cat >"$folder/finding.py" <<'PYTHON'
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

print("tokenizers", tokenizers.__version__, "Polars", pl.__version__, "pyarrow", pa.__version__, "DuckDB", duckdb.__version__)
small, capitals = "\u03ba\u03cc\u03c3\u03bc\u03bf\u03c2", "\u039a\u039f\u03a3\u039c\u039f\u03a3"
final, other = "\u03ba\u03bf\u03c3\u03bc\u03bf\u03c2", "\u03ba\u03bf\u03c3\u03bc\u03bf\u03c3"
tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, final: 1}, unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
ids = {text: tokenizer.encode(text).ids for text in (small, capitals, capitals.lower())}
print("ids:", ids)

lowered = {
    "Lowercase": normalizers.Lowercase().normalize_str(capitals),
    "BertNormalizer": normalizers.BertNormalizer().normalize_str(capitals),
    "Python": capitals.lower(),
    "Polars": pl.Series([capitals]).str.to_lowercase()[0],
    "pyarrow": pc.utf8_lower(capitals).as_py(),
    "DuckDB": duckdb.execute("SELECT lower(?)", [capitals]).fetchone()[0],
}
for name, word in lowered.items():
    print(f"{name}: {word}")
assert ids == {small: [1], capitals: [0], capitals.lower(): [1]}
assert {name for name, word in lowered.items() if word == final} == {"Python", "Polars"}
assert {name for name, word in lowered.items() if word == other} == {"Lowercase", "BertNormalizer", "pyarrow", "DuckDB"}
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# tokenizers 0.23.3 Polars 2.1.0 pyarrow 26.0.1 DuckDB 2.0.1
# ids: {'κόσμος': [1], 'ΚΟΣΜΟΣ': [0], 'κοσμος': [1]}
# Lowercase: κοσμοσ
# BertNormalizer: κοσμοσ
# Python: κοσμος
# Polars: κοσμος
# pyarrow: κοσμοσ
# DuckDB: κοσμοσ
