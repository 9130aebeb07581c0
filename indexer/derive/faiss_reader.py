"""Reads a FAISS file without trusting it: nothing is allocated that the file does not hold."""

import os
import struct
from typing import Any, BinaryIO

import numpy as np


class WrongVectors(ValueError):
    """What is wrong with a file."""


class Reader:
    """Reads an open file on from where it is; raises WrongVectors where it is not as it must be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size

    def take(self, layout: str) -> tuple[Any, ...]:
        """Numbers of a `struct` layout."""
        packed = struct.Struct("<" + layout)
        data = self._file.read(packed.size)
        if len(data) < packed.size:
            raise WrongVectors("ends too early")
        return packed.unpack(data)

    def expect(self, layout: str, *wanted: float | bytes | None) -> None:
        """Numbers that must be these; None for any."""
        found = self.take(layout)
        if any(b is not None and a != b for a, b in zip(found, wanted, strict=True)):
            raise WrongVectors(f"says {found} where {wanted} is right")

    def skip(self, count: int) -> None:
        """So many bytes."""
        if count < 0 or self._file.tell() + count > self.size:
            raise WrongVectors("ends too early")
        self._file.seek(count, os.SEEK_CUR)

    def array(self, dtype: str, count: int) -> np.ndarray:
        """A vector (count,) with its length in front, which must be this."""
        self.expect("Q", count)
        if self._file.tell() + count * np.dtype(dtype).itemsize > self.size:
            raise WrongVectors("ends too early")
        return np.fromfile(self._file, dtype, count)

    def end(self) -> None:
        """Nothing may follow."""
        if self._file.tell() != self.size:
            raise WrongVectors("goes on behind its end")
