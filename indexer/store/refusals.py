"""The errors of a file that is not read whole."""


class NotRegular(OSError):
    """The file is a pipe or a device, which may never end."""


class TooLarge(OSError):
    """The file has more bytes than the caller allows."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"it has {size} bytes, at most {most} are read")
