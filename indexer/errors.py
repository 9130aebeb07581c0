"""The errors that unitscope raises on purpose.

Every message is a sentence for a person: it names what was wrong and what would be right. But for `UserCodeFailed` it
holds nothing that a client must not see, so the service may show it.
"""


class UnitscopeError(Exception):
    """Base of every error below."""


class InvalidRequest(UnitscopeError):
    """An argument or parameter is wrong; the message names it and what would be right."""


class UserCodeFailed(InvalidRequest):
    """A network's or a factory's own code raised something.

    Its message is for the person whose code it is, and for no client of a service: it quotes what was raised, and names
    the file and the line.
    """


class NotFound(UnitscopeError):
    """No such index, layer, neuron, cell, image or class."""


class ImageRejected(UnitscopeError):
    """An image file or an upload cannot be used.

    Attributes
    ----------
    reason : str
        Why, in a few words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ImageUnavailable(UnitscopeError):
    """The original of an indexed image cannot be shown.

    Attributes
    ----------
    changed : bool
        True where another file now has its name, False where there is none.
    """

    def __init__(self, message: str, *, changed: bool) -> None:
        super().__init__(message)
        self.changed = changed


class TookTooLong(UnitscopeError):
    """A question that was not answered within the time that it was given."""


class Stopped(UnitscopeError):
    """Work that was ended from outside before it was done."""


class ModelUnavailable(UnitscopeError):
    """The network of an index cannot be loaded here, so nothing new can be sent through it."""


class DamagedFile(UnitscopeError):
    """A file of an index is truncated, altered, foreign or of an unknown format version.

    Attributes
    ----------
    file : str
        The file, relative to the index where it lies in one.
    cause : str
        What is wrong with it.
    """

    def __init__(self, file: str, cause: str) -> None:
        super().__init__(file, cause)  # both, so that it can be pickled
        self.file = file
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.file}: {self.cause}"


class NotAnIndex(UnitscopeError):
    """A path holds no index that has been published."""


class ConfigurationMismatch(UnitscopeError):
    """A job's model, weights, preprocessing or layers differ from those of the index; the message says which."""


class IndexBusy(UnitscopeError):
    """Another job is writing this index."""


class StorageUnavailable(UnitscopeError):
    """The storage behind a URL does not answer now, or refuses us."""


class EngineUnavailable(UnitscopeError):
    """The engine cannot make the shards: there is no scheduler or worker, or a shard failed too often."""


class BadActivations(UnitscopeError):
    """A model's output cannot be kept: NaN, infinity, or not a map; the message names the layer and the image."""


class NotFinite(BadActivations):
    """A network gives NaN or infinity on some images of a batch.

    Attributes
    ----------
    rows : tuple of int
        Which images of the batch.
    reason : str
        Why each of them cannot be used, in a few words.
    """

    def __init__(self, message: str, rows: tuple[int, ...], reason: str) -> None:
        super().__init__(message, rows, reason)  # all, so that it can be pickled
        self.rows = rows
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class NotReproducible(BadActivations):
    """A network gives other activations for an image a second time, or beside other images; the message says where."""


class NotInstalled(UnitscopeError):
    """A feature needs a package that is not installed here; the message names the extra that brings it."""
