"""What a network answers on the images of an index, and where that is not their class."""
