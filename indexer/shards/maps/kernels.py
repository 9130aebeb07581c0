"""Compiled loops that pack the maps of one image, eight activations at a time.

Every function here has a slow twin in numpy in `tests/indexer/test_kernels.py`. What eight activations need of the
processor is written for LLVM, since numba has no words for it: rounding, transposing and squeezing out zeros.
"""

import platform
from typing import Any, Final

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from indexer.system.compiled import Compiled

_FEATURES = binding.get_host_cpu_features()
REDUCES: Final = platform.machine() in ("aarch64", "arm64") or bool(_FEATURES.get("f16c"))
"""Whether this processor rounds to float16 by itself, so that `reduce` can be compiled."""
SHUFFLES: Final = bool(_FEATURES.get("ssse3"))
"""Whether this processor puts the bytes of a vector into any order in one step."""

_INTEGER, _BYTES, _HALVES = ir.IntType(64), ir.VectorType(ir.IntType(8), 16), ir.VectorType(ir.IntType(16), 8)
_SETS = [[bit for bit in range(8) if mask >> bit & 1] for mask in range(256)]
_COUNTS = np.array([len(bits) for bits in _SETS])
"""How many bits of a byte are 1."""
_ORDERS = np.zeros((256, 16), np.uint8)
for _order, _bits in zip(_ORDERS, _SETS, strict=True):
    _order[: 2 * len(_bits)] = [2 * bit + half for bit in _bits for half in (0, 1)]
"""For each byte of presence bits, the order of the bytes of eight float16 that puts those with a bit first."""


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any, vector: ir.VectorType) -> Any:
    data = context.make_array(kind)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())


@intrinsic
def _half(typing: Any, value: Any) -> Any:
    """The bits (uint16) of a float32 rounded to float16: to nearest, ties to even."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), generate


@intrinsic
def _round_and_transpose(typing: Any, maps: Any, first: Any, stride: Any, last: Any, tile: Any) -> Any:
    """Fill a tile (64,) uint16, by neuron and cell, with the bits of eight neurons' activations at eight cells.

    The first activation is number ``first`` of ``maps``, those of the next cell lie ``stride`` further. Behind cell
    ``last`` of the eight, its own activations are repeated.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        maps, first, stride, last, tile = arguments
        rows = [
            _rounded_row(context, builder, signature.args[0], maps, builder.add(first, builder.mul(stride, row)))
            for row in _rows_until(builder, last)
        ]
        for neuron, row in enumerate(_transposed(builder, rows)):
            offset = ir.Constant(_INTEGER, 8 * neuron)
            builder.store(row, _pointer(context, builder, signature.args[4], tile, offset, _HALVES), align=2)
        return context.get_dummy_value()

    return types.void(maps, types.intp, types.intp, types.intp, tile), generate


def _rows_until(builder: Any, last: Any) -> list[Any]:
    numbers = [ir.Constant(_INTEGER, row) for row in range(8)]
    return [builder.select(builder.icmp_signed("<", number, last), number, last) for number in numbers]


def _rounded_row(context: Any, builder: Any, kind: Any, maps: Any, offset: Any) -> Any:
    floats, halves = ir.VectorType(ir.FloatType(), 8), ir.VectorType(ir.HalfType(), 8)
    row = builder.load(_pointer(context, builder, kind, maps, offset, floats), align=4)
    return builder.bitcast(builder.fptrunc(row, halves), _HALVES)


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Three rounds in which rows i and i + 4 are interleaved transpose eight rows of eight."""
    halves = [[0, 8, 1, 9, 2, 10, 3, 11], [4, 12, 5, 13, 6, 14, 7, 15]]
    masks = [ir.Constant(ir.VectorType(ir.IntType(32), 8), half) for half in halves]
    for _ in range(3):
        rows = [builder.shuffle_vector(rows[i], rows[i + 4], mask) for i in range(4) for mask in masks]
    return rows


@intrinsic
def _squeeze_by_shuffling(typing: Any, bits: Any, at: Any, orders: Any, values: Any, to: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, at, orders, values, to = arguments
        eight = builder.load(_pointer(context, builder, signature.args[0], bits, at, _HALVES), align=2)
        there = builder.icmp_unsigned("!=", eight, ir.Constant(_HALVES, [0] * 8))
        present = builder.zext(builder.bitcast(there, ir.IntType(8)), _INTEGER)
        row = builder.shl(present, ir.Constant(_INTEGER, 4))
        order = builder.load(_pointer(context, builder, signature.args[2], orders, row, _BYTES), align=1)
        kind = ir.FunctionType(_BYTES, [_BYTES, _BYTES])
        shuffle = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.ssse3.pshuf.b.128")
        squeezed = builder.call(shuffle, [builder.bitcast(eight, _BYTES), order])
        builder.store(squeezed, _pointer(context, builder, signature.args[3], values, to, _BYTES), align=2)
        return present

    return types.int64(bits, types.intp, orders, values, types.intp), generate


@numba.njit(nogil=True)
def _squeeze_one_by_one(bits: np.ndarray, at: int, orders: np.ndarray, values: np.ndarray, to: int) -> int:
    bits, values, present = bits.reshape(-1), values.reshape(-1), 0
    for bit in range(8):  # without a branch: it could not be predicted
        value = bits[at + bit]
        values[to] = value
        there = np.int64(value != 0)
        to += there
        present |= there << bit
    return present


_squeeze = _squeeze_by_shuffling if SHUFFLES else _squeeze_one_by_one
"""Write those of eight activations, from ``bits[at]`` on, that are not 0, to ``values[to]`` and behind; a bit for each.

