"""What people write: notes, lists, and the search over all that has a name."""
