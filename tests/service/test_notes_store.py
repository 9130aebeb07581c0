"""Notes in a database: nothing is lost, nothing is half written, and everything can be taken back."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from indexer.errors import InvalidRequest, NotFound
from service.errors import NotesUnavailable, RevisionReplaced
from service.notes import finding
from service.notes.about.subjects import Subject, direction_digest
from service.notes.database import database, migrate
from service.notes.database.database import Database
from service.notes.database.engines import sqlite_engines
from service.notes.database.place import FILE, notes_location
from service.notes.exchange import lines as exchange
from service.notes.store import Known, Notes
from service.settings import Settings
from tests.service.failing_notes import connections, failing_names, silent_server
from tests.service.postgres import each_database

NEURON = Subject("neuron", "d1", "features.12", 412)
OTHER = Subject("neuron", "d1", "features.12", 7)
ELSEWHERE = Subject("neuron", "d2", "features.12", 412)


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with each_database(request.param, tmp_path) as location:
        yield location


@pytest.fixture
def notes(location: str) -> Iterator[Notes]:
    notes = Notes(Database(location))
    yield notes
    notes.close()


def test_what_nobody_wrote_about_has_revision_0(notes: Notes) -> None:
    note = notes.get(NEURON)
    assert (note.revision, note.state["name"], note.is_empty, notes.history(NEURON)) == (0, None, True, [])
    assert notes.named() == 0


def test_a_change_is_kept_with_its_author_and_the_state_before(notes: Notes) -> None:
    first = notes.write(NEURON, 0, "ada", name="dog heads", text="see *412*", tags=["animal"])
    second = notes.write(NEURON, 1, "bob", name="dogs")
    assert (first.revision, second.revision, notes.get(NEURON)) == (1, 2, second)
    assert second.state == {"name": "dogs", "text": "see *412*", "tags": ["animal"], "votes": {}}
    last, before = notes.history(NEURON)
    assert (last.author, last.before, last.after) == ("bob", first.state, second.state)
    assert (before.author, before.before["name"], before.after) == ("ada", None, first.state)
    assert before.time <= last.time


@pytest.mark.parametrize("seen", [0, 2, 9])
def test_a_lost_race_changes_nothing(notes: Notes, seen: int) -> None:
    notes.write(NEURON, 0, "ada", name="dogs")
    with pytest.raises(RevisionReplaced, match="revision 1 now"):
        notes.write(NEURON, seen, "bob", name="cats")
    assert (notes.get(NEURON).state["name"], len(notes.history(NEURON))) == ("dogs", 1)


def test_the_same_again_is_no_change(notes: Notes) -> None:
    notes.write(NEURON, 0, "ada", name="dogs")
    assert notes.write(NEURON, 1, "bob", name="dogs").revision == 1
    assert notes.get(NEURON).author == "ada"


def test_going_back_is_a_change_of_its_own_and_can_be_taken_back(notes: Notes) -> None:
    for number, name in enumerate(("dogs", "cats", None)):
        notes.write(NEURON, number, "ada", name=name)
    assert notes.restore(NEURON, 3, "bob", 1).state["name"] == "dogs"
    assert notes.restore(NEURON, 4, "bob", 3).state["name"] is None
    assert notes.restore(NEURON, 5, "bob", 0).state == notes.get(OTHER).state
    assert [change.what for change in notes.history(NEURON)] == ["restore", "restore", "edit", "edit", "edit"]
    with pytest.raises(NotFound, match="revision 6"):
        notes.restore(NEURON, 5, "bob", 6)


def test_votes_are_for_a_name_and_go_with_it(notes: Notes) -> None:
    with pytest.raises(NotFound, match="no name or note"):
        notes.vote(NEURON, 0, "ada", 1)
    notes.write(NEURON, 0, "ada", name="dogs")
    notes.vote(NEURON, 1, "bob", 1)
    assert notes.vote(NEURON, 2, "eve", -1).state["votes"] == {"bob": 1, "eve": -1}
    assert notes.vote(NEURON, 3, "bob", 0).state["votes"] == {"eve": -1}
    assert notes.write(NEURON, 4, "ada", text="because").state["votes"] == {"eve": -1}
    assert notes.write(NEURON, 5, "ada", name="cats").state["votes"] == {}
    assert notes.restore(NEURON, 6, "ada", 3).state["votes"] == {"bob": 1, "eve": -1}


def test_names_are_those_of_a_model_and_count_their_changes(notes: Notes) -> None:
    notes.write(NEURON, 0, None, name="dogs")
    named = notes.named()
    assert named == 1
    notes.write(OTHER, 0, None, text="a text alone")
    notes.vote(NEURON, 1, None, 1)
    notes.write(Subject("image", item="ab" * 32), 0, None, name="a picture")
    assert notes.named() == named  # answers about neurons stay as they are
    notes.write(ELSEWHERE, 0, None, name="cats")
    assert notes.named() > named
    assert notes.names("d1", notes.named()) == {"features.12": {412: "dogs"}}
    notes.write(NEURON, 2, None, name=None)
    assert notes.names("d1", notes.named()) == {}
    assert notes.names("d2", notes.named()) == {"features.12": {412: "cats"}}


def test_another_process_sees_names_at_once(notes: Notes, location: str) -> None:
    notes.write(NEURON, 0, None, name="dogs")
    notes.names("d1", notes.named())
    other = Notes(Database(location))
    other.write(NEURON, 1, None, name="cats")
    other.close()
    assert notes.names("d1", notes.named()) == {"features.12": {412: "cats"}}


def test_a_failed_look_for_names_is_not_kept(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PAUSE_SECONDS", 0.0)
    notes.write(NEURON, 0, None, name="dogs")
    notes.write(ELSEWHERE, 0, None, name="cats")
    named = notes.named()
    assert notes.names("d1", named) == {"features.12": {412: "dogs"}}
    with failing_names(notes.database):
        assert notes.names("d2", named) is None
        assert notes.known(["d1"]) == Known(named, {"d1": {"features.12": {412: "dogs"}}})  # kept from before
        for models in (["d2"], ["d1", "d2"]):
            assert notes.known(models) == Known(0, {}), "names of one side alone would pass for those of both"
    assert notes.known(["d1", "d2"]) == Known(
        named, {"d1": {"features.12": {412: "dogs"}}, "d2": {"features.12": {412: "cats"}}}
    )


def test_those_who_wait_for_a_server_that_does_not_answer_do_not_try_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setattr(database, "_CONNECT_SECONDS", 2)
    with silent_server() as server, ThreadPoolExecutor(12) as pool:
        notes = Notes(Database(f"postgresql://ada@127.0.0.1:{server.getsockname()[1]}/none"))
        together = threading.Barrier(12)

        def ask(number: int) -> object:
            together.wait()
            try:
                return notes.named() if number % 2 else notes.get(NEURON)
            except NotesUnavailable as error:
                return type(error)

        assert list(pool.map(ask, range(12))) == [NotesUnavailable, 0] * 6
        assert connections(server) == 1
        assert notes.named() == 0
        assert connections(server) == 0, "names are not looked for soon after a failure"
        with pytest.raises(NotesUnavailable):
            notes.get(NEURON)
        assert connections(server) == 1, "who comes later tries anew"


def found(notes: Notes, query: str) -> list[Subject]:
    return [note.subject for note in finding.find(notes, query, ("d1", ""), 10)]


def test_words_find_notes_best_first(notes: Notes) -> None:
    image, list_ = Subject("image", item="ab" * 32), Subject("list", item="odd")
    notes.write(image, 0, None, text="a photo of dogs in the park")
    notes.write(NEURON, 0, None, name="dogs", tags=["animals"])
    notes.write(list_, 0, None, name="Odd", items=[{"subject": {}, "index": "i", "remark": "zebra crossing"}])
    assert found(notes, "DOG") == [NEURON, image]
    assert found(notes, "dogs park") == [image]
    assert found(notes, "anim") == [NEURON]
    assert found(notes, "zebra") == [list_]
    for nothing in ("", "'\"*&|!():", "cat", "og"):
        assert found(notes, nothing) == []
    notes.write(NEURON, 1, None, name="cats")
    notes.write(ELSEWHERE, 0, None, name="dogs of another model")
    assert found(notes, "dog") == [image]


def test_the_latest_are_those_that_say_something(notes: Notes) -> None:
    for number in range(5):
        notes.write(Subject("neuron", "d1", "a", number), 0, None, name=f"n{number}")
    notes.write(Subject("neuron", "d1", "a", 1), 1, None, text="again")
    notes.restore(Subject("neuron", "d1", "a", 3), 1, None, 0)
    notes.write(ELSEWHERE, 0, None, name="elsewhere")
    page, total = finding.latest(notes, ("neuron",), ["d1"], 3, 0)
    assert ([note.subject.neuron for note in page], total) == ([1, 4, 2], 4)
    assert finding.latest(notes, ("neuron",), None, 1, 0)[0][0].subject == ELSEWHERE


@pytest.mark.parametrize("together", [True, False], ids=["one neuron", "many neurons"])
def test_of_16_writers_none_loses_a_change(location: str, together: bool) -> None:
    each, writers = 4, 16
    seen: list[tuple[Subject, int, str]] = []

    def work(notes: Notes, number: int) -> None:
        subject = NEURON if together else Subject("neuron", "d1", "a", number)
        for turn in range(each):
            while True:
                try:
                    note = notes.get(subject)
                    after = notes.write(subject, note.revision, f"w{number}", text=f"{number}.{turn}")
                    break
                except RevisionReplaced:
                    continue
            seen.append((subject, after.revision, f"{number}.{turn}"))

    several = [Notes(Database(location)) for _ in range(2)]
    threads = [threading.Thread(target=work, args=(several[n % 2], n)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == each * writers
    for subject in {subject for subject, _, _ in seen}:
        acknowledged = {revision: text for of, revision, text in seen if of == subject}
        history = several[0].history(subject)
        assert {change.revision: change.after["text"] for change in history} == acknowledged
        assert [change.revision for change in history] == list(range(len(history), 0, -1))
    for notes in several:
        notes.close()


def test_everything_goes_out_and_comes_back(notes: Notes, tmp_path: Path) -> None:
    direction = Subject("direction", "d1", "features.12", item=direction_digest({3: 0.5}))
    notes.write(NEURON, 0, "ada", name="dögs", tags=["a"])
    notes.vote(NEURON, 1, "bob", 1)
    notes.change(direction, 0, "ada", "edit", lambda note: note.state | {"name": "up"}, {"weights": {"3": 0.5}})
    notes.restore(NEURON, 2, "eve", 0)
    lines = list(exchange.export(notes))
    other = Notes(Database(str(tmp_path / "other")))
    assert exchange.import_(other, lines) == (2, 0, 0)
    assert list(exchange.export(other)) == lines
    assert other.history(NEURON) == notes.history(NEURON)
    assert other.get(direction).data == {"weights": {"3": 0.5}}
    assert exchange.import_(other, lines) == (0, 0, 2)
    other.write(NEURON, 3, "zoe", name="mine")
    assert exchange.import_(other, lines, "me") == (0, 1, 1)
    assert (other.history(NEURON)[0].what, other.history(NEURON)[0].author) == ("import", "me")
    assert other.restore(NEURON, 5, "zoe", 4).state["name"] == "mine"
    other.close()


def line(**changes: Any) -> str:
    state = {"name": None, "text": "", "tags": [], "votes": {}}
    return json.dumps({"subject": NEURON.as_dict(), "state": state, "data": None, "history": []} | changes)


@pytest.mark.parametrize(
    "wrong",
    [
        "{}", "[]", "nonsense", "1", line(subject={"kind": "neuron"}), line(subject={"kind": "star", "item": "x"}),
        line(subject={"kind": "image", "item": "ab"}), line(subject={"kind": "image", "item": "zz" * 32}),
        line(subject=NEURON.as_dict() | {"neuron": 2**31}), line(subject=NEURON.as_dict() | {"layer": "a\0"}),
        line(subject=NEURON.as_dict() | {"neuron": -1}), line(subject=NEURON.as_dict() | {"neuron": True}),
        line(state={"name": "x"}), line(state={"name": "x" * 201, "text": "", "tags": [], "votes": {}}),
        line(state={"name": None, "text": "\0", "tags": [], "votes": {}}), line(history=[{}]), line(history=3),
        line(state={"name": None, "text": "", "tags": [], "votes": {"a": 2}}), line(data={"weights": {"a": 1}}),
    ],
)  # fmt: skip
def test_of_lines_with_a_wrong_one_none_is_brought_in(tmp_path: Path, wrong: str) -> None:
    notes = Notes(Database(str(tmp_path)))
    good = line(state={"name": "x", "text": "", "tags": [], "votes": {}})
    with pytest.raises(InvalidRequest, match="line 2 is no note"):
        exchange.import_(notes, [good, wrong])
    assert notes.get(NEURON).revision == 0
    notes.close()


def test_an_older_database_is_brought_to_the_present_schema_with_all_that_it_holds(location: str) -> None:
    older = Database(location)
    engine = old_engine(location)
    with engine.begin() as connection:
        migrate.migrate(connection, "1")
        assert migrate.schema_of(connection) == "1"
        state = json.dumps({"name": "dogs", "text": "", "tags": [], "votes": {}})
        connection.execute(sqlalchemy.text(
            "INSERT INTO notes (kind, scope, layer, neuron, y, x, item, name, state, empty, revision, author, time, "
            "change) VALUES ('neuron', 'd1', 'features.12', 412, -1, -1, '', 'dogs', "
            f"'{state}', false, 1, 'ada', 1.0, 1)"
        ))  # fmt: skip
        connection.execute(sqlalchemy.text("UPDATE counters SET revision = 1, named = 1"))
    engine.dispose()
    notes = Notes(older)
    assert notes.names("d1", notes.named()) == {"features.12": {412: "dogs"}}
    assert found(notes, "dogs") == [NEURON]
    assert notes.write(NEURON, 1, "bob", name="cats").revision == 2
    assert older.read(migrate.schema_of) == migrate.NEWEST
    notes.close()


def old_engine(location: str) -> sqlalchemy.Engine:
    if "://" in location:
        return sqlalchemy.create_engine(location.replace("postgresql://", "postgresql+psycopg://"))
    Path(location).mkdir(exist_ok=True)
    return sqlite_engines(Path(location) / FILE, 5)[1]


def test_migrations_make_the_tables_that_the_program_reads(location: str) -> None:
    """The tables of a migrated database have the columns, types and constraints of `service.notes.database.tables`."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from service.notes.database.tables import METADATA

    notes = Notes(Database(location))
    notes.write(NEURON, 0, None, name="x")

    def difference(connection: sqlalchemy.Connection) -> list[Any]:
        def ours(thing: Any, name: str, kind: str, *_: Any) -> bool:
            return kind != "table" or not name.startswith("words")

        return compare_metadata(MigrationContext.configure(connection, opts={"include_object": ours}), METADATA)

    assert notes.database.read(difference) == []
    notes.close()


