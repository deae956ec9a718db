"""Settings of the property tests."""

from hypothesis import settings

# How long one example takes says nothing on a busy machine; pytest's own limit catches what hangs.
settings.register_profile("noria", deadline=None)
settings.load_profile("noria")
