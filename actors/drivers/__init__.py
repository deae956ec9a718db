"""The kinds of drivers."""
