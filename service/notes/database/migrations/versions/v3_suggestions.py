"""Names that a machine has proposed, and names that a person has refused."""

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "suggestions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("layer", sa.Text, nullable=False),
        sa.Column("neuron", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("by", sa.JSON, nullable=True),
        sa.Column("refused", sa.Boolean, nullable=False),
        sa.Column("author", sa.Text, nullable=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.UniqueConstraint("scope", "layer", "neuron", "name", name="one_suggestion_of_each_name"),
    )