Up to eight of ``values`` are written, those behind the last activation with anything.
"""


@Compiled
def pack(bits: np.ndarray, present: np.ndarray, values: np.ndarray, ends: np.ndarray) -> int:
    """Split the maps of one image into presence bits and the values that are not zero.

    Parameters
    ----------
    bits : ndarray (C, cells) uint16
        The bits of float16 activations.
    present : ndarray (C, ceil(cells / 8)) uint8
        Filled: a bit for each cell, the lowest first, 1 where the activation's bits are not 0.
    values : ndarray (C * cells + 8,) uint16
        Filled from the start: the activations whose bits are not 0, neuron by neuron. The rest is scratch.
    ends : ndarray (C,) int64
        Filled: where each neuron's values end.

    Returns
    -------
    int
        How many values there are.
    """
    channels, cells = bits.shape
    rest = np.empty(8, np.uint16)
    count = 0
    for channel in range(channels):
        for byte in range(cells >> 3):
            there = _squeeze(bits, channel * cells + (byte << 3), _ORDERS, values, count)
            present[channel, byte] = there
            count += _COUNTS[there]
        if cells & 7:
            for cell in range(8):
                rest[cell] = bits[channel, (cells & ~7) + cell] if cell < cells & 7 else 0
            there = _squeeze(rest, 0, _ORDERS, values, count)
            present[channel, cells >> 3] = there
            count += _COUNTS[there]
        ends[channel] = count
    return count


@Compiled
def reduce(
    maps: np.ndarray,
    present: np.ndarray,
    strips: np.ndarray,
    counts: np.ndarray,
    peaks: np.ndarray,
    cells: np.ndarray,
) -> bool:
    """Round, transpose and pack one image's maps, and find their peaks, in one pass. Only where `REDUCES`.

    Parameters
    ----------
    maps : ndarray (cells, C) float32
        Channels last, as networks compute fastest on a processor.
    present : ndarray (C, ceil(cells / 8)) uint8
        Filled as `pack` does.
    strips : ndarray (C, cells + 8) uint16
        Filled with the values of each neuron from the start of its row; the rest is scratch.
    counts : ndarray (C,) int64
        Filled with how many these are.
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
    tile, infinite = np.empty(64, np.uint16), np.empty(channels, np.uint32)
    for channel in range(channels):
        counts[channel], peaks[channel], cells[channel], infinite[channel] = 0, maps[0, channel], 0, 0
    for first in range(0, count, 8):
        rows = min(8, count - first)
        _find_peaks(maps, first, rows, peaks, cells, infinite)
        for channel in range(0, channels & ~7, 8):
            _round_and_transpose(maps, first * channels + channel, channels, rows - 1, tile)
            if rows < 8:
                for number in range(64):
                    tile[number] = tile[number] if number & 7 < rows else 0
            for neuron in range(8):
                _append(tile, neuron << 3, channel + neuron, first >> 3, present, strips, counts)
        for channel in range(channels & ~7, channels):
            for row in range(8):
                tile[row] = _half(maps[first + row, channel]) if row < rows else 0
            _append(tile, 0, channel, first >> 3, present, strips, counts)
    plain = True
    for channel in range(channels):
        plain &= infinite[channel] == 0
    return plain


@numba.njit(nogil=True)
def _find_peaks(
    maps: np.ndarray, first: int, rows: int, peaks: np.ndarray, cells: np.ndarray, infinite: np.ndarray
) -> None:
    for row in range(first, first + rows):
        cell = np.uint32(row)  # of this type, or the loop would compute with 64 bits
        for channel in range(len(peaks)):
            value = maps[row, channel]
            higher = value > peaks[channel]
            peaks[channel] = value if higher else peaks[channel]
            cells[channel] = cell if higher else cells[channel]
            infinite[channel] |= np.uint32(0 if abs(value) < np.float32(65520) else 1)  # NaN is not less either


@numba.njit(nogil=True)
def _append(
    tile: np.ndarray, at: int, neuron: int, byte: int, present: np.ndarray, strips: np.ndarray, counts: np.ndarray
) -> None:
    """Append eight activations of a neuron, from ``tile[at]`` on, to its strip."""
    there = _squeeze(tile, at, _ORDERS, strips, neuron * strips.shape[1] + counts[neuron])
    present[neuron, byte] = there
    counts[neuron] += _COUNTS[there]


@Compiled
def gather(strips: np.ndarray, counts: np.ndarray, values: np.ndarray) -> None:
    """Put the values that `reduce` has found behind each other, neuron by neuron.

    Parameters
    ----------
    strips : ndarray (C, cells + 8) uint16
    counts : ndarray (C,) int64
    values : ndarray (V,) uint16
        Filled. V is the sum of ``counts``.
    """
    end = 0
    for neuron in range(len(counts)):
        for number in range(counts[neuron]):
            values[end + number] = strips[neuron, number]
        end += counts[neuron]
