"""check and init."""


def test_check_says_what_it_found(noria, application):
    result = noria("check", application())

    assert result.exit_code == 0
    assert result.stderr == ""
    assert (
        result.stdout
        == "5 entries: 1 function.python, 1 queue.consumer, 1 queue.driver.memory, 2 queue.queue\n"
    )


def test_check_warns_of_a_consumer_that_nothing_starts(noria, application, definition):
    app = application(definition.replace("lifecycle: {auto_start: true, stop_timeout: 5s}", "prefetch: 1"))
    result = noria("check", app)

    assert result.exit_code == 0
    assert result.stderr == (
        "app/app.yaml:16:5: warning: app:worker will not start by itself: lifecycle.auto_start is not true\n"
    )


def test_check_does_not_warn_of_a_consumer_that_another_service_needs(noria, application, definition):
    app = application(
        definition.replace("lifecycle: {auto_start: true, stop_timeout: 5s}", "prefetch: 1"),
        **{
            "more.yaml": "namespace: more\nentries:\n"
            "  - {name: other, kind: queue.consumer, queue: app:tasks, func: app:handle,"
            " lifecycle: {auto_start: true, requires: [app:worker]}}\n"
        },
    )
    result = noria("check", app)

    assert result.exit_code == 0
    assert result.stderr == ""


def test_check_of_nothing_says_what_it_looked_for(noria, tmp_path):
    result = noria("check", tmp_path)

    assert result.exit_code == 0
    assert result.stdout.startswith("0 entries: no definition file below ")


def test_check_tells_every_error_with_its_place(noria, application):
    app = application(
        """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memori}
  - {name: worker, kind: queue.consumer, queue: tasks, func: handle, concurency: 2}
  - {name: handle, kind: function.python, source: file://handlers.py}
""",
        **{".noria.yaml": "shutdwn: {timeout: 1s}\n"},
    )
    result = noria("check", app)
    lines = result.stderr.splitlines()

    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.partition(": ")[0] for line in lines] == [
        "app/app.yaml:5:46",
        "app/app.yaml:6:70",
        "app/.noria.yaml:1:1",
    ]
    assert "memory" in lines[0]
    assert "concurrency" in lines[1]
    assert "shutdown" in lines[2]


def test_check_of_a_missing_directory_is_told_once(noria, tmp_path):
    result = noria("check", tmp_path / "nowhere")

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "there is no such application directory" in result.stderr


def test_check_skips_unknown_kinds_with_a_warning(noria, application):
    definition = "namespace: web\nentries:\n  - {name: home, kind: http.endpoint}\n"
    app = application(definition)

    refused = noria("check", app)
    skipped = noria("check", app, "--ignore-unknown-kinds")

    assert refused.exit_code == 2
    assert 'noria does not know "http.endpoint"' in refused.stderr
    assert skipped.exit_code == 0
    assert skipped.stderr == "app/app.yaml:3:5: warning: web:home is skipped: unknown kind http.endpoint\n"


def test_check_takes_overrides(noria, application):
    app = application()

    assert noria("check", app, "-o", "app:worker:concurrency=4").exit_code == 0
    refused = noria("check", app, "-o", "app:worker:concurrency=2000")
    assert refused.exit_code == 2
    assert "expected an integer from 1 to 1000" in refused.stderr


def test_init_writes_an_application_that_passes_check_and_run(noria, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = noria("init", "hello")
    steps = [line.strip() for line in written.stdout.splitlines() if line.startswith("  noria")]

    assert written.exit_code == 0
    assert steps == [
        "noria check hello",
        "noria run hello --publish app:greetings=hello/input.jsonl --until-idle",
        "noria graph hello",
    ]
    for step in steps:
        code, stdout, _ = run(*step.split()[1:])
        assert code == 0
        assert stdout


def test_init_names_the_directory_in_its_readme(noria, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noria("init", "my app")

    assert "noria check 'my app'" in (tmp_path / "my app" / "README.md").read_text()
    assert {path.name for path in (tmp_path / "my app").iterdir()} == {
        ".noria.yaml",
        "README.md",
        "app.yaml",
        "handlers.py",
        "input.jsonl",
    }


def test_init_takes_an_empty_directory(noria, tmp_path):
    assert noria("init", tmp_path).exit_code == 0


def test_init_overwrites_nothing(noria, tmp_path):
    (tmp_path / "precious").write_text("x")
    result = noria("init", tmp_path)

    assert result.exit_code == 2
    assert "is not empty (precious); nothing was written" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_init_refuses_a_file(noria, tmp_path):
    (tmp_path / "file").write_text("x")
    result = noria("init", tmp_path / "file")

    assert result.exit_code == 2
    assert "is a file; give a directory" in result.stderr


def test_init_says_why_it_cannot_write(noria, tmp_path):
    (tmp_path / "file").write_text("x")
    result = noria("init", tmp_path / "file" / "inside")

    assert result.exit_code == 2
    assert "Not a directory" in result.stderr
