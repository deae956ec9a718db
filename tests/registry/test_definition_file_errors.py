"""Broken definition files and, in full, what is said about them."""

import textwrap

import pytest

#: What makes entries of every kind complete; IDs end in what the kind is called.
GOOD = """
namespace: app
entries:
  - {name: driver, kind: queue.driver.memory}
  - {name: queue, kind: queue.queue, driver: driver}
  - {name: function, kind: function.python}
"""
KINDS = "function.python, queue.consumer, queue.driver.memory, queue.queue"
DURATION = 'a duration such as "1h30m", "250ms" or a number of seconds, of at least 0.001 seconds'

FILES = {
    "a tab indents": (
        "namespace: app\nentries:\n\t- name: x\n",
        ["app.yaml:3:1: not valid YAML: a tab cannot indent; use spaces"],
    ),
    "two colons": (
        "namespace: app\nentries: a: b\n",
        ["app.yaml:2:11: not valid YAML: mapping values are not allowed here"],
    ),
    "a bracket that is not closed": (
        "namespace: app\nentries: [1, 2\nmeta: {}\n",
        [
            (
                "app.yaml:3:5: not valid YAML: expected ',' or ']', but got ':' (while parsing a flow sequence "
                "that begins in line 2)"
            )
        ],
    ),
    "a quote that is not closed": (
        "namespace: 'app\nentries: []\n",
        [
            (
                "app.yaml:3:1: not valid YAML: found unexpected end of stream (while scanning a quoted scalar "
                "that begins in line 1)"
            )
        ],
    ),
    "an unknown alias": (
        "namespace: app\nentries: *nothing\n",
        ["app.yaml:2:10: not valid YAML: found undefined alias 'nothing'"],
    ),
    "an alias inside itself": (
        "namespace: app\nentries: &all [*all]\n",
        [
            "app.yaml:2:10: an alias that contains itself",
            "app.yaml:2:10: an entry is a mapping with `name` and `kind`, found nothing",
        ],
    ),
    "aliases that multiply": (
        "namespace: app\nentries: []\nx-a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"x-{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
            for old, new in zip("abcdefg", "bcdefgh", strict=True)
        ),
        ["app.yaml:3:34: too many values: aliases of aliases multiply"],
    ),
    "too deep": (
        f"namespace: app\nentries: {'[' * 80}{']' * 80}\n",
        [
            "app.yaml:2:11: an entry is a mapping with `name` and `kind`, found a list",
            "app.yaml:2:74: nested more than 64 levels deep",
        ],
    ),
    "far too deep": (
        f"namespace: app\nentries: {'[' * 100_000}\n",
        ["app.yaml: nested more than 64 levels deep"],
    ),
    "a key twice": (
        "namespace: app\nentries:\n  - name: f\n    kind: function.python\n    method: a\n    method: b\n",
        ['app.yaml:6:5: "method" is written twice here; first in line 5'],
    ),
    "a top-level key twice": (
        "namespace: app\nentries: []\nentries: []\n",
        ['app.yaml:3:1: "entries" is written twice here; first in line 2'],
    ),
    "keys that are not text": (
        "namespace: app\nentries: []\nmeta: {1: a, true: b, ~: c, [d]: e}\n",
        [
            'app.yaml:3:8: a key must be text, found 1; put it in quotes: "1"',
            'app.yaml:3:14: a key must be text, found true; put it in quotes: "true"',
            'app.yaml:3:23: a key must be text, found ~; put it in quotes: "~"',
            "app.yaml:3:29: a key must be text, found a list or mapping",
        ],
    ),
    "a tag": (
        "namespace: app\nentries: []\nmeta: {a: !secret x, b: !!int x, c: !!python/name:os.system y}\n",
        [
            "app.yaml:3:11: the tag !secret means nothing to noria",
            'app.yaml:3:25: "x" cannot be read as an integer',
            "app.yaml:3:37: the tag !!python/name:os.system means nothing to noria",
        ],
    ),
    "a number too long": (
        f"namespace: app\nentries: []\nmeta: {{a: {'9' * 5000}}}\n",
        [f'app.yaml:3:11: "{"9" * 59}…" cannot be read as an integer'],
    ),
    "a merge of no mapping": (
        "namespace: app\nentries: []\nmeta: {<<: 3}\n",
        ["app.yaml:3:12: `<<` merges a mapping or a list of mappings"],
    ),
    "a byte that is not UTF-8": (
        b"namespace: app\nentries: []\nmeta: {name: caf\xe9}\n",
        ["app.yaml:3:17: byte 0xe9 is not UTF-8; save the file as UTF-8"],
    ),
    "UTF-16": (
        "namespace: app".encode("utf-16"),
        ["app.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8"],
    ),
    "a control character": (
        "namespace: app\nentries: []\nmeta: {a: \x07}\n",
        ["app.yaml:3:11: the character U+0007 cannot stand in a definition file"],
    ),
    "two documents": (
        "namespace: app\nentries: []\n---\nnamespace: other\nentries: []\n",
        ["app.yaml:4:1: a second document begins here; a definition file holds one"],
    ),
    "entries without a namespace": (
        "entries: []\n",
        ["app.yaml:1:1: a definition file needs a `namespace`"],
    ),
    "a misspelt namespace": (
        "namepsace: app\nentries: []\n",
        [
            "app.yaml:1:1: a definition file needs a `namespace`",
            'app.yaml:1:1: namepsace: unknown field; did you mean "namespace"?',
        ],
    ),
    "an empty namespace": (
        "namespace:\nentries: []\n",
        ["app.yaml:1:11: a definition file needs a `namespace`"],
    ),
    "a namespace that is a number": (
        "namespace: 12\nentries: []\n",
        ["app.yaml:1:12: namespace: expected text, found 12"],
    ),
    "a namespace with a space": (
        "namespace: my app\nentries: []\n",
        [
            (
                "app.yaml:1:12: namespace: expected dot-separated words of letters, digits, _ and -, "
                'found the text "my app"'
            )
        ],
    ),
    "a namespace and nothing else": (
        "namespace: app\n",
        ["app.yaml:1:1: a definition file needs `entries`, or one entry's `name` and `kind`"],
    ),
    "misspelt entries": (
        "namespace: app\nentires: []\n",
        ['app.yaml:2:1: entires: unknown field; did you mean "entries"?'],
    ),
    "an unknown field of the file": (
        "namespace: app\nentries: []\ncolour: red\n",
        ["app.yaml:3:1: colour: unknown field; a definition file has version, namespace, meta and entries"],
    ),
    "entries that are no list": (
        "namespace: app\nentries: {name: x}\n",
        ["app.yaml:2:10: entries: expected a list, found a mapping"],
    ),
    "one entry without a kind": (
        "namespace: app\nname: x\nmethod: y\n",
        ["app.yaml:1:1: one entry by itself needs `name` and `kind`; `kind` is missing"],
    ),
    "one entry and entries": (
        "namespace: app\nname: x\nkind: function.python\nentries: []\n",
        ["app.yaml:4:1: either `entries`, or one entry's `name` and `kind`; found both"],
    ),
    "a version that is a list": (
        "version: [1]\nnamespace: app\nentries: []\n",
        ["app.yaml:1:10: version: expected text or a number, found a list"],
    ),
    "meta that is no mapping": (
        "namespace: app\nmeta: x\nentries: []\n",
        ['app.yaml:2:7: meta: expected a mapping, found the text "x"'],
    ),
    "an entry that is no mapping": (
        "namespace: app\nentries: [x, 3]\n",
        [
            'app.yaml:2:11: an entry is a mapping with `name` and `kind`, found the text "x"',
            "app.yaml:2:14: an entry is a mapping with `name` and `kind`, found 3",
        ],
    ),
    "entries without name or kind": (
        "namespace: app\nentries:\n  - kind: function.python\n  - name: x\n  - nmae: y\n    kind: function.python\n",
        [
            "app.yaml:3:5: an entry needs a `name`",
            "app.yaml:4:5: app:x: an entry needs a `kind`",
            'app.yaml:5:5: an entry needs a `name`; did you mean `name` by "nmae"?',
        ],
    ),
    "names that are no names": (
        (
            "namespace: app\nentries:\n  - {name: 12, kind: function.python}\n  - {name: a b, kind: function.python}\n"
            "  - {name: '', kind: function.python}\n  - {name: x, kind: [y]}\n"
        ),
        [
            'app.yaml:3:12: name: expected text, found 12; put it in quotes: "12"',
            'app.yaml:4:12: name: "a b" is no entry name: a name is letters, digits, _, -, . and /',
            'app.yaml:5:12: name: expected text, found the text ""',
            "app.yaml:6:21: app:x: kind: expected text, found a list",
        ],
    ),
    "an unknown kind": (
        "namespace: app\nentries:\n  - {name: x, kind: queue.quue}\n  - {name: y, kind: http.endpoint}\n",
        [
            (
                f'app.yaml:3:21: app:x: kind: noria does not know "queue.quue"; did you mean "queue.queue"? '
                f"Known kinds: {KINDS}"
            ),
            f'app.yaml:4:21: app:y: kind: noria does not know "http.endpoint". Known kinds: {KINDS}',
        ],
    ),
    "a field beside data": (
        "namespace: app\nentries:\n  - {name: x, kind: function.python, data: {method: a}, method: b}\n",
        ["app.yaml:3:57: app:x: method: `data` holds the fields of this entry, so they all belong inside it"],
    ),
    "data that is no mapping": (
        "namespace: app\nentries:\n  - {name: x, kind: function.python, data: [a]}\n",
        ["app.yaml:3:44: app:x: data: expected a mapping, found a list"],
    ),
    "the same ID twice": (
        "namespace: app\nentries:\n  - {name: x, kind: function.python}\n  - {name: x, kind: function.python}\n",
        ["app.yaml:4:5: app:x: declared twice; first at app.yaml:3:5"],
    ),
}

