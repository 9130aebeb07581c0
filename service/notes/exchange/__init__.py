"""What comes to the notes from elsewhere, and goes there: JSON lines, and names that are proposed."""
