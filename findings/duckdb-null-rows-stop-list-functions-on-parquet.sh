#!/usr/bin/env bash
# DuckDB 2.0.1: one NULL row in a Parquet column of lists makes list_cosine_similarity fail for all rows, also for those that are asked for.
#
# For a table in memory, and for an Arrow table, the similarity of a NULL is NULL, as everywhere in SQL. For the same column in a Parquet file, the
# query fails with "left argument can not contain NULL values". The message is about NULLs in a list, and there are none. `WHERE v IS NOT NULL` does
# not help. The file may come from DuckDB itself. list_dot_product and list_distance do the same. It helps to copy the column to a table first, or
# to cast it to FLOAT[n] and use array_cosine_similarity.
#
# This needs Python 3.11 or newer. It installs DuckDB in a temporary folder, prints what it does, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1
cat >"$folder/finding.py" <<'PYTHON'
import os
import sys

import duckdb

os.chdir(sys.argv[1])
print("DuckDB", duckdb.__version__)
duckdb.sql("CREATE TABLE vectors AS SELECT * FROM (VALUES ([1, 0]::FLOAT[]), (NULL)) AS t(v)")
duckdb.sql("COPY vectors TO 'file.parquet' (FORMAT parquet)")
duckdb.sql("CREATE TABLE copied AS FROM 'file.parquet'")


def ask(source, score="list_cosine_similarity(v, [1, 0]::FLOAT[])"):
    try:
        answer = [row[0] for row in duckdb.sql(f"SELECT {score} FROM {source}").fetchall()]
    except duckdb.Error as error:
        answer = str(error).splitlines()[0]
    print(f"{source}: {answer}")
    return answer


refusal = "Invalid Input Error: list_cosine_similarity: left argument can not contain NULL values"
assert ask("vectors") == [1.0, None]
assert ask("'file.parquet'") == refusal
assert ask("'file.parquet' WHERE v IS NOT NULL") == refusal
assert ask("copied") == [1.0, None]
assert ask("'file.parquet'", "array_cosine_similarity(v::FLOAT[2], [1, 0]::FLOAT[2])") == [1.0, None]
PYTHON
"$folder/venv/bin/python" "$folder/finding.py" "$folder"
# Output seen:
# DuckDB 2.0.1
# vectors: [1.0, None]
# 'file.parquet': Invalid Input Error: list_cosine_similarity: left argument can not contain NULL values
# 'file.parquet' WHERE v IS NOT NULL: Invalid Input Error: list_cosine_similarity: left argument can not contain NULL values
# copied: [1.0, None]
# 'file.parquet': [1.0, None]
