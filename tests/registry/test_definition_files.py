"""What definition files may look like, and what becomes of them (spec, registry 1)."""

from pathlib import Path

import attrs
import pytest

from noria.registry import EntryID, Kind, Kinds

ONE = "namespace: app\nname: one\nkind: function.python\n"


def test_the_example_of_the_seed_loads(loaded):
    registry = loaded("""
version: "1.0"
namespace: app.queue
entries:
  - name: memory_driver
    kind: queue.driver.memory
    lifecycle:
      auto_start: true
  - name: tasks
    kind: queue.queue
    driver: app.queue:memory_driver
  - name: task_consumer
    kind: queue.consumer
    queue: app.queue:tasks
    func: app.queue:task_handler
    concurrency: 4
    prefetch: 20
    lifecycle:
      auto_start: true
      requires:
        - app.queue:tasks
  - name: task_handler
    kind: function.python
""")

    consumer = registry["app.queue:task_consumer"]
    assert (consumer.config.concurrency, consumer.config.prefetch) == (4, 20)
    assert consumer.config.lifecycle.auto_start is True
    assert [[str(each) for each in level] for level in registry.levels()] == [
        ["app.queue:memory_driver", "app.queue:task_handler"],
        ["app.queue:tasks"],
        ["app.queue:task_consumer"],
    ]


def test_bare_names_belong_to_the_namespace_of_the_entry_that_refers(loaded):
    registry = loaded({
        "a.yaml": "namespace: a\nentries:\n  - {name: driver, kind: queue.driver.memory}\n"
        "  - {name: q, kind: queue.queue, driver: driver, dead_letter: {queue: dead}, lifecycle: {requires: [dead]}}\n"
        "  - {name: dead, kind: queue.queue, driver: driver}\n",
        "b.yaml": "namespace: b\nentries:\n  - {name: driver, kind: queue.driver.memory}\n"
        "  - {name: q, kind: queue.queue, driver: driver, meta: {depends_on: driver}}\n",
    })  # fmt: skip

    assert registry["a:q"].config.dead_letter.queue == EntryID("a", "dead")
    assert [str(each) for each in registry["a:q"].dependencies] == ["a:dead", "a:driver"]
    assert [str(each) for each in registry["b:q"].dependencies] == ["b:driver"]


def test_yaml_yml_and_json_files_at_any_depth_are_read(loaded):
    entry = "namespace: {0}\nname: x\nkind: function.python\n"
    registry = loaded({
        "a.yaml": entry.format("a"),
        "b.yml": entry.format("b"),
        "c/d/e.json": '{\n\t"namespace": "c",\n\t"name": "x", "kind": "function.python", "method": "\\ud83d\\ude00"\n}',
        "BIG.YAML": "not: [read",
        "notes.txt": "not: [read",
    })  # fmt: skip

    assert [str(entry.id) for entry in registry] == ["a:x", "b:x", "c:x"]
    assert registry["c:x"].config.method == "😀"


@pytest.mark.parametrize(
    "name",
    [
        ".hidden/x.yaml",
        "a/.git/x.yaml",
        "node_modules/p/x.yaml",
        ".venv/x.yaml",
        "a/__pycache__/x.yaml",
        ".noria.yaml",
        "a/.noria.yaml",
    ],
)
def test_what_belongs_to_tools_is_not_read(loaded, name):
    assert len(loaded({name: ONE, "app.yaml": "namespace: app\nentries: []\n"})) == 0


def test_a_virtual_environment_is_not_read_whatever_it_is_called(loaded):
    assert len(loaded({"env/pyvenv.cfg": "home = /usr", "env/lib/x.yaml": ONE})) == 0


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# nothing yet\n",
        "services: {web: {image: x}}\n",
        "- a\n- list\n",
        "just text",
        "name: one\nkind: function.python\n",
        "kind: Deployment\n---\nkind: Service\n",
        "{{ a template }}\n\t{% that is no YAML %}\n",
        b"\xff\xfa\x00 no text at all",
        "key: !Ref something\n",
    ],
)
def test_other_peoples_yaml_files_are_left_alone(loaded, content):
    assert len(loaded({"other.yaml": content, "other.json": content})) == 0


def test_a_file_that_only_speaks_of_namespaces_is_left_alone(loaded):
    assert (
        len(loaded({"k8s.yaml": "metadata: {namespace: x}\nspec: !Ref y\n", "x.json": '{"a": "namespace"}'}))
        == 0
    )


