"""Questions that begin with an upload, a direction or a concept."""
