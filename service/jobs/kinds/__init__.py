"""The kinds of jobs, a file for what each does."""
