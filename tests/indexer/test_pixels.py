"""Pillow's modes x depth x transparency x photometric meaning, against numpy."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from indexer.errors import ImageRejected
from indexer.images.meaning import Meaning, to_rgb
from indexer.images.reading import read_picture

H, W = 5, 9
RNG = np.random.default_rng(3)


def png(
    pixels: np.ndarray, depth: int, colour_type: int, transparent: bytes | None = None, palette: bytes = b""
) -> bytes:
    """A PNG written by hand: samples (H, W, C) of ``depth`` bits."""
    height, width = pixels.shape[:2]
    bits = ((pixels.reshape(height, -1)[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(height, -1)
    rows = np.packbits(bits.astype(np.uint8), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"PLTE", palette) if palette else b""]
    parts += [chunk(b"tRNS", transparent) if transparent else b"", chunk(b"IDAT", zlib.compress(data))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def tiff(values: np.ndarray, order: str = "<", **tags: int | tuple[int, ...]) -> bytes:
    """A TIFF of one strip, written by hand. ``tags`` by number, as ``t262=0``; their values are SHORTs."""
    height, width = values.shape[:2]
    samples = values.shape[2] if values.ndim == 3 else 1
    content = values.astype(values.dtype.newbyteorder(order)).tobytes()
    bits = values.dtype.itemsize * 8
    fields: dict[int, tuple[int, ...]] = {
        256: (width,), 257: (height,), 258: (bits,) * samples, 259: (1,), 262: (1,), 277: (samples,), 278: (height,),
    }  # fmt: skip
    fields |= {int(name[1:]): value if isinstance(value, tuple) else (value,) for name, value in tags.items()}
    entries, extra = [], b""
    at = 8 + 2 + 12 * (len(fields) + 2) + 4
    for tag, numbers in sorted((fields | {273: (0,), 279: (0,)}).items()):
        if tag in (273, 279):
            entries.append((tag, 4, 1, None))
            continue
        packed = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(packed) > 4:
            entries.append((tag, 3, len(numbers), struct.pack(f"{order}I", at + len(extra))))
            extra += packed
        else:
            entries.append((tag, 3, len(numbers), packed.ljust(4, b"\0")))
    pointers = {273: at + len(extra), 279: len(content)}
    body = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count) + (value or struct.pack(f"{order}I", pointers.get(tag, 0)))
        for tag, kind, count, value in entries
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + struct.pack(f"{order}H", len(entries)) + body + struct.pack(f"{order}I", 0) + extra + content


def read(data: bytes, value_range: tuple[float, float] | None = None) -> np.ndarray:
    return np.asarray(read_picture(data, value_range=value_range))


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=2)


def scaled(values: np.ndarray, top: float, low: float = 0) -> np.ndarray:
    return grey(np.floor(np.clip((values.astype(float) - low) / (top - low), 0, 1) * 255 + 0.5))


DEEP = RNG.integers(0, 65536, (H, W), dtype=np.uint16)
DEEP[0, 0], DEEP[0, 1], DEEP[0, 2] = 0, 65535, 4660


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("transparent", [False, True])
def test_png_of_grey(depth: int, transparent: bool) -> None:
    values = RNG.integers(0, 1 << depth, (H, W, 1), dtype=np.uint16)
    chosen = int(values[2, 3, 0])
    data = png(values, depth, 0, struct.pack(">H", chosen) if transparent else None)
    expected = scaled(values[..., 0], (1 << depth) - 1)
    if transparent:
        expected[values[..., 0] == chosen] = 255
    np.testing.assert_array_equal(read(data), expected)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("transparent", [False, True])
def test_png_of_colours(depth: int, transparent: bool) -> None:
    values = RNG.integers(0, 1 << depth, (H, W, 3), dtype=np.uint16)
    values[1, 1] = values[2, 3]
    values[1, 2] = values[2, 3] ^ 1  # another colour, though of 16 bits the upper 8 are equal
    data = png(values, depth, 2, struct.pack(">3H", *values[2, 3]) if transparent else None)
    expected = (values >> (depth - 8)).astype(np.uint8)
    if transparent:
        expected[(values == values[2, 3]).all(axis=2)] = 255
    np.testing.assert_array_equal(read(data), expected)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_png_with_alpha(depth: int, channels: int) -> None:
    values = RNG.integers(0, 1 << depth, (H, W, channels), dtype=np.uint16)
    values[..., -1] = np.where(values[..., -1] & 1, (1 << depth) - 1, 0)  # alpha in between is Pillow's to round
    found = read(png(values, depth, 4 if channels == 2 else 6))
    colour = (values[..., :-1] >> (depth - 8)).astype(np.uint8)
    expected = np.where(values[..., -1:] > 0, np.broadcast_to(colour, (H, W, 3)), 255)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [None, b"\0", b"\xff\0", b"\0\xff\0"])
def test_png_with_a_palette(depth: int, transparent: bytes | None) -> None:
    colours = RNG.integers(0, 256, (min(1 << depth, 200), 3), dtype=np.uint8)
    values = RNG.integers(0, len(colours), (H, W, 1), dtype=np.uint16)
    transparent = transparent and transparent[: len(colours)]
    found = read(png(values, depth, 3, transparent, colours.tobytes()))
    alpha = np.array([*(transparent or b""), *[255] * len(colours)])[values]
    np.testing.assert_array_equal(found, np.where(alpha > 0, colours[values[..., 0]], 255))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_of_grey(order: str, white_is_zero: bool, dtype: type) -> None:
    values = DEEP.astype(dtype)
    data = tiff(values, order, t262=0 if white_is_zero else 1)
    if order == ">" and white_is_zero and dtype is np.uint16:  # of which Pillow knows nothing
        with pytest.raises(ImageRejected, match="not an image that can be read"):
            read(data)
        return
    expected = scaled(values, np.iinfo(dtype).max)
    np.testing.assert_array_equal(read(data), 255 - expected if white_is_zero else expected)


def test_tiff_of_12_bits() -> None:
    values = RNG.integers(0, 4096, (H, W + 1), dtype=np.uint16)  # two values in three bytes
    pairs = values.reshape(H, -1, 2)
    packed = np.stack([pairs[..., 0] >> 4, (pairs[..., 0] & 15) << 4 | pairs[..., 1] >> 8, pairs[..., 1] & 255], -1)
    data = tiff(packed.reshape(H, -1).astype(np.uint8), t256=W + 1, t258=12)
    np.testing.assert_array_equal(read(data), scaled(values, 4095))


@pytest.mark.parametrize("white_is_zero", [False, True])
def test_a_value_range_is_stretched(white_is_zero: bool) -> None:
    values = DEEP >> 4
    photometric = 0 if white_is_zero else 1
    for low, high in ((0, 4095), (100, 1000.5)):
        expected = scaled(values, high, low)
        found = read(tiff(values, t262=photometric), (low, high))
        np.testing.assert_array_equal(found, 255 - expected if white_is_zero else expected)
    chosen = int(values[2, 3])
    expected = scaled(values, 4095)
    expected[values == chosen] = 255
    np.testing.assert_array_equal(read(png(values[..., None], 16, 0, struct.pack(">H", chosen)), (0, 4095)), expected)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32, np.float32])
def test_values_without_a_range_are_refused_and_with_one_read(dtype: type) -> None:
    values = (RNG.random((H, W)) * 200_000 - (0 if dtype is np.uint32 else 30_000)).astype(dtype)
    if dtype is np.int16:
        values[0, 0] = -30_000
    kind = {"i": 2, "u": 1, "f": 3}[np.dtype(dtype).kind]
    data = tiff(values, t339=kind)
    with pytest.raises(ImageRejected, match=r"no defined range; .* --value-range LOW,HIGH"):
        read(data)
    np.testing.assert_array_equal(read(data, (-1000, 20_000)), scaled(values, 20_000, -1000))


def test_what_is_no_number_has_no_place_in_a_range() -> None:
    values = np.zeros((H, W), np.float32)
    values[1, 1] = np.nan
    with pytest.raises(ImageRejected, match="NaN or infinite"):
        read(tiff(values, t339=3), (0, 1))


def test_colours_of_16_bits_have_no_range() -> None:
    data = png(RNG.integers(0, 4096, (H, W, 3), dtype=np.uint16), 16, 2)
    assert read(data).max() <= 15
    with pytest.raises(ImageRejected, match="--value-range, which is for grey, cannot apply"):
        read(data, (0, 4095))


@pytest.mark.parametrize("extra", [1, 2])
@pytest.mark.parametrize("channels", [2, 4])
def test_tiff_with_alpha(channels: int, extra: int) -> None:
    """Alpha beside the colours, and multiplied into them."""
    values = RNG.integers(0, 256, (H, W, channels), dtype=np.uint8)
    values[..., -1] = np.where(values[..., -1] & 1, 255, 0)
    if extra == 1:
        values[values[..., -1] == 0] = 0
    found = read(tiff(values, t262=1 if channels == 2 else 2, t338=extra))
    expected = np.where(values[..., -1:] > 0, np.broadcast_to(values[..., :-1], (H, W, 3)), 255)
    np.testing.assert_array_equal(found, expected)


def test_lab() -> None:
    """CIELAB of 8 bits, against the formulas (illuminant D50, adapted by Bradford's matrix)."""
    lab = np.array([[[0, 0, 0], [255, 0, 0], [128, 0, 0], [136, 20, 12], [150, 236, 20], [90, 10, 236]]], np.uint8)
    data = tiff(lab, t262=8)
    lightness = lab[..., 0] * (100 / 255)
    a, b = (lab[..., channel].astype(np.int8).astype(float) for channel in (1, 2))
    fy = (lightness + 16) / 116
    f = np.stack([fy + a / 500, fy, fy - b / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * (0.9642, 1.0, 0.8249)
    to_srgb = np.array([[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540],
                        [0.0719453, -0.2289914, 1.4052427]])  # fmt: skip
    linear = np.clip(xyz @ to_srgb.T, 0, 1)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(read(data).astype(float) - expected).max() <= 3


PLAIN: dict[str, Callable[[np.ndarray], Image.Image]] = {
    "1": lambda rgb: Image.fromarray(rgb).convert("1"),
    "L": lambda rgb: Image.fromarray(rgb).convert("L"),
    "P": lambda rgb: Image.fromarray(rgb).quantize(16),
    "RGB": lambda rgb: Image.fromarray(rgb),
    "RGBX": lambda rgb: Image.fromarray(rgb).convert("RGBX"),
    "CMYK": lambda rgb: Image.fromarray(rgb).convert("CMYK"),
    "YCbCr": lambda rgb: Image.fromarray(rgb).convert("YCbCr"),
    "HSV": lambda rgb: Image.fromarray(rgb).convert("HSV"),
    "LA": lambda rgb: Image.fromarray(rgb).convert("LA"),
    "La": lambda rgb: Image.fromarray(rgb).convert("LA").convert("La"),
    "PA": lambda rgb: Image.fromarray(rgb).quantize(16).convert("PA"),
    "RGBA": lambda rgb: Image.fromarray(rgb).convert("RGBA"),
    "RGBa": lambda rgb: Image.fromarray(rgb).convert("RGBA").convert("RGBa"),
}


@pytest.mark.parametrize("mode", PLAIN)
def test_every_mode_without_transparency_is_its_colours(mode: str) -> None:
    image = PLAIN[mode](RNG.integers(0, 256, (H, W, 3), dtype=np.uint8))
    assert image.mode == mode
    plain = image.convert("LA").convert("RGB") if mode == "La" else image.convert("RGBA" if "a" in mode else "RGB")
    np.testing.assert_array_equal(np.asarray(to_rgb(image)), np.asarray(plain.convert("RGB")))


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I"])
def test_every_order_of_bytes(mode: str) -> None:
    kind = {"I;16B": ">u2", "I": "<i4"}.get(mode, "<u2")
    image = Image.frombytes(mode, (W, H), DEEP.astype(kind).tobytes())
    np.testing.assert_array_equal(np.asarray(to_rgb(image)), scaled(DEEP, 65535))
    np.testing.assert_array_equal(np.asarray(to_rgb(image, Meaning(white_is_zero=True))), 255 - scaled(DEEP, 65535))


def test_a_pgm_says_its_highest_value() -> None:
    values = DEEP >> 4
    data = b"P5 %d %d 4095\n" % (W, H) + values.astype(">u2").tobytes()
    assert np.abs(read(data).astype(int) - scaled(values, 4095)).max() <= 1


def test_orientation_and_transparency_together() -> None:
    pixels = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", transparency=tuple(int(v) for v in pixels[0, 0]), exif=exif)
    pixels[(pixels == pixels[0, 0]).all(axis=2)] = 255
    np.testing.assert_array_equal(read(buffer.getvalue()), pixels.transpose(1, 0, 2)[:, ::-1])
