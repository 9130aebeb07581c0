"""The few bytes of a tar that lie around the files of a pack (POSIX.1-2001, "pax Interchange Format").

They follow from a file's name and size alone. So a pack has the same bytes wherever it is made, and a reader that knows
names and sizes compares headers; it never has to believe one. Any tar reads such a file.
"""

from typing import Final

from indexer.errors import InvalidRequest

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
_NAME_BYTES: Final = 100
_LARGEST: Final = 8**11 - 1
"""The largest size that the field of a header holds."""


def header(name: str, size: int) -> bytes:
    """What lies before a file's content. A long name and a large size are in a header of their own in front of it.

    Raises
    ------
    InvalidRequest
        The name is no text, so that other programs would read another.
    """
    try:
        path = name.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"a pack holds names in UTF-8 only, which {name!r} is not; rename the file") from error
    records = b""
    if len(path) > _NAME_BYTES:
        records += _record(b"path", path)
    if size > _LARGEST:
        records += _record(b"size", b"%d" % size)
    before = _block(b"PaxHeader", len(records), b"x") + records + padding(len(records)) if records else b""
    return before + _block(path[:_NAME_BYTES], size if size <= _LARGEST else 0, b"0")


def padding(size: int) -> bytes:
    """What lies after a content of this size."""
    return bytes(-size % BLOCK)


def length(name: str, size: int) -> int:
    """The bytes of a file in a pack, with all that lies around its content."""
    return len(header(name, size)) + size + len(padding(size))


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE`` and a line's end, where the length counts itself."""
    rest = len(key) + len(value) + 3
    size = rest + len(str(rest))
    size = rest + len(str(size))
    return b"%d %s=%s\n" % (size, key, value)


def _block(name: bytes, size: int, kind: bytes) -> bytes:
    fields = (
        (name, 100), (b"0000644\0", 8), (b"0000000\0", 8), (b"0000000\0", 8), (b"%011o\0" % size, 12),
        (b"00000000000\0", 12), (b" " * 8, 8), (kind, 1), (b"", 100), (b"ustar\x0000", 8), (b"", 247),
    )  # fmt: skip
    block = b"".join(value.ljust(width, b"\0") for value, width in fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
