"""A database of any older schema, or an empty one, is brought to the present schema in one transaction."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from service.errors import NotesUnavailable

NEWEST: Final = "3"
"""The schema that this program reads and writes."""
_TABLE: Final = "alembic_version"


def schema_of(connection: Connection) -> str | None:
    """The schema of a database; None where it has none yet."""
    if not inspect(connection).has_table(_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar()
    return None if found is None else str(found)


def migrate(connection: Connection, to: str = NEWEST) -> None:
    """Bring a database to a schema, in the transaction that the connection is in.

    Raises
    ------
    NotesUnavailable
        A newer program has made it.
    """
    schema = schema_of(connection)
    if schema is not None and int(schema) > int(NEWEST):
        raise NotesUnavailable(
            f"the database of --notes has schema {schema}, from a newer unitscope; this one knows those up to {NEWEST}"
        )
    if schema == to:
        return
    from alembic import command  # takes a tenth of a second, for what is seldom needed
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("version_path_separator", "newline")
    command.upgrade(config, to)
