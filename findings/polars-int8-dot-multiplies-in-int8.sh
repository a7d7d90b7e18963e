#!/usr/bin/env bash
# Polars 2.1.0: arr.dot of int8 vectors returns int64, but it multiplies in int8, so that products wrap around.
#
# The product of [127, 0] with itself is 16,129. arr.dot says 1, in a column of int64, the type that arr.sum has too. The type looks as if the
# products were computed in it. There is no error and no warning. DuckDB's list_dot_product says 16,129. So similarities of int8 vectors are noise,
# unless the column is cast to a wider type first.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1
cat >"$folder/finding.py" <<'PYTHON'
import duckdb
import polars as pl

frame = pl.DataFrame({"v": [[127, 0], [100, 27], [-127, 0]]}, schema={"v": pl.Array(pl.Int8, 2)})
query = pl.lit([127, 0], dtype=pl.Array(pl.Int8, 2))
wide = pl.Array(pl.Int32, 2)
answers = {
    "arr.dot of int8": frame.select(pl.col("v").arr.dot(query)).to_series(),
    "arr.dot of int32": frame.select(pl.col("v").cast(wide).arr.dot(query.cast(wide))).to_series(),
    "arr.sum of int8": frame.select(pl.col("v").arr.sum()).to_series(),
}
print("Polars", pl.__version__, "DuckDB", duckdb.__version__)
for name, answer in answers.items():
    print(f"{name}: {answer.to_list()}, {answer.dtype}")
table = frame.to_arrow()
products = [row[0] for row in duckdb.sql("SELECT list_dot_product(v::TINYINT[], [127, 0]::TINYINT[]) FROM \"table\"").fetchall()]
print("DuckDB's list_dot_product:", products)

assert answers["arr.dot of int8"].to_list() == [1, -100, -1] and answers["arr.dot of int8"].dtype == pl.Int64
assert answers["arr.dot of int32"].to_list() == products == [16_129, 12_700, -16_129]
assert answers["arr.sum of int8"].to_list() == [127, 127, -127] and answers["arr.sum of int8"].dtype == pl.Int64
PYTHON
"$folder/venv/bin/python" "$folder/finding.py"
# Output seen:
# Polars 2.1.0 DuckDB 2.0.1
# arr.dot of int8: [1, -100, -1], Int64
# arr.dot of int32: [16129, 12700, -16129], Int32
# arr.sum of int8: [127, 127, -127], Int64
# DuckDB's list_dot_product: [16129.0, 12700.0, -16129.0]
