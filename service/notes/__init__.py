"""What people write about neurons, units, directions, images and classes: names, notes, tags, votes and lists.

1. ``notes = Notes(database_at("FOLDER"))``, or with the URL of a PostgreSQL database
2. ``note = notes.get(subject)`` gives the note of a `Subject`; one that nobody has written about has revision 0.
3. ``notes.write(subject, note.revision, author, name="dog heads")`` changes it, unless somebody else did meanwhile.
4. ``notes.history(subject)`` lists every change with the state before it; ``notes.restore`` goes back to one.

The database is one for a service and lies outside of every index. Each change is one transaction: it is there with its
row of history, or it is not. This module imports no library; SQLAlchemy comes with the first question.
"""
