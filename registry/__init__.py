"""noria.registry."""
