"""Tensors as raw bytes: what the binary tensor extension and gRPC's raw contents carry.

Numbers are little-endian and row-major; a BOOL is one byte; a string of BYTES has its length before
it as four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from fairlead_runtime.protocol.arrays import size_of, wrong_tensor
from fairlead_runtime.protocol.types import DATATYPES, Array

Buffer = bytes | memoryview
_LENGTH = struct.Struct("<I")
_WIRE = {name: dtype.newbyteorder("<") for name, dtype in DATATYPES.items()} | {
    "BF16": np.dtype("<u2")
}


def from_raw(data: Buffer, datatype: str, shape: Sequence[int], field: str) -> Array:
    """Return the array that these bytes are; it may share them, and be read-only.

    Raises:
        InvalidRequestError: They are not as many as the shape needs, or no such values.
    """
    if datatype == "BYTES":
        return _strings(data, shape, field)
    wire = _WIRE[datatype]
    needed = size_of(shape) * wire.itemsize
    if len(data) != needed:
        message = f"has {len(data)} bytes, but {datatype} of shape {list(shape)} has {needed}"
        raise wrong_tensor(field, message, f"{needed} bytes")
    array: Array = np.frombuffer(data, dtype=wire)
    if datatype == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
        raise wrong_tensor(field, "a BOOL must be a byte of 0 or 1", "bytes of 0 or 1")
    if datatype == "BF16":
        array = widened(array)
    elif not array.flags.aligned:
        array = array.copy()
    return array.reshape(shape)


def to_raw(array: Array, datatype: str) -> bytes:
    """Return an array as raw bytes."""
    if datatype == "BYTES":
        parts: list[bytes] = []
        for item in array.reshape(-1).tolist():
            text = item if isinstance(item, bytes) else str(item).encode()
            parts += (_LENGTH.pack(len(text)), text)
        return b"".join(parts)
    if datatype == "BF16":
        array = narrowed(array)
    return array.astype(_WIRE[datatype], copy=False).tobytes()


def widened(bits: Array) -> Array:
    """Return bfloat16 numbers, given as their 16 bits, as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def narrowed(array: Array) -> Array:
    """Return float32 numbers as the 16 bits of the nearest bfloat16, halves to the even one."""
    numbers = np.ascontiguousarray(array, dtype=np.float32)
    bits = numbers.view(np.uint32)
    nearest = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    # The bits of a NaN must not be rounded: a carry would make it an infinity or a zero.
    return np.where(np.isnan(numbers), (bits >> 16) | 0x40, nearest).astype(np.uint16)


def _strings(data: Buffer, shape: Sequence[int], field: str) -> Array:
    wanted, at, size = size_of(shape), 0, len(data)
    texts: list[str] = []
    while at < size and len(texts) < wanted:
        end = at + 4
        if end > size:
            break
        (length,) = _LENGTH.unpack_from(data, at)
        at, end = end, end + length
        if end > size:
            message = f"string {len(texts)} has {length} bytes, but only {size - at} are left"
            raise wrong_tensor(field, message, "a length of four bytes before each string")
        try:
            texts.append(str(data[at:end], "utf-8"))
        except UnicodeDecodeError:
            raise wrong_tensor(field, f"string {len(texts)} is not UTF-8", "UTF-8") from None
        at = end
    if len(texts) != wanted or at != size:
        more = " and more bytes behind them" if at != size else ""
        message = f"has {len(texts)} strings{more}, but shape {list(shape)} has {wanted}"
        raise wrong_tensor(field, message, f"{wanted} strings")
    array = np.empty(wanted, dtype=object)
    array[:] = texts
    return array.reshape(shape)
