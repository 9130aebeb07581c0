"""An index as one file that can be handed on: `pack` makes it, `unpack` checks it and takes it apart."""
