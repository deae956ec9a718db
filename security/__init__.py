"""noria.security."""