#: A line of an entry that comes after GOOD, so it is line 7 and its fields begin in column 5.
ENTRIES = {
    "an unknown field": (
        "{name: c, kind: queue.consumer, queue: queue, func: function, concurency: 4}",
        ['7:67: app:c: concurency: unknown field; did you mean "concurrency"?'],
    ),
    "an unknown field like none": (
        "{name: f, kind: function.python, language: cobol}",
        ["7:38: app:f: language: unknown field; known are source, method and meta"],
    ),
    "a misspelt meta": (
        "{name: f, kind: function.python, mata: {}}",
        ['7:38: app:f: mata: unknown field; did you mean "meta"?'],
    ),
    "an unknown field inside": (
        "{name: q, kind: queue.queue, driver: driver, lifecycle: {restart: {max_atempts: 1}}}",
        ['7:72: app:q: lifecycle.restart.max_atempts: unknown field; did you mean "max_attempts"?'],
    ),
    "required fields that are missing": (
        "{name: c, kind: queue.consumer, func:}",
        [
            "7:5: app:c: queue: required, but not given; expected the ID of an entry of kind queue.queue",
            "7:42: app:c: func: required, but not given; expected the ID of an entry of kind function.*",
        ],
    ),
    "a required field missing inside": (
        "{name: q, kind: queue.queue, driver: driver, dead_letter: {max_attempts: 3}}",
        [
            "7:50: app:q: dead_letter.queue: required, but not given; expected the ID of an entry of kind queue.queue"
        ],
    ),
    "numbers out of range": (
        "{name: c, kind: queue.consumer, queue: queue, func: function, concurrency: 2000, prefetch: 0}",
        [
            "7:80: app:c: concurrency: expected an integer from 1 to 1000, found 2000",
            "7:96: app:c: prefetch: expected an integer from 1 to 10000, found 0",
        ],
    ),
    "something else for a number": (
        "{name: c, kind: queue.consumer, queue: queue, func: function, concurrency: true, prefetch: 1.5}",
        [
            "7:80: app:c: concurrency: expected an integer from 1 to 1000, found true",
            "7:96: app:c: prefetch: expected an integer from 1 to 10000, found 1.5",
        ],
    ),
    "text for a number": (
        "{name: c, kind: queue.consumer, queue: queue, func: function, concurrency: '4', prefetch: [1]}",
        [
            '7:80: app:c: concurrency: expected an integer from 1 to 1000, found the text "4"',
            "7:95: app:c: prefetch: expected an integer from 1 to 10000, found a list",
        ],
    ),
    "a number for text": (
        "{name: q, kind: queue.queue, driver: driver, queue_name: 1.10}",
        ['7:62: app:q: queue_name: expected text, found 1.10; put it in quotes: "1.10"'],
    ),
    "true for text": (
        "{name: f, kind: function.python, method: true}",
        ['7:46: app:f: method: expected text, found true; put it in quotes: "true"'],
    ),
    "text for true or false": (
        "{name: c, kind: queue.consumer, queue: queue, func: function, auto_ack: yes}",
        ['7:77: app:c: auto_ack: expected true or false, found the text "yes"'],
    ),
    "text for a mapping": (
        "{name: q, kind: queue.queue, driver: driver, options: max, lifecycle: []}",
        [
            '7:59: app:q: options: expected a mapping, found the text "max"',
            "7:75: app:q: lifecycle: expected a mapping, found a list",
        ],
    ),
    "text for a list": (
        "{name: q, kind: queue.queue, driver: driver, lifecycle: {requires: driver}}",
        [
            '7:72: app:q: lifecycle.requires: expected a list, found the text "driver"; write it as a list: [driver]'
        ],
    ),
    "a word that is none of the two": (
        "{name: q, kind: queue.queue, driver: driver, lifecycle: {startup: optionl}}",
        [
            (
                '7:71: app:q: lifecycle.startup: expected "required" or "optional", found the text "optionl"; '
                'did you mean "optional"?'
            )
        ],
    ),
    "no duration": (
        "{name: c, kind: queue.consumer, queue: queue, func: function, timeout: soon, lifecycle: {start_timeout: -1}}",
        [
            f'7:76: app:c: timeout: expected {DURATION}, found the text "soon"',
            f"7:109: app:c: lifecycle.start_timeout: expected {DURATION}, found -1",
        ],
    ),
    "a list for text from a file": (
        "{name: f, kind: function.python, source: [a]}",
        ["7:46: app:f: source: expected text or a file:// value, found a list"],
    ),
    "a reference to nothing": (
        "{name: c, kind: queue.consumer, queue: queu, func: other:function}",
        [
            '7:44: app:c: queue: there is no entry "app:queu"; did you mean "app:queue"?',
            '7:56: app:c: func: there is no entry "other:function"; did you mean "app:function"?',
        ],
    ),
    "a reference like none": (
        "{name: c, kind: queue.consumer, queue: xyz, func: aps:functio}",
        [
            '7:44: app:c: queue: there is no entry "app:xyz"',
            '7:55: app:c: func: there is no entry "aps:functio"; did you mean "app:function"?',
        ],
    ),
    "a reference of the wrong kind": (
        "{name: c, kind: queue.consumer, queue: driver, func: queue}",
        [
            (
                '7:44: app:c: queue: expected an entry of kind queue.queue, found "app:driver", which is a '
                "queue.driver.memory"
            ),
            '7:58: app:c: func: expected an entry of kind function.*, found "app:queue", which is a queue.queue',
        ],
    ),
    "a reference in a list": (
        "{name: q, kind: queue.queue, driver: driver, lifecycle: {requires: [driver, drivr, 'a b', 3]}}",
        [
            '7:81: app:q: lifecycle.requires[1]: there is no entry "app:drivr"; did you mean "app:driver"?',
            '7:88: app:q: lifecycle.requires[2]: "a b" is no entry name: a name is letters, digits, _, -, . and /',
            "7:95: app:q: lifecycle.requires[3]: expected an entry ID, namespace:name, found 3",
        ],
    ),
    "a group where an ID belongs": (
        "{name: q, kind: queue.queue, driver: driver, lifecycle: {requires: ['group:x']}}",
        [
            (
                '7:73: app:q: lifecycle.requires[0]: there is no entry "group:x"; the form `group:` is for '
                "meta.depends_on"
            )
        ],
    ),
    "a reference that is no ID": (
        "{name: q, kind: queue.queue, driver: 3}",
        ["7:42: app:q: driver: expected the ID of an entry of kind queue.driver.*, found 3"],
    ),
    "broken references beside other errors": (
        "{name: c, kind: queue.consumer, queue: driver, func: functio, prefetch: 0}",
        [
            (
                '7:44: app:c: queue: expected an entry of kind queue.queue, found "app:driver", which is a '
                "queue.driver.memory"
            ),
            '7:58: app:c: func: there is no entry "app:functio"; did you mean "app:function"?',
            "7:77: app:c: prefetch: expected an integer from 1 to 10000, found 0",
        ],
    ),
    "what meta.depends_on cannot mean": (
        "{name: f, kind: function.python, meta: {groups: [core], depends_on: [qeue, 'group:cor', 'ns:ap', 'a b', 3]}}",
        [
            '7:74: app:f: meta.depends_on[0]: there is no entry "app:qeue"; did you mean "app:queue"?',
            '7:80: app:f: meta.depends_on[1]: no entry is in the group "cor"; did you mean "core"?',
            '7:93: app:f: meta.depends_on[2]: no entry is in the namespace "ap"; did you mean "app"?',
            '7:102: app:f: meta.depends_on[3]: "a b" is no entry name: a name is letters, digits, _, -, . and /',
            '7:109: app:f: meta.depends_on[4]: expected an entry ID, "group:name" or "ns:namespace", found 3',
        ],
    ),
    "a missing file": (
        "{name: f, kind: function.python, source: file://nowhere.py}",
        ['7:46: app:f: source: "file://nowhere.py": there is no such file; looked for nowhere.py'],
    ),
    "a missing variable": (
        "{name: f, kind: function.python, method: '${env:METHOD}'}",
        [
            (
                "7:46: app:f: method: the environment variable METHOD is not set; set it, or give it a default: "
                "${env:METHOD|default}"
            )
        ],
    ),
    "a broken placeholder": (
        "{name: f, kind: function.python, method: '${env:my-method}'}",
        [
            (
                "7:46: app:f: method: a broken placeholder: write ${env:NAME} or ${env:NAME|default}, or $${ for a "
                "plain ${"
            )
        ],
    ),
    "a placeholder of another program": (
        "{name: f, kind: function.python, method: '${METHOD|handler}'}",
        ["7:46: app:f: method: write ${env:METHOD|…} for an environment variable, or $${ for a plain ${"],
    ),
}


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=list(FILES))
def test_a_broken_file_is_told_in_full(problems, content, expected):
    assert problems({"app.yaml": content}) == expected


