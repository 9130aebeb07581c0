"""The processes of the service: one that starts the others, those that answer, those that run the network."""
