"""Convert columns to types that a format can hold. If a column cannot be converted, an error names it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["as_text", "cannot_hold", "decoded", "decoded_type"]


def cannot_hold(form: str, name: str, found: object, remedy: str = "do not copy this column (keep)") -> ValueError:
    """Return the error for a column that a format cannot hold."""
    return ValueError(f"{form} cannot hold column {name!r} {found}: {remedy}")


def decoded_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the array that `decoded` returns for an array of type `kind`."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, decoded_type(kind.value_type), kind.ordered)
    if pa.types.is_run_end_encoded(kind):
        return decoded_type(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


def decoded(array: pa.Array) -> pa.Array:
    """Return an array without views and run ends, which few formats and functions know."""
    import pyarrow as pa
    from pyarrow import compute

    kind = array.type
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(array.indices, decoded(array.dictionary), ordered=kind.ordered)
    if pa.types.is_run_end_encoded(kind):
        return decoded(compute.run_end_decode(array))
    return array if decoded_type(kind).equals(kind) else array.cast(decoded_type(kind))


def as_text(array: pa.Array, form: str, name: str) -> pa.Array:
    """Return an array in which bytes, unique ids and nanoseconds are strings. Others stay as they are.

    Args:
        array: the array.
        form: the name of the format, for errors.
        name: the name of the column, for errors.

    Raises:
        ValueError: bytes are not UTF-8.
    """
    import pyarrow as pa

    array = decoded(array)
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return pa.array([None if value is None else str(uuid.UUID(bytes=value)) for value in array.storage.to_pylist()], pa.string())
        if kind.extension_name == "arrow.bool8":
            return array.storage.cast(pa.bool_())
        if kind.extension_name == "arrow.json":
            return as_text(array.storage, form, name)
        return array
    if pa.types.is_dictionary(kind) and _is_binary(kind.value_type):
        return pa.DictionaryArray.from_arrays(array.indices, as_text(array.dictionary, form, name))
    if _is_binary(kind):
        texts = array.cast(pa.large_binary()).cast(pa.large_string(), safe=False)
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            raise cannot_hold(form, name, f"of type {kind}, whose bytes are not UTF-8") from None
        return texts
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind) and getattr(kind, "unit", "") == "ns":
        return array.cast(pa.string())
    return array


def _is_binary(kind: Any) -> bool:
    """Return whether elements of a type are bytes."""
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))