@pytest.mark.parametrize(("entry", "expected"), ENTRIES.values(), ids=list(ENTRIES))
def test_a_broken_entry_is_told_in_full(problems, entry, expected):
    assert problems(f"{GOOD}  - {entry}\n") == [f"app.yaml:{line}" for line in expected]


def test_everything_that_is_wrong_in_a_directory_is_told_at_once(problems):
    files = {
        "b.yaml": "namespace: b\nentries: a: b\n",
        "a.yml": "namespace: a\nentries:\n  - {name: x, kind: function.python, metod: y}\n",
        "deep/er/c.json": '{"namespace": "c",\n\t"entries": [{"name": "q", "kind": "queue.queue"}]}',
    }

    assert problems(files) == [
        'a.yml:3:38: a:x: metod: unknown field; did you mean "method"?',
        "b.yaml:2:11: not valid YAML: mapping values are not allowed here",
        "deep/er/c.json:2:14: c:q: driver: required, but not given; expected the ID of an entry of kind queue.driver.*",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"namespace" "a"}', "app.json:1:14: not valid JSON: Expecting ':' delimiter"),
        ('{"namespace": "a" "entries": []}', "app.json:1:19: not valid JSON: Expecting ',' delimiter"),
        (
            '{"namespace": "a",\n "entries": [],\n "entries": []}',
            'app.json:3:2: "entries" is written twice here; first in line 2',
        ),
        (
            '{"namespace": "a", "entries": [], "meta": {"a": "\\ud83d"}}',
            'app.json:1:49: "\\ud83d" cannot be read as text',
        ),
    ],
)
def test_broken_json_is_told_with_its_place(problems, content, expected):
    assert problems({"app.json": content}) == [expected]


