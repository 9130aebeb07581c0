"""The network, run for uploads, here or in a process of its own."""
