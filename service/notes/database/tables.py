"""The tables, as they are after all migrations."""

from typing import Final

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

METADATA: Final = MetaData()

COUNTERS: Final = Table(
    "counters", METADATA,
    Column("id", Integer, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("named", Integer, nullable=False),
)  # fmt: skip
"""One row: the number of the last change, and of the last that changed a name beside a neuron's number.

Every change counts up here first, so changes happen one after the other, and who reads the row sees all up to it.
"""

NOTES: Final = Table(
    "notes", METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("layer", Text, nullable=False),
    Column("neuron", Integer, nullable=False),
    Column("y", Integer, nullable=False),
    Column("x", Integer, nullable=False),
    Column("item", Text, nullable=False),
    Column("data", JSON, nullable=True),
    Column("name", Text, nullable=True),
    Column("state", JSON, nullable=False),
    Column("empty", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("author", Text, nullable=True),
    Column("time", Float, nullable=False),
    Column("change", Integer, nullable=False),
    UniqueConstraint("kind", "scope", "layer", "neuron", "y", "x", "item", name="one_note_for_each_subject"),
    Index("notes_by_change", "change"),
)  # fmt: skip
"""The subjects and the present state of each. ``data`` is what a subject itself consists of: a direction's weights."""

CHANGES: Final = Table(
    "changes", METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("note", Integer, ForeignKey("notes.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("what", Text, nullable=False),
    Column("author", Text, nullable=True),
    Column("time", Float, nullable=False),
    Column("before", JSON, nullable=False),
    UniqueConstraint("note", "revision", name="one_change_for_each_revision"),
)  # fmt: skip
"""Every change ever made, with the state before it."""

SUGGESTIONS: Final = Table(
    "suggestions", METADATA,
    Column("id", Integer, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("layer", Text, nullable=False),
    Column("neuron", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("by", JSON(none_as_null=True), nullable=True),
    Column("refused", Boolean, nullable=False),
    Column("author", Text, nullable=True),
    Column("time", Float, nullable=False),
    UniqueConstraint("scope", "layer", "neuron", "name", name="one_suggestion_of_each_name"),
)  # fmt: skip
"""Names for neurons that have none. ``by`` says which machine proposes it and why; a row without is a refusal alone."""