def test_the_same_id_in_two_files_names_both(problems):
    entry = "namespace: app\nname: x\nkind: function.python\n"

    assert problems({"one.yaml": entry, "two/two.yaml": entry}) == [
        "two/two.yaml:1:1: app:x: declared twice; first at one.yaml:1:1"
    ]


def test_a_problem_in_merged_values_stands_where_they_are_written(problems):
    content = textwrap.dedent("""
        namespace: app
        x-defaults: &defaults
          method: 12
        entries:
          - name: one
            kind: function.python
            <<: *defaults
    """)

    assert problems(content) == [
        'app.yaml:4:11: app:one: method: expected text, found 12; put it in quotes: "12"'
    ]


def test_cycles_are_shown_with_their_way(problems):
    content = GOOD + textwrap.dedent("""\
          - {name: b, kind: queue.queue, driver: driver, dead_letter: {queue: c}}
          - {name: a, kind: queue.queue, driver: driver, dead_letter: {queue: b}}
          - {name: c, kind: queue.queue, driver: driver, lifecycle: {requires: [function, a]}}
          - {name: x, kind: function.python, meta: {depends_on: y}}
          - {name: y, kind: function.python, meta: {depends_on: ['app:x']}}
          - {name: z, kind: function.python, meta: {depends_on: x}}
    """).replace("- {", "  - {")

    assert problems(content) == [
        "app.yaml:8:71: app:a: dead_letter.queue: dependency cycle: app:a -> app:b -> app:c -> app:a",
        "app.yaml:10:57: app:x: meta.depends_on: dependency cycle: app:x -> app:y -> app:x",
    ]


