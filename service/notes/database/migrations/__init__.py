"""The history of the database's schema, for Alembic; `service.notes.database.migrate` applies it."""
