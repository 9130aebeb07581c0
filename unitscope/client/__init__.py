"""One way to ask an index, whether its files lie here or a service answers elsewhere."""