def test_the_single_form_declares_one_entry(loaded):
    entry = loaded("version: 2\nnamespace: app\nname: one\nkind: function.python\nrequirements: [x]\nmeta: {team: core}\nmethod: go\n")["app:one"]  # fmt: skip

    assert (entry.kind, entry.data, entry.meta) == ("function.python", {"method": "go"}, {"team": "core"})


def test_data_may_stand_in_a_block_of_its_own(loaded):
    entry = loaded("namespace: app\nentries:\n  - name: one\n    kind: function.python\n    meta: {a: 1}\n    data: {method: go}\n")["app:one"]  # fmt: skip

    assert (entry.data, entry.config.method, entry.meta) == ({"method": "go"}, "go", {"a": 1})


def test_the_meta_of_the_file_lies_under_that_of_the_entry(loaded):
    registry = loaded("""
namespace: app
meta: {team: core, tags: [a, b]}
entries:
  - {name: one, kind: function.python}
  - {name: two, kind: function.python, meta: {tags: [c], level: 3}}
""")

    assert registry["app:one"].meta == {"team": "core", "tags": ["a", "b"]}
    assert registry["app:two"].meta == {"team": "core", "tags": ["c"], "level": 3}


def test_an_empty_list_of_entries_is_valid(loaded):
    assert len(loaded("namespace: app\nentries: []\n")) == 0
    assert len(loaded("namespace: app\nentries:\n")) == 0


def test_a_field_with_nothing_behind_it_has_its_default(loaded):
    entry = loaded("namespace: app\nname: x\nkind: queue.driver.memory\nlifecycle:\n")["app:x"]

    assert entry.config.lifecycle.start_timeout == 10.0
    assert entry.data == {"lifecycle": None}


def test_anchors_aliases_and_merge_keys_work(loaded):
    registry = loaded("""
namespace: app
x-defaults: &defaults
  lifecycle: &life {auto_start: true, start_timeout: 1m}
entries:
  - {name: driver, kind: queue.driver.memory, <<: *defaults}
  - {name: a, kind: queue.queue, driver: driver, lifecycle: {<<: *life, start_timeout: 5}}
  - {name: b, kind: queue.queue, driver: driver, options: {<<: [{a: 1}, {a: 2, b: 3}], c: 4}}
""")

    assert registry["app:driver"].config.lifecycle.start_timeout == 60
    assert registry["app:a"].config.lifecycle.auto_start is True
    assert registry["app:a"].config.lifecycle.start_timeout == 5
    assert registry["app:b"].config.options == {"a": 1, "b": 3, "c": 4}


def test_plain_words_and_times_are_texts_and_numbers_are_numbers(loaded):
    options = loaded("""
namespace: app
entries:
  - {name: driver, kind: queue.driver.memory}
  - name: q
    kind: queue.queue
    driver: driver
    options: {country: no, on: off, at: 12:30, day: 2026-01-31, zip: 01234, hex: 0x1F, oct: 0o17, big: 1e3,
              float: 1.5, yes: true, none: null, tilde: ~, inf: .inf, minus: -4, quoted: "12", text: !!str 12}
""")["app:q"].config.options

    assert options == {
        "country": "no",
        "on": "off",
        "at": "12:30",
        "day": "2026-01-31",
        "zip": "01234",
        "hex": 31,
        "oct": 15,
        "big": 1000.0,
        "float": 1.5,
        "yes": True,
        "none": None,
        "tilde": None,
        "inf": float("inf"),
        "minus": -4,
        "quoted": "12",
        "text": "12",
    }


def test_a_whole_number_is_good_enough_for_a_fraction(loaded):
    config = loaded(
        "namespace: a\nname: x\nkind: queue.driver.memory\nlifecycle: {restart: {backoff_factor: 3}}\n"
    )
    factor = config["a:x"].config.lifecycle.restart.backoff_factor

    assert (factor, type(factor)) == (3.0, float)


def test_dependencies_are_all_references_and_meta_depends_on_each_once(loaded):
    registry = loaded({
        "app.yaml": """
namespace: app
entries:
  - {name: driver, kind: queue.driver.memory, meta: {groups: [base]}}
  - {name: f, kind: function.python, meta: {groups: base}}
  - name: q
    kind: queue.queue
    driver: driver
    lifecycle: {requires: [f, driver]}
    meta: {groups: [base], depends_on: [other:x, "group:base", "ns:other", driver]}
  - {name: c, kind: queue.consumer, queue: q, func: f}
""",
        "other.yaml": "namespace: other\nentries:\n  - {name: x, kind: function.python}\n  - {name: y, kind: function.python}\n",
    })  # fmt: skip

    assert [str(each) for each in registry["app:q"].dependencies] == [
        "app:f",
        "app:driver",
        "other:x",
        "other:y",
    ]
    assert [str(each) for each in registry["app:c"].dependencies] == ["app:q", "app:f"]
    assert [str(each) for each in registry.dependents("app:f")] == ["app:c", "app:q"]


