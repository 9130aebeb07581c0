"""Notes without a service: ``unitscope.open_notes("FOLDER").write(index, layer="layer4", neuron=3, name="wheels")``.

The folder, or the PostgreSQL database, may be one that a service uses meanwhile.
"""

from os import PathLike, fspath
from typing import Any

from indexer.query.index import Index
from service.notes import finding
from service.notes.about.naming import subject_of
from service.notes.about.records import Change, Note
from service.notes.beside import OfLayers, known_names, names_in
from service.notes.database.database import Database
from service.notes.database.place import data_folder
from service.notes.exchange import proposing
from service.notes.store import Notes


class NoteBook:
    """Names, notes, tags and votes, by what something is called in an open index.

    A method that takes ``**named`` needs ``layer`` and ``neuron``, these with ``y`` and ``x`` for one cell, ``image``
    (an id), or ``class_``.
    """

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def get(self, index: Index, **named: Any) -> Note:
        """What is written about something; where that is nothing, a note of revision 0.

        Raises
        ------
        NotFound, InvalidRequest, NotesUnavailable
        """
        return self.notes.get(_subject(index, named))

    def write(
        self,
        index: Index,
        *,
        name: str | None = None,
        text: str = "",
        tags: tuple[str, ...] = (),
        author: str | None = None,
        revision: int | None = None,
        **named: Any,
    ) -> Note:
        """Replace the name, the note (Markdown) and the tags of something.

        Parameters
        ----------
        author : str, optional
            Who says so; stands in the history.
        revision : int, optional
            The revision that was seen; without one, whatever is there is replaced. It stays in the history.

        Raises
        ------
        RevisionReplaced
            Somebody has changed it since.
        NotFound, InvalidRequest, NotesUnavailable
        """
        fields = {"name": name, "text": text, "tags": list(tags)}
        return self.notes.write(_subject(index, named), revision, author, **fields)

    def history(self, index: Index, **named: Any) -> list[Change]:
        """Every change, newest first, with the states before and after."""
        return self.notes.history(_subject(index, named))

    def restore(self, index: Index, revision: int, *, author: str | None = None, **named: Any) -> Note:
        """Make the state of an earlier revision the present one, by a change of its own."""
        return self.notes.restore(_subject(index, named), None, author, revision)

    def names(self, index: Index) -> OfLayers:
        """The names of an index's neurons and atoms, by layer and number."""
        return names_in(known_names(self.notes, index), index)

    def propose(
        self, index: Index, other: Index, *, layer: str | None = None, least: float = proposing.LEAST
    ) -> list[proposing.Proposal]:
        """Names of another index's neurons for those of an index that have none; nothing is written.

        A neuron is proposed the name of the neuron whose peaks, on the images that both indexes have, correlate best
        with its own.

        Parameters
        ----------
        other : Index
            Of another checkpoint.
        layer : str, optional
            Only of this layer. By default of every layer whose name both have.
        least : float
            The lowest correlation.

        Raises
        ------
        InvalidRequest
            Both have the same weights, and so the same names; or hardly an image in common.
        NotFound, NotesUnavailable
        """
        return proposing.proposals(self.notes, index, other, layer=layer, least=least)

    def find(self, index: Index, text: str, most: int = 20) -> list[Note]:
        """The notes about an index, and the lists, that have all words of a text; best first."""
        scopes = (index.manifest.configuration.weights_digest, index.path.name, "")
        return finding.find(self.notes, text, scopes, most)

    def close(self) -> None:
        """Let go of the database."""
        self.notes.close()

    def __enter__(self) -> "NoteBook":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_notes(location: str | PathLike[str] | None = None) -> NoteBook:
    """The notes in a folder, or in the PostgreSQL database of a URL; by default those of `unitscope serve`.

    Nothing is made before the first write.
    """
    return NoteBook(Notes(Database(fspath(data_folder() if location is None else location))))


def _subject(index: Index, named: dict[str, Any]) -> Any:
    given = {"class" if name == "class_" else name: value for name, value in named.items()}
    return subject_of(index, index.path.name, given)[0]
