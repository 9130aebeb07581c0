"""Work that takes longer than a request should: asked for, run in a process of its own, and its result kept."""
