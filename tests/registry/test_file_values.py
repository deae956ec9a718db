"""`file://` values (spec, registry 1.4)."""

import pytest

FUNCTION = "namespace: app\nname: f\nkind: function.python\nsource: {0}\n"


def source(loaded, value, files=(), at="app.yaml"):
    return loaded({at: FUNCTION.format(value), **dict(files)})["app:f"]


@pytest.mark.parametrize(
    ("value", "file"),
    [
        ("file://handlers.py", "sub/handlers.py"),
        ("file://./more/handlers.py", "sub/more/handlers.py"),
        ("file://../handlers.py", "handlers.py"),
        ("file:///handlers.py", "handlers.py"),
        ("file:///sub/handlers.py", "sub/handlers.py"),
        ("file:////handlers.py", "handlers.py"),
    ],
)
def test_a_file_is_found_from_the_definition_file_or_from_the_application(loaded, tmp_path, value, file):
    entry = source(loaded, value, {file: "def handler(body): ...\n"}, at="sub/app.yaml")

    assert entry.config.source == "def handler(body): ...\n"
    assert entry.config.source.path == tmp_path / file
    assert entry.data == {"source": value}


def test_text_that_stands_in_the_definition_file_has_no_path(loaded):
    assert source(loaded, "'x = 1'").config.source.path is None


def test_what_a_file_says_is_taken_as_it_is(loaded):
    entry = source(loaded, "file://x.py", {"x.py": "\ufeff${env:NOT_SET} $${ file://y\r\n"})

    assert entry.config.source == "${env:NOT_SET} $${ file://y\r\n"


def test_a_variable_cannot_choose_a_file(loaded):
    content = FUNCTION.format("${env:SOURCE}")
    entry = loaded({"app.yaml": content, "x.py": "x = 1"}, environ={"SOURCE": "file://x.py"})["app:f"]

    assert entry.config.source == "file://x.py"
    assert entry.config.source.path is None


def test_files_are_read_wherever_a_text_stands(loaded):
    content = (
        "namespace: app\nentries:\n  - {name: d, kind: queue.driver.memory}\n"
        "  - {name: q, kind: queue.queue, driver: d, queue_name: 'file://name.txt', options: {a: ['file://name.txt']}}\n"
    )
    config = loaded({"app.yaml": content, "name.txt": "jobs"})["app:q"].config

    assert (config.queue_name, config.options) == ("jobs", {"a": ["jobs"]})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("file://", '"file://" names no file'),
        ("file://.", '"file://." names no file'),
        ("file:///", '"file:///" names no file'),
        ("file://../../etc/passwd", '"file://../../etc/passwd" leaves the application directory'),
        ("file:///../x", '"file:///../x" leaves the application directory'),
        ("file://..", '"file://.." leaves the application directory'),
        ("file://out/secret.txt", '"file://out/secret.txt" leaves the application directory'),
        ("file://x.py", '"file://x.py": there is no such file; looked for x.py'),
        ("file://folder", '"file://folder" cannot be read: Is a directory'),
        ("file://binary", '"file://binary" is not UTF-8 text'),
        ("'file://${env:NAME}'", "a file:// value cannot hold ${env:…}"),
    ],
)
def test_a_file_that_cannot_be_had_is_told(problems, write, tmp_path, value, text):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    directory = write({"folder/x": "", "binary": b"\xff\xfe\x00"})
    (directory / "out").symlink_to(outside)

    assert problems({"app.yaml": FUNCTION.format(value)}) == [f"app.yaml:4:9: app:f: source: {text}"]


def test_a_wrong_value_from_a_file_is_told_by_the_name_of_the_file(problems):
    content = "namespace: app\nname: d\nkind: queue.driver.memory\nlifecycle: file://life.txt\n"

    assert problems({"app.yaml": content, "life.txt": "private"}) == [
        'app.yaml:4:12: app:d: lifecycle: expected a mapping, found the content of "file://life.txt"'
    ]