def test_a_database_of_a_newer_program_is_refused_and_left_alone(location: str) -> None:
    notes = Notes(Database(location))
    notes.write(NEURON, 0, None, name="dogs")
    with notes.database.write() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '99'"))
    notes.close()
    later = Notes(Database(location))
    with pytest.raises(NotesUnavailable, match="schema 99"):
        later.get(NEURON)
    assert later.named() == 0  # questions go on, without names
    later.close()


def test_a_failure_in_the_middle_of_a_change_leaves_nothing(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    notes.write(NEURON, 0, "ada", name="dogs")
    named = notes.named()

    def fail(*_: Any) -> None:
        raise RuntimeError("the last step of a change")

    with monkeypatch.context() as patch:
        patch.setattr("service.notes.database.words.put", fail)
        with pytest.raises(RuntimeError):
            notes.write(NEURON, 1, "bob", name="cats")
    assert (notes.get(NEURON).state["name"], len(notes.history(NEURON)), notes.named()) == ("dogs", 1, named)
    assert notes.write(NEURON, 1, "bob", name="cats").revision == 2


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    notes = Notes(Database(str(tmp_path / "notes")))
    assert (notes.get(NEURON).revision, notes.named(), found(notes, "x"), notes.history(NEURON)) == (
        0,
        0,
        [],
        [],
    )
    assert not (tmp_path / "notes").exists()


def test_a_folder_that_was_moved_away_takes_no_more_notes(tmp_path: Path) -> None:
    notes = Notes(Database(str(tmp_path / "notes")))
    notes.write(NEURON, 0, None, name="dogs")
    (tmp_path / "notes").rename(tmp_path / "moved")
    assert notes.get(NEURON).revision == 0
    notes.write(NEURON, 0, None, name="cats")
    moved = Notes(Database(str(tmp_path / "moved")))
    assert (moved.get(NEURON).state["name"], notes.get(NEURON).state["name"]) == ("dogs", "cats")
    for each in (notes, moved):
        each.close()


def test_what_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    notes = Notes(Database(str(tmp_path / "file" / "notes")))
    with pytest.raises(NotesUnavailable, match="--notes names a folder"):
        notes.write(NEURON, 0, None, name="dogs")
    with pytest.raises(NotesUnavailable, match="notes are off here: --notes"):
        Notes(None).get(NEURON)


def test_a_password_is_not_shown() -> None:
    notes = Notes(Database("postgresql://ada:secret@127.0.0.1:1/none"))
    with pytest.raises(NotesUnavailable) as caught:
        notes.get(NEURON)
    assert "secret" not in str(caught.value)
    assert "postgresql://127.0.0.1:1/none" in str(caught.value)
    assert notes.named() == 0


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"host": "127.0.0.1"}, "{data}/unitscope"), ({"host": "localhost"}, "{data}/unitscope"),
        ({"host": "0.0.0.0"}, None), ({"host": "0.0.0.0", "notes": "/n"}, "/n"), ({"notes": ""}, None),
    ],
)  # fmt: skip
def test_where_notes_lie(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], place: str | None
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    expected = place and place.format(data=tmp_path)
    assert notes_location(Settings(directory=Path("x"), **settings)) == expected