def test_entries_of_unknown_kinds_can_be_left_out(loaded):
    registry = loaded(
        "namespace: app\nentries:\n  - {name: web, kind: http.endpoint, path: /x, port: '${env:NOT_SET}'}\n"
        "  - {name: f, kind: function.python, meta: {depends_on: [web]}}\n",
        ignore_unknown_kinds=True,
    )

    [skipped] = registry.skipped
    assert (str(skipped.id), skipped.kind, str(skipped.source)) == (
        "app:web",
        "http.endpoint",
        "app.yaml:3:5",
    )
    assert [str(entry.id) for entry in registry] == ["app:f"]
    assert registry["app:f"].dependencies == ()


def test_a_reference_to_what_was_left_out_is_an_error(problems):
    content = (
        "namespace: app\nentries:\n  - {name: d, kind: queue.driver.redis}\n"
        "  - {name: q, kind: queue.queue, driver: d}\n"
    )

    assert problems(content, ignore_unknown_kinds=True) == [
        'app.yaml:4:42: app:q: driver: "app:d" was left out, because noria does not know its kind queue.driver.redis'
    ]
    assert len(problems(content)) == 1


def test_the_same_directory_always_gives_the_same_registry(loaded):
    files = {f"{name}.yaml": f"namespace: {name}\nname: x\nkind: function.python\n" for name in "cabfed"}
    first = loaded(files)
    again = loaded({})

    assert list(first) == list(again)
    assert [str(entry.id) for entry in first] == ["a:x", "b:x", "c:x", "d:x", "e:x", "f:x"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that even root cannot read")
def test_an_unreadable_file_is_told(problems, write, tmp_path):
    (tmp_path / "app.yaml").symlink_to("/proc/self/mem")
    write({})

    assert problems({}) == ["app.yaml: cannot be read: Input/output error"]


def test_a_linked_file_is_read_and_a_linked_directory_is_not_entered(loaded, write, tmp_path):
    directory = write({".kept/linked.yaml": ONE, ".other/x.yaml": ONE.replace("one", "two")})
    (directory / "linked.yaml").symlink_to(".kept/linked.yaml")
    (directory / "folder").symlink_to(".other")

    assert [str(entry.id) for entry in loaded({})] == ["app:one"]


def test_a_dangling_link_and_a_directory_named_like_a_file_are_no_files(loaded, write):
    directory = write(
        {"app.yaml": ONE, "x.yaml/inner.yaml": "namespace: b\nname: x\nkind: function.python\n"}
    )
    (directory / "dangling.yaml").symlink_to("nowhere")

    assert [str(entry.id) for entry in loaded({})] == ["app:one", "b:x"]


def test_an_entry_knows_where_its_fields_stand(loaded):
    entry = loaded("namespace: app\nentries:\n  - name: d\n    kind: queue.driver.memory\n    meta: {a: [1]}\n"
                   "    lifecycle:\n      requires: []\n")["app:d"]  # fmt: skip

    places = [
        "",
        "name",
        "kind",
        "meta.a[0]",
        "meta.b",
        "lifecycle.requires",
        "lifecycle.restart.x",
        "nothing",
    ]
    assert [f"{entry.place(path).line}:{entry.place(path).column}" for path in places] == [
        "3:5",
        "3:11",
        "4:11",
        "5:16",
        "5:5",
        "7:17",
        "6:5",
        "3:5",
    ]
    assert str(entry.problem("lifecycle.requires", "no good")) == (
        "app.yaml:7:17: app:d: lifecycle.requires: no good"
    )


def test_a_kind_of_somebody_else_is_as_good_as_ours(loaded, world):
    registry = loaded(
        "namespace: app\nentries:\n  - {name: d, kind: queue.driver.redis, url: 'redis://x'}\n"
        "  - {name: q, kind: queue.queue, driver: d}\n",
        Kinds([*world.KINDS, Kind("queue.driver.redis", Redis)]),
    )

    assert registry["app:d"].config == Redis(url="redis://x", database=0)


@attrs.define
class Redis:
    url: str
    database: int = 0
