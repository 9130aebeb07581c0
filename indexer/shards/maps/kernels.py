"""Compiled loops over the activations of one image: numba, without the interpreter's lock.

Every function here has a slow twin in numpy in `tests/indexer/test_kernels.py`. The first call compiles; the compiled
code is kept beside this file or in the user's cache folder for the next process, where one of them can be written.
"""

import platform
from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import types
from numba.extending import intrinsic

_ROWS = 32
"""Cells that `reduce` rounds before it transposes them: float16 of so many fill a cache line."""
REDUCES: Final = platform.machine() in ("aarch64", "arm64") or bool(binding.get_host_cpu_features().get("f16c"))
"""Whether this processor rounds to float16 by itself, so that `reduce` can be compiled."""


class _Compiled:
    """``function``, compiled at its first call, or taken from what an earlier process has kept."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        try:
            self._run = numba.njit(nogil=True, cache=True)(function)
        except RuntimeError:  # there is no folder in which the compiled code could be kept
            self._run = numba.njit(nogil=True)(function)

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._run(*arguments)
        except Exception:  # no loop here raises: what was kept cannot be read, or the disk is full
            self._run = numba.njit(nogil=True)(self._function)
            return self._run(*arguments)


@_Compiled
def pack(bits: np.ndarray, present: np.ndarray, values: np.ndarray, ends: np.ndarray) -> int:
    """Split the maps of one image into presence bits and the values that are not zero.

    Parameters
    ----------
    bits : ndarray (C, cells) uint16
        The bits of float16 activations.
    present : ndarray (C, ceil(cells / 8)) uint8
        Filled: a bit for each cell, the lowest first, 1 where the activation's bits are not 0.
    values : ndarray (C * cells + 1,) uint16
        Filled from the start: the activations whose bits are not 0, neuron by neuron. The rest is scratch.
    ends : ndarray (C,) int64
        Filled: where each neuron's values end.

    Returns
    -------
    int
        How many values there are.
    """
    channels, cells = bits.shape
    count = 0
    for channel in range(channels):
        row = bits[channel]
        for byte in range(cells >> 3):
            packed = 0
            for bit in range(8):  # without a branch: it could not be predicted
                value = row[(byte << 3) + bit]
                values[count] = value
                there = np.int64(value != 0)
                count += there
                packed |= there << bit
            present[channel, byte] = packed
        if cells & 7:
            packed = 0
            for bit in range(cells & 7):
                value = row[(cells & ~7) + bit]
                values[count] = value
                there = np.int64(value != 0)
                count += there
                packed |= there << bit
            present[channel, cells >> 3] = packed
        ends[channel] = count
    return count


@_Compiled
def count(values: np.ndarray, ends: np.ndarray, table: np.ndarray, full: np.ndarray) -> int:
    """Count the values that `pack` has found.

    Parameters
    ----------
    values : ndarray (V,) uint16
    ends : ndarray (C,) int64
        Where each neuron's values end.
    table : ndarray (C, 65536) uint16
        Counted up: how often each neuron had each value, modulo 65,536.
    full : ndarray (V,) uint32
        Filled from the start: the neuron in the upper and the value in the lower 16 bits of each entry of the table
        that has passed 65,535.

    Returns
    -------
    int
        How many entries have.
    """
    passed, first = 0, 0
    for neuron in range(len(ends)):
        row = table[neuron]
        for position in range(first, ends[neuron]):
            value = values[position]
            times = np.uint16(row[value] + np.uint16(1))
            row[value] = times
            if times == 0:
                full[passed] = (neuron << 16) | value
                passed += 1
        first = ends[neuron]
    return passed


@_Compiled
def entries(table: np.ndarray, zeros: np.ndarray, keys: np.ndarray, counts: np.ndarray) -> int:
    """Read the table of `count` as a histogram.

    Parameters
    ----------
    table : ndarray (C, 65536) uint16
    zeros : ndarray (C,) int64
        How often each neuron was 0.
    keys : ndarray (N,) uint32
        Filled from the start, as `indexer.shards.histogram.Histogram` has them. N is at least the number of entries of
        the table that are not 0, and C more.
    counts : ndarray (N,) int64
        Filled from the start.

    Returns
    -------
    int
        How many were filled.
    """
    found = 0
    for neuron in range(len(table)):
        row = table[neuron]
        for bits in range(0xFFFF, 0x8000, -1):  # negative: a larger code of bits is a smaller value
            if row[bits]:
                keys[found] = neuron << 16 | (0xFFFF ^ bits)
                counts[found] = row[bits]
                found += 1
        none = zeros[neuron] + row[0x8000]  # -0 counts as 0
        if none:
            keys[found] = neuron << 16 | 0x8000
            counts[found] = none
            found += 1
        for bits in range(1, 0x8000):
            if row[bits]:
                keys[found] = neuron << 16 | 0x8000 | bits
                counts[found] = row[bits]
                found += 1
    return found


@_Compiled
def highest(bits: np.ndarray, image: int, lowest: np.ndarray, codes: np.ndarray, images: np.ndarray) -> None:
    """Put an image into the list of each unit, a neuron at one cell, that is more active on it than on the list's last.

    Images come by ascending numbers, so that of equal ones the first stay.

    Parameters
    ----------
    bits : ndarray (U,) uint16
        The bits of the units' float16 activations on the image.
    image : int
    lowest : ndarray (U,) uint16
        The last column of ``codes``, side by side: most units are only compared with it.
    codes : ndarray (U, D) uint16
        Changed: the activations of the images in each list, coded by `indexer.shards.histogram.recode`, descending.
    images : ndarray (U, D) uint32
        Changed: which images these are.
    """
    units, depth = codes.shape
    for unit in range(units):
        half = bits[unit]
        code = half ^ ((half >> 15) * np.uint16(0x7FFF) | np.uint16(0x8000))
        if code <= lowest[unit]:
            continue
        if half == 0x8000:  # -0 counts as 0
            code = np.uint16(0x8000)
        place = depth - 1
        while place and codes[unit, place - 1] < code:
            codes[unit, place] = codes[unit, place - 1]
            images[unit, place] = images[unit, place - 1]
            place -= 1
        codes[unit, place] = code
        images[unit, place] = image
        lowest[unit] = codes[unit, depth - 1]


@intrinsic
def _half(typing: Any, value: Any) -> Any:
    """The bits (uint16) of a float32 rounded to float16: to nearest, ties to even."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), generate


