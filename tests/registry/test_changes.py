"""A registry after changes: all of them or none, and checked as a directory is (spec, registry 5)."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noria.registry import (
    ConfigurationError,
    Create,
    Delete,
    EntryID,
    Kinds,
    Registry,
    Update,
    differences,
    load,
)

APP = """
namespace: app
meta: {team: core}
entries:
  - {name: driver, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: driver}
  - {name: handler, kind: function.python, source: "file://handler.py"}
  - {name: clerk, kind: queue.consumer, queue: tasks, func: handler}
"""
FILES = {"app.yaml": APP, "handler.py": "def handler(body): pass\n"}


@pytest.fixture
def registry(loaded):
    return loaded(FILES)


@pytest.fixture
def refused(registry):
    """The lines of what is wrong with some changes."""

    def told(*changes):
        with pytest.raises(ConfigurationError) as caught:
            registry.apply(changes)
        return str(caught.value).splitlines()

    return told


def declared(registry):
    return {str(entry.id): (entry.kind, entry.meta, entry.data) for entry in registry}


def test_an_entry_is_created_with_what_files_could_say_of_it(registry):
    after = registry.apply(
        [
            Create(
                "app:more", "queue.queue", {"driver": "driver", "options": {"max_length": 3}}, {"team": "new"}
            )
        ]
    )

    entry = after["app:more"]
    assert (entry.config.driver, entry.config.options) == (EntryID("app", "driver"), {"max_length": 3})
    assert (entry.meta, str(entry.source)) == ({"team": "new"}, "<change>:1:1")
    assert after.dependents("app:driver") == (EntryID("app", "more"), EntryID("app", "tasks"))


def test_an_update_takes_the_place_of_the_whole_entry(registry):
    after = registry.apply([Update("app:clerk", {"queue": "tasks", "func": "handler", "concurrency": 4})])

    assert (after["app:clerk"].config.concurrency, after["app:clerk"].meta) == (4, {})
    assert after["app:clerk"].kind == "queue.consumer"


def test_the_registry_itself_stays_as_it_was(registry):
    before = declared(registry)

    registry.apply([Delete("app:clerk"), Create("app:more", "queue.queue", {"driver": "driver"})])

    assert declared(registry) == before


def test_entries_that_are_not_named_are_not_read_again(registry, write):
    write({"handler.py": "def handler(body): return 2\n"})

    after = registry.apply([Delete("app:clerk")])

    assert after["app:handler"] is registry["app:handler"]


def test_an_entry_may_change_its_kind_by_being_deleted_and_created(registry):
    changes = [Create("app:clerk", "queue.queue", {"driver": "driver"}), Delete("app:clerk")]

    assert registry.apply(changes)["app:clerk"].kind == "queue.queue"


def test_changes_follow_each_other(registry):
    after = registry.apply([Create("app:a", "queue.queue", {"driver": "driver"})]).apply(
        [Delete("app:tasks"), Delete("app:clerk")]
    )

    assert list(declared(after)) == ["app:a", "app:driver", "app:handler"]


def test_the_environment_is_looked_at_and_never_shown(loaded):
    registry = loaded(FILES, environ={"LENGTH": "17"})

    after = registry.apply(
        [Update("app:clerk", {"queue": "tasks", "func": "handler", "prefetch": "${env:LENGTH}"})]
    )

    assert after["app:clerk"].config.prefetch == 17
    assert after["app:clerk"].data["prefetch"] == "${env:LENGTH}"


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ([Delete("app:driver")], ['app.yaml:6:46: app:tasks: driver: there is no entry "app:driver"']),
        (
            [Delete("app:clark")],
            ['<change>:1:1: app:clark: there is no such entry; did you mean "app:clerk"?'],
        ),
        (
            [Update("app:clark")],
            ['<change>:1:1: app:clark: there is no such entry; did you mean "app:clerk"?'],
        ),
        (
            [Create("app:clerk", "queue.consumer")],
            ["<change>:1:1: app:clerk: it is there already; at app.yaml:8:5"],
        ),
        (
            [Delete("app:clerk"), Delete("app:clerk")],
            ["<change>:2:1: app:clerk: changed twice; first at <change>:1:1"],
        ),
        (
            [Update("app:clerk", {}, kind="queue.queue")],
            [
                "<change>:1:1: app:clerk: a queue.consumer stays one: to change its kind, delete it and create it"
            ],
        ),
        (
            [Create("app:x", "queue.cue")],
            [
                (
                    '<change>:1:1: app:x: kind: noria does not know "queue.cue"; did you mean "queue.queue"? '
                    "Known kinds: function.python, queue.consumer, queue.driver.memory, queue.queue"
                )
            ],
        ),
        (
            [
                Create("app:x", "queue.queue", {"driver": "diver"}),
                Create("app:y", "queue.queue", {"driver": "driver", "opions": {}}),
            ],
            [
                '<change>:1:1: app:x: driver: there is no entry "app:diver"; did you mean "app:driver"?',
                '<change>:2:1: app:y: opions: unknown field; did you mean "options"?',
            ],
        ),
        (
            [Create("app:x", "queue.queue", {"driver": "driver", "options": {"a": {1, 2}}})],
            ["<change>:1:1: app:x: options.a: expected plain data, found set"],
        ),
        (
            [Create("app:x", "queue.queue", {"driver": "driver", "options": {3: 4}})],
            ['<change>:1:1: app:x: options: a field\'s name is a text, found "3"'],
        ),
        (
            [Create("app:x", "queue.queue", ["driver"])],
            ["<change>:1:1: app:x: expected a mapping of fields, found list"],
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_change(refused, changes, lines):
    assert refused(*changes) == lines


def test_what_holds_itself_is_refused(refused):
    knot = {"driver": "driver"}
    knot["options"] = knot

    assert refused(Create("app:x", "queue.queue", knot)) == [
        "<change>:1:1: app:x: options: nested more than 64 levels deep"
    ]


def test_an_id_that_is_none_is_refused_at_once():
    with pytest.raises(ValueError, match="write namespace:name"):
        Delete("clerk")


def test_a_registry_that_was_not_loaded_cannot_be_changed():
    with pytest.raises(TypeError, match="loaded"):
        Registry().apply([])


# ---- differences -------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d"])
QUEUES = st.dictionaries(NAMES, st.one_of(st.none(), st.integers(0, 3)), max_size=4)


def text_of(queues):
    """Queues of these lengths; none is an entry of another kind."""
    lines = [
        f"  - {{name: {name}, kind: queue.driver.memory}}"
        if length is None
        else f"  - {{name: {name}, kind: queue.queue, driver: driver, options: {{max_length: {length}}}}}"
        for name, length in queues.items()
    ]
    return "\n".join(["namespace: app", "entries:", "  - {name: driver, kind: queue.driver.memory}", *lines])


# The fixture `world` is the same for all.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=QUEUES, after=QUEUES)
def test_the_differences_lead_from_one_registry_to_the_other(before, after, world, tmp_path_factory):
    directory = tmp_path_factory.mktemp("app")
    registries = []
    for queues in (before, after):
        (directory / "app.yaml").write_text(text_of(queues))
        registries.append(load(directory, Kinds(world.KINDS), environ={}))
    one, other = registries

    changes = differences(one, other)

    assert declared(one.apply(changes)) == declared(other)
    assert bool(changes) == (declared(one) != declared(other))
