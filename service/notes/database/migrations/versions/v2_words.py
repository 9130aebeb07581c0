"""The words of each note, for full-text search; those that are there are entered."""

from alembic import op

from service.notes.database.words import fill, make_table

revision = "2"
down_revision = "1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    make_table(connection)
    fill(connection)
