"""The machine and its process: cores, threads, memory."""
