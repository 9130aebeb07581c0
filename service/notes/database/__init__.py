"""The database of the notes: where it lies, its tables and their history, full-text search."""
