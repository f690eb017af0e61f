"""Arrays of an .npz archive, some rows at a time: numpy itself reads each as a whole."""

from __future__ import annotations

import contextlib
import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from fairlead_runtime.protocol.types import Array
from fairlead_runtime.workbench.errors import DataMismatchError, ToolError


def open_arrays(path: Path) -> list[str]:
    """Return the names of an archive's arrays.

    Raises:
        ToolError: It is no archive.
    """
    with _readable(path), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def chunks(
    path: Path, wanted: Mapping[str, str], rows: int
) -> Iterator[tuple[dict[str, Array], float]]:
    """Read arrays side by side.

    Args:
        path: The archive.
        wanted: The array's name in the archive, by the name it gets.
        rows: How many at a time.

    Raises:
        ToolError: An array cannot be read.
        DataMismatchError: The arrays have different lengths.
    """
    with _readable(path), contextlib.ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path))
        streams = {
            name: _Stream(stack.enter_context(archive.open(f"{stored}.npy")))
            for name, stored in wanted.items()
        }
        lengths = {stream.length for stream in streams.values()}
        if len(lengths) > 1:
            raise DataMismatchError(f"{path} has arrays of different length: {sorted(lengths)}")
        total = lengths.pop() if lengths else 0
        for start in range(0, total, rows):
            count = min(rows, total - start)
            yield (
                {name: stream.read(count) for name, stream in streams.items()},
                (start + count) / total,
            )


class _Stream:
    """One array, read from its beginning."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        version = np.lib.format.read_magic(file)
        reader: Any = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = reader(file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects: save texts as numpy's own (dtype <U)")
        if not shape:
            raise ValueError("an array has no rows: its first axis must be the rows")
        self.length, self._shape, self._dtype = shape[0], shape[1:], dtype
        self._whole: Array | None = None
        if fortran and len(shape) > 1:  # rows are scattered all over it
            data = np.frombuffer(file.read(), dtype=dtype)
            self._whole = data.reshape(shape, order="F")
        self._next = 0

    def read(self, count: int) -> Array:
        if self._whole is not None:
            self._next += count
            return np.ascontiguousarray(self._whole[self._next - count : self._next])
        wanted = count * math.prod(self._shape) * self._dtype.itemsize
        data = io.BytesIO()
        while data.tell() < wanted:
            part = self._file.read(wanted - data.tell())
            if not part:
                raise ValueError("it ends too early")
            data.write(part)
        array = np.frombuffer(data.getvalue(), dtype=self._dtype)
        return array.reshape(count, *self._shape)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise ToolError("UnreadableFile", f"{path} cannot be read: {error}") from error
