"""Find the files that a path, a folder or a pattern means."""

from __future__ import annotations

import glob
import os

from model2vec_numba.tables.sources import STANDARD_INPUT, Input, format_of

__all__ = ["find_inputs"]

# Names of files and folders that are no data, such as `_SUCCESS` of Spark and the files of unfinished jobs.
_NO_DATA = (".", "_")


def find_inputs(path: str, kind: str | None) -> list[Input]:
    """Return the files that a path means, in the order of their names. Empty if there are none.

    A folder means all tables in it and in its folders. With a format, it means all files. Names that begin with a dot or an underscore are left out.

    Args:
        path: the path of a file or of a folder, a pattern, or ``-`` for standard input.
        kind: the format of all files. ``None``: each file has the format of its suffix, else lines of text.

    Raises:
        ValueError: a folder has no tables, or its folders have names that are values of a column.
    """
    if path == STANDARD_INPUT:
        return [Input(path, kind or "lines")]
    # `os.path` is used because Path.exists raises if a text is too long for a path (CPython < 3.12), and to keep relative names.
    if os.path.isdir(path):  # noqa: PTH112
        return _files_in(path, kind)
    if os.path.exists(path):  # noqa: PTH110
        return [_input(path, kind)]
    if not glob.has_magic(path):
        return []
    return [_input(name, kind) for name in sorted(glob.glob(path, recursive=True)) if not os.path.isdir(name)]  # noqa: PTH207, PTH112


def _input(name: str, kind: str | None) -> Input:
    return Input(name, kind or format_of(name) or "lines")


def _files_in(folder: str, kind: str | None) -> list[Input]:
    """Return the tables in a folder and in its folders."""
    found: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(_NO_DATA)]
        column = next((name for name in folders if "=" in name), None)
        if column is not None:
            raise ValueError(
                f"{folder}: the name of the folder {column!r} is the value of a column, which would be lost: give a pattern such as "
                f"{os.path.join(folder, '**', '*.parquet')!r} to read the files without it"  # noqa: PTH118
            )
        found += [os.path.join(parent, name) for name in names if not name.startswith(_NO_DATA) and (kind or format_of(name))]  # noqa: PTH118
    if not found:
        raise ValueError(f"{folder}: there are no tables in this folder")
    return [_input(name, kind) for name in sorted(found)]
