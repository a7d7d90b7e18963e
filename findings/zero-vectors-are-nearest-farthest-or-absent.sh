#!/usr/bin/env bash
# DuckDB 2.0.1, Polars 2.1.0, pandas 3.1.1 and Lance 14.0.2: sorted by cosine similarity, a vector of zeros is first, last or not there.
#
# A text without a known token has a vector of zeros. Its cosine similarity with any query is 0 / 0. Sorted so that the best come first:
# - DuckDB puts it first with ORDER BY array_cosine_similarity(...) DESC, and last with ORDER BY array_cosine_distance(...), which looks the same;
# - Polars puts it first with sort(descending=True), and so does top_k, which returns it among the best;
# - pandas puts it last with sort_values(ascending=False) and nlargest, although argsort()[::-1] of NumPy puts it first;
# - Lance leaves the row out, although k is larger than the number of rows.
# So a search returns a meaningless row first, or loses a row, and which of them depends on the engine.
#
# This needs Python 3.11 or newer. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 polars==2.1.0 pandas==3.1.1 pylance==14.0.2 pyarrow==26.0.1 numpy==2.4.6
cat >"$folder/finding.py" <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import duckdb
import lance
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

vectors = {"opposite": [-1, 0], "zeros": [0, 0], "right angle": [0, 1], "same": [1, 0]}
rows = pa.table({"name": list(vectors), "vector": pa.array(list(vectors.values()), pa.list_(pa.float32(), 2))})
matrix = np.array(list(vectors.values()), np.float32)
with np.errstate(invalid="ignore"):
    scores = matrix @ np.array([1, 0], np.float32) / np.linalg.norm(matrix, axis=1)
frame = pl.DataFrame({"name": list(vectors), "score": scores})
series = pd.Series(scores, index=list(vectors))


def ask_duckdb(order):
    return [row[0] for row in duckdb.sql(f"SELECT name FROM rows ORDER BY {order}").fetchall()]


dataset = lance.write_dataset(rows, Path(sys.argv[1], "table.lance"))
nearest = {"column": "vector", "q": np.array([1, 0], np.float32), "k": 10, "metric": "cosine"}
answers = {
    "DuckDB, similarity": ask_duckdb("array_cosine_similarity(vector, [1, 0]::FLOAT[2]) DESC"),
    "DuckDB, distance": ask_duckdb("array_cosine_distance(vector, [1, 0]::FLOAT[2])"),
    "Polars, sort": frame.sort("score", descending=True)["name"].to_list(),
    "Polars, top_k(1)": frame.top_k(1, by="score")["name"].to_list(),
    "pandas, sort_values": list(series.sort_values(ascending=False).index),
    "pandas, nlargest(4)": list(series.nlargest(4).index),
    "NumPy, argsort()[::-1]": [list(vectors)[i] for i in scores.argsort()[::-1]],
    "Lance": dataset.to_table(nearest=nearest)["name"].to_pylist(),
}
print(*(f"{name} {version(name)}" for name in ("duckdb", "polars", "pandas", "pylance")))
for name, answer in answers.items():
    print(f"{name}: {', '.join(answer)}")

best = ["same", "right angle", "opposite"]
assert answers == {
    "DuckDB, similarity": ["zeros", *best],
    "DuckDB, distance": [*best, "zeros"],
    "Polars, sort": ["zeros", *best],
    "Polars, top_k(1)": ["zeros"],
    "pandas, sort_values": [*best, "zeros"],
    "pandas, nlargest(4)": [*best, "zeros"],
    "NumPy, argsort()[::-1]": ["zeros", *best],
    "Lance": best,
}
PYTHON
"$folder/venv/bin/python" "$folder/finding.py" "$folder" 2>"$folder/errors" || { cat "$folder/errors"; exit 1; }
# Output seen:
# duckdb 2.0.1 polars 2.1.0 pandas 3.1.1 pylance 14.0.2
# DuckDB, similarity: zeros, same, right angle, opposite
# DuckDB, distance: same, right angle, opposite, zeros
# Polars, sort: zeros, same, right angle, opposite
# Polars, top_k(1): zeros
# pandas, sort_values: same, right angle, opposite, zeros
# pandas, nlargest(4): same, right angle, opposite, zeros
# NumPy, argsort()[::-1]: zeros, same, right angle, opposite
# Lance: same, right angle, opposite
