"""Call a compiled kernel by its address.

numba links the code of a kernel into each compiled function that calls it, and optimises it again there. With `parallel=True` it does so three
times: a parallel pooling kernel took 5.8 s to compile, and there is one for each storage type. A kernel that is called by its address is not
linked. The address, and how numba passes arguments, are private to numba, so this module is the only one that uses them.
"""

from __future__ import annotations

from typing import Any

import numba
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["address_of", "call_address"]


def address_of(kernel: Any, arguments: tuple[Any, ...]) -> int | None:
    """Return the address of a kernel's machine code for the types of some arguments. ``None`` if this version of numba has no way to get it."""
    try:
        signature = tuple(map(numba.typeof, arguments))
        kernel.compile(signature)
        result = kernel.overloads[signature]
        return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))
    except (AttributeError, KeyError):
        return None


@intrinsic
def call_address(_typing_context: Any, address: Any, *arguments: Any) -> Any:
    """Call the kernel at an address, which `address_of` returned, with these arguments. The kernel must return nothing.

    The arguments must have the types that the kernel was compiled for, or types that numba passes in the same way, such as an array of other
    elements.
    """
    # numba passes the arguments of ``*arguments`` as a tuple.
    signature = types.void(address, types.StarArgTuple.from_types(arguments))

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = list(signature.args[1])
        pointer = builder.inttoptr(values[0], context.call_conv.get_function_type(types.none, kinds).as_pointer())
        status, _ = context.call_conv.call_function(builder, pointer, types.none, kinds, cgutils.unpack_tuple(builder, values[1]))
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return signature, generate