@_Compiled
def reduce(maps: np.ndarray, halves: np.ndarray, peaks: np.ndarray, cells: np.ndarray) -> bool:
    """Round, transpose, and find the peaks of one image's maps in one pass. Only where `REDUCES`.

    Parameters
    ----------
    maps : ndarray (cells, C) float32
        Channels last, as networks compute fastest on a processor.
    halves : ndarray (C, cells) uint16
        Filled with the bits of the activations rounded to float16.
    peaks : ndarray (C,) float32
        Filled with each neuron's highest activation.
    cells : ndarray (C,) uint32
        Filled with the first cell of it.

    Returns
    -------
    bool
        Whether all activations are finite in float16. If not, what was filled means nothing.
    """
    count, channels = maps.shape
    rounded = np.empty((_ROWS, channels), np.uint16)
    largest = np.zeros(channels, np.uint16)
    without_sign = np.uint16(0x7FFF)  # of this type, or the loop would compute with 64 bits
    for channel in range(channels):
        peaks[channel] = maps[0, channel]
        cells[channel] = 0
    for first in range(0, count, _ROWS):
        rows = min(_ROWS, count - first)
        for i in range(rows):
            cell = np.uint32(first + i)
            for channel in range(channels):
                value = maps[first + i, channel]
                higher = value > peaks[channel]
                peaks[channel] = value if higher else peaks[channel]
                cells[channel] = cell if higher else cells[channel]
            for channel in range(channels):
                bits = _half(maps[first + i, channel])
                rounded[i, channel] = bits
                largest[channel] = max(largest[channel], bits & without_sign)
        for channel in range(channels):
            for i in range(rows):
                halves[channel, first + i] = rounded[i, channel]
    return largest.max() < 0x7C00
