"""Why a file is not read whole."""


class NotRegular(OSError):
    """It is a pipe or a device, which may never end."""


class TooLarge(OSError):
    """It has more bytes than the caller allows."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"it has {size} bytes, at most {most} are read")
