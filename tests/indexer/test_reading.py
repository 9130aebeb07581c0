"""Files of every odd kind, against pixels worked out by hand."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, features

from indexer.errors import ImageRejected
from indexer.images.reading import MAX_PIXELS, read_picture
from tests.conftest import random_photo

WIDTH, HEIGHT = 37, 22


def photo(seed: int = 0) -> Image.Image:
    return random_photo(np.random.default_rng(seed), WIDTH, HEIGHT)


def file_of(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "TGA", "PCX", "SGI", "GIF", "WEBP"])
def test_lossless_formats_give_their_pixels(format: str) -> None:
    image = photo().quantize(64).convert("RGB") if format == "GIF" else photo()
    options = {"lossless": True} if format == "WEBP" else {}
    read = read_picture(file_of(image, format, **options))
    assert read.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(read), np.asarray(image))


@pytest.mark.parametrize("format", ["JPEG", "AVIF", "JPEG2000"])
def test_lossy_formats_come_close(format: str) -> None:
    read = read_picture(file_of(photo(), format, quality=95) if format != "JPEG2000" else file_of(photo(), format))
    assert read.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(read, float) - np.asarray(photo(), float)).mean() < 8


TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", list(TURNS))
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_picture(file_of(photo(), "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(read), TURNS[orientation](np.asarray(photo())))


@pytest.mark.filterwarnings("ignore:.*EXIF")
def test_exif_that_cannot_be_parsed_is_no_reason_to_refuse() -> None:
    data = file_of(photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert read_picture(data).size == (WIDTH, HEIGHT)


def test_grey_palette_and_one_bit() -> None:
    grey = photo().convert("L")
    np.testing.assert_array_equal(np.asarray(read_picture(file_of(grey, "PNG")))[..., 1], np.asarray(grey))
    palette = photo().quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(read_picture(file_of(palette, "PNG"))), expected)
    bits = grey.point(lambda value: value > 128, "1")
    np.testing.assert_array_equal(np.asarray(read_picture(file_of(bits, "PNG")))[..., 0], np.asarray(bits) * 255)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(format: str) -> None:
    values = np.linspace(0, 65535, WIDTH * HEIGHT).astype(np.uint16).reshape(HEIGHT, WIDTH)
    read = np.asarray(read_picture(file_of(Image.fromarray(values), format)))
    np.testing.assert_array_equal(read[..., 2], np.round(values / 257).astype(np.uint8))


def test_transparency_is_laid_on_white() -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[..., 0] = 200  # a hidden red
    pixels[:, 20:, 3] = 255
    read = np.asarray(read_picture(file_of(Image.fromarray(pixels), "PNG")))
    assert (read[:, :20] == 255).all()
    assert (read[:, 20:] == (200, 0, 0)).all()
    palette = photo().quantize(16)
    transparent = np.asarray(palette) == 0
    read = np.asarray(read_picture(file_of(palette, "PNG", transparency=0)))
    assert (read[transparent] == 255).all()
    np.testing.assert_array_equal(read[~transparent], np.asarray(palette.convert("RGB"))[~transparent])


def test_cmyk() -> None:
    cmyk = photo().convert("CMYK")
    read = np.asarray(read_picture(file_of(cmyk, "TIFF")), float)
    assert np.abs(read - np.asarray(photo(), float)).max() <= 2


def test_of_several_frames_the_first_is_taken() -> None:
    frames = [photo(seed).quantize(32).convert("RGB") for seed in range(3)]
    data = file_of(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(np.asarray(read_picture(data)), np.asarray(frames[0]))


def _bomb() -> bytes:
    data = bytearray(file_of(Image.new("L", (8, 8)), "BMP"))
    data[18:26] = (60_000).to_bytes(4, "little") + (60_000).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (file_of(photo(), "PNG")[:300], "damaged or cut short"),
        (file_of(photo().resize((200, 120)), "JPEG", quality=95)[:-400], "damaged or cut short"),
        (file_of(photo(), "WEBP")[:120], "damaged or cut short|not an image"),
        (file_of(Image.fromarray(np.ones((4, 9), np.float32)), "TIFF"), "floating-point"),
        (_bomb(), "pixels"),
    ],
)
def test_what_cannot_be_used_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(ImageRejected, match=reason):
        read_picture(data)


@pytest.mark.parametrize("format", ["AVIF", "WEBP", "JPEG"])
def test_a_flipped_bit_is_no_error_of_the_program(format: str) -> None:
    """Decoders raise what they like; a file is a picture, or is rejected in a line."""
    if not features.check("avif") and format == "AVIF":
        pytest.skip("this Pillow reads no AVIF")
    whole, rng = file_of(photo(), format), np.random.default_rng(3)
    for _ in range(500):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        with contextlib.suppress(ImageRejected):
            read_picture(bytes(data), max_pixels=1 << 20)


def test_too_many_pixels() -> None:
    data = file_of(photo(), "PNG")
    with pytest.raises(ImageRejected, match=f"{WIDTH} x {HEIGHT} pixels; at most 100 "):
        read_picture(data, max_pixels=100)
    assert read_picture(data, max_pixels=WIDTH * HEIGHT).size == (WIDTH, HEIGHT)
    assert MAX_PIXELS * 3 < 2**28
