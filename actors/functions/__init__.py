"""The kinds of functions."""
