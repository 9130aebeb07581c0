"""Reads a FAISS file without trusting it: no more memory is allocated than the file has bytes."""

import os
import struct
from typing import Any, BinaryIO

import numpy as np


class WrongVectors(ValueError):
    """A FAISS file is not as it must be; the message says what is wrong."""


class Reader:
    """Reads an open file from its current position; raises WrongVectors if it is not as it must be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size

    def take(self, layout: str) -> tuple[Any, ...]:
        """Read the numbers of a `struct` layout."""
        packed = struct.Struct("<" + layout)
        data = self._file.read(packed.size)
        if len(data) < packed.size:
            raise WrongVectors("ends too early")
        return packed.unpack(data)

    def expect(self, layout: str, *wanted: float | bytes | None) -> None:
        """Read numbers that must be these; None stands for any number."""
        numbers = self.take(layout)
        if any(b is not None and a != b for a, b in zip(numbers, wanted, strict=True)):
            raise WrongVectors(f"says {numbers} where {wanted} is right")

    def skip(self, count: int) -> None:
        """Skip so many bytes, which the file must hold."""
        if count < 0 or self._file.tell() + count > self.size:
            raise WrongVectors("ends too early")
        self._file.seek(count, os.SEEK_CUR)

    def array(self, dtype: str, count: int) -> np.ndarray:
        """Read a vector (count,); the length in front of it must be ``count``."""
        self.expect("Q", count)
        if self._file.tell() + count * np.dtype(dtype).itemsize > self.size:
            raise WrongVectors("ends too early")
        return np.fromfile(self._file, dtype, count)

    def end(self) -> None:
        """Check that nothing follows."""
        if self._file.tell() != self.size:
            raise WrongVectors("has bytes after its end")
