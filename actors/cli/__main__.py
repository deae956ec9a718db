"""`python -m noria.actors.cli`: the same as `noria`. Knows nothing else."""

from . import main

main()
