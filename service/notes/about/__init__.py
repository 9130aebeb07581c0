"""What a note is about, what it says, and how its text is shown."""
