"""Compiled loops that count activations, and that list the highest.

Every function here has a slow twin in numpy in `tests/indexer/test_kernels.py`.
"""

import numpy as np

from indexer.system.compiled import Compiled


@Compiled
def count(values: np.ndarray, ends: np.ndarray, table: np.ndarray, full: np.ndarray) -> int:
    """Count the values of several images that `indexer.shards.maps.kernels` has found, neuron by neuron.

    Parameters
    ----------
    values : ndarray (V,) uint16
        Those of one image behind those of another.
    ends : ndarray (B, C) int64
        Where the values of each image and neuron end.
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
    images, neurons = ends.shape
    passed = 0
    for neuron in range(neurons):
        row = table[neuron]
        for image in range(images):
            first = ends[image, neuron - 1] if neuron else ends[image - 1, neurons - 1] if image else 0
            for position in range(first, ends[image, neuron]):
                value = values[position]
                times = np.uint16(row[value] + np.uint16(1))
                row[value] = times
                if times == 0:
                    full[passed] = (neuron << 16) | value
                    passed += 1
    return passed


@Compiled
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


@Compiled
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
