"""noria.actors."""
