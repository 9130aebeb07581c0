"""The history of the database's schema, for Alembic; `service.notes.migrate` applies it."""
