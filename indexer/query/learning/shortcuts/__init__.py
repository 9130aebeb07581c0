"""Hints that something which is no part of a class stands for it to the network."""