def test_an_application_directory_that_is_not_there(problems, write, tmp_path):
    from noria.registry import ConfigurationError, load

    write({"app.yaml": GOOD})
    told = []
    for path in ("nowhere", "no/where", "app.yaml"):
        with pytest.raises(ConfigurationError) as caught:
            load(path, [])
        told += map(str, caught.value.problems)

    assert told == [
        "nowhere: there is no such application directory",
        "no/where: there is no such application directory; no does not exist either",
        "app.yaml: not a directory; noria loads an application directory",
    ]


def test_a_current_directory_that_was_deleted(tmp_path, monkeypatch):
    from noria.registry import ConfigurationError, load, load_settings

    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    told = []
    for path in ("app", "."):
        with pytest.raises(ConfigurationError) as caught:
            load(path, [])
        told += map(str, caught.value.problems)

    assert told == [
        f"{path}: the current directory was deleted, so there is nothing below it" for path in ("app", ".")
    ]
    with pytest.raises(ConfigurationError, match="was deleted"):
        load_settings("app", dict)
    assert not load(tmp_path, []).skipped


def test_a_problem_carries_its_parts(write, world):
    from noria.registry import ConfigurationError, EntryID, load

    directory = write({"app.yaml": GOOD + "  - {name: f, kind: function.python, method: 1}\n"})
    with pytest.raises(ConfigurationError) as caught:
        load(directory, world.KINDS)

    [problem] = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (directory / "app.yaml", 7, 46)
    assert (problem.entry, problem.field) == (EntryID("app", "f"), "method")
    assert problem.message == 'app:f: method: expected text, found 1; put it in quotes: "1"'
    assert not caught.value.retryable


def test_a_file_outside_of_the_current_directory_is_told_by_its_whole_path(write, world, monkeypatch):
    from noria.registry import ConfigurationError, load

    directory = write({"app/app.yaml": "namespace: app\n", "elsewhere/x": ""})
    monkeypatch.chdir(directory / "elsewhere")
    with pytest.raises(ConfigurationError) as caught:
        load("../app", world.KINDS)

    assert str(caught.value).startswith(f"{directory}/app/app.yaml:1:1: ")
