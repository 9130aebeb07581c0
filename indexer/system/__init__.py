"""The machine and its process: cores, threads, memory, other people's code."""
