"""What is made of a finished index and kept in it: dictionaries, effective fields, atlases, scores."""
