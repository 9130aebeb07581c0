"""What the network answers and why, and what it has learned."""
