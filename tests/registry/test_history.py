"""The versions of a registry (spec, registry 5.5)."""

import pytest

from noria.registry import Create, Delete, History, Registry, VersionNotFound
from noria.registry.history import KEPT

CHANGE = Delete("app:x")


@pytest.fixture
def history():
    return History(Registry())


def numbers(history):
    return [version.number for version in history.versions]


def test_what_was_loaded_is_version_0(history):
    assert (history.current.number, history.current.parent, history.current.changes) == (0, None, ())
    assert numbers(history) == [0]


def test_a_change_makes_the_next_version(history):
    registry = Registry()

    version = history.add(registry, [CHANGE])

    assert history.current is version is history[1]
    assert (version.number, version.parent, version.changes) == (1, 0, (CHANGE,))
    assert version.registry is registry


def test_going_back_makes_no_version_and_the_next_one_comes_from_there(history):
    history.add(Registry(), [])
    history.add(Registry(), [])

    assert history.go_to(1) is history.current is history[1]
    assert numbers(history) == [0, 1, 2]
    version = history.add(Registry(), [Create("app:y", "any")])
    assert (version.number, version.parent) == (3, 1)


def test_a_version_that_is_not_there_is_named(history):
    history.add(Registry(), [])

    with pytest.raises(VersionNotFound, match="version not found: 7; there are 0 to 1"):
        history.go_to(7)
    assert history.current.number == 1


def test_the_oldest_versions_are_forgotten_but_never_the_current_one(history):
    for _ in range(KEPT + 5):
        history.add(Registry(), [])

    assert len(history.versions) == KEPT
    oldest = history.versions[0]
    with pytest.raises(VersionNotFound):
        history[oldest.number - 1]
    history.go_to(oldest.number)
    assert history.current is oldest
    history.add(Registry(), [])
    assert history.current.parent == oldest.number
