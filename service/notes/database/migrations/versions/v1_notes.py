"""Subjects with their present states, and every change of one."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    counters = op.create_table(
        "counters",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("named", sa.Integer, nullable=False),
    )
    op.bulk_insert(counters, [{"id": 1, "revision": 0, "named": 0}])
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("layer", sa.Text, nullable=False),
        sa.Column("neuron", sa.Integer, nullable=False),
        sa.Column("y", sa.Integer, nullable=False),
        sa.Column("x", sa.Integer, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=True),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("state", sa.JSON, nullable=False),
        sa.Column("empty", sa.Boolean, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("author", sa.Text, nullable=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("change", sa.Integer, nullable=False),
        sa.UniqueConstraint("kind", "scope", "layer", "neuron", "y", "x", "item", name="one_note_for_each_subject"),
    )
    op.create_index("notes_by_change", "notes", ["change"])
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("note", sa.Integer, sa.ForeignKey("notes.id"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.UniqueConstraint("note", "revision", name="one_change_for_each_revision"),
    )
