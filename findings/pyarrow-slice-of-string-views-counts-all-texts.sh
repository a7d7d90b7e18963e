#!/usr/bin/env bash
# pyarrow 26.0.1: nbytes of one row of string views is the size of all texts of the column. pyarrow 23.0.0 raises an error instead.
#
# The documentation of nbytes says that it takes the offsets of a slice into account, and it does for strings: one row of 41 bytes has 45. The same
# row as a string view has 4.5 MB, because nbytes counts the buffers of the texts whole. So code that cuts a table into blocks by its nbytes makes
# blocks of one row. Before pyarrow 24 nbytes of any string view or list view, and of a table with one, raises ArrowTypeError, while pyarrow can make,
# slice and cast such columns. get_total_buffer_size works in all versions, and counts whole buffers for every type.
#
# This needs Python 3.11 to 3.14. It installs the packages in a temporary folder, prints what they do, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/finding.py" <<'PYTHON'
import pyarrow as pa

strings = pa.array([f"a text that is longer than twelve bytes {i}" for i in range(100_000)])
views = strings.cast(pa.string_view())


def size(values: object) -> object:
    try:
        return values.nbytes
    except pa.ArrowTypeError as error:
        return f"ArrowTypeError: {error}"


found = {
    "one row of strings": size(strings.slice(5, 1)),
    "one row of string views": size(views.slice(5, 1)),
    "a table with it": size(pa.table({"text": views}).slice(5, 1)),
    "a list view": size(pa.array([["x"]], pa.list_view(pa.string()))),
}
print("pyarrow", pa.__version__)
for name, value in found.items():
    print(f"{name}: {value}")
assert views.slice(5, 1).cast(pa.string()).equals(strings.slice(5, 1)) and found["one row of strings"] == 45
whole = [4_488_906, 4_488_906, 13]
refused = [f"ArrowTypeError: Extracting byte ranges not supported for type {name}" for name in ("string_view", "string_view", "list_view<item: string>")]
assert list(found.values())[1:] == (whole if int(pa.__version__.split(".")[0]) >= 24 else refused)
PYTHON
for version in 26.0.1 23.0.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet "pyarrow==$version"
    "$folder/$version/bin/python" "$folder/finding.py"
done
# Output seen:
# pyarrow 26.0.1
# one row of strings: 45
# one row of string views: 4488906
# a table with it: 4488906
# a list view: 13
# pyarrow 23.0.0
# one row of strings: 45
# one row of string views: ArrowTypeError: Extracting byte ranges not supported for type string_view
# a table with it: ArrowTypeError: Extracting byte ranges not supported for type string_view
# a list view: ArrowTypeError: Extracting byte ranges not supported for type list_view<item: string>
