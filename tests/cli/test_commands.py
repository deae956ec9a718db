"""check, graph, init, registry, policy, and what all commands share."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from noria.actors.cli import COMMANDS

POLICIES = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - name: worker
    kind: queue.consumer
    queue: tasks
    func: handle
    lifecycle:
      auto_start: true
      security:
        actor: {id: "acme", meta: {key: "${env:ACME_KEY}"}}
        policies: [few]
        groups: [team]
  - {name: free, kind: queue.consumer, queue: tasks, func: handle}
  - {name: handle, kind: function.python, source: file://handlers.py}
  - name: few
    kind: security.policy
    policy:
      actions: funcs.call
      resources: app:handle
      effect: allow
      conditions: [{field: meta.message.attempt, operator: lt, value: 3}]
  - name: never
    kind: security.policy
    groups: [team]
    policy: {actions: [queue.publish, queue.publish.queue], resources: "*", effect: deny}
"""


# ---- all commands --------------------------------------------------------------------------------------


def test_version_is_that_of_the_distribution(noria):
    from importlib.metadata import version

    assert noria("--version").output == f"noria {version('noria')}\n"


@pytest.mark.parametrize(
    "arguments",
    [(), *((name,) for name in COMMANDS), ("registry", "list"), ("registry", "show"), ("policy", "explain")],
)
def test_every_help_has_an_example(noria, arguments):
    result = noria(*arguments, "--help")

    assert result.exit_code == 0
    assert "Example:\n  noria" in result.output.replace("    noria", "  noria")


def test_help_lists_every_command(noria):
    output = noria("--help").output

    assert all(f"\n  {name} " in output for name in COMMANDS)


def test_an_unknown_command_names_the_nearest(noria):
    result = noria("chek")

    assert result.exit_code == 2
    assert "no such command: chek; did you mean check?" in result.stderr


def test_a_command_imports_only_what_it_needs():
    code = (
        "import sys; from noria.actors.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted(n for n in sys.modules if n.startswith('noria.actors.cli.') or n.startswith('rich')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "['noria.actors.cli.application']"


def test_a_broken_pipe_is_no_traceback(run, application):
    app = application()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code, _, stderr = run("registry", "list", app, stdout=writing)
    finally:
        os.close(writing)

    assert code == 1
    assert stderr == ""


def test_the_module_is_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "noria.actors.cli", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("noria ")


def test_ctrl_c_is_no_traceback(start, application, tmp_path):
    """While the program waits for another one, which tells through a named pipe that it has begun."""
    app, pipe = application(), tmp_path / "pipe"
    os.mkfifo(pipe)
    _program(
        tmp_path,
        f"open({str(pipe)!r}, 'w').close()\nimport os, sys, threading\nos.dup2(os.open(os.devnull, os.O_WRONLY), 2)\nthreading.Event().wait()\n",
    )
    running = start(
        "graph",
        app,
        "--format",
        "svg",
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    pipe.read_text()
    os.killpg(running.process.pid, signal.SIGINT)
    code, stdout, stderr = running.end()

    assert code == 130
    assert stdout == ""
    assert stderr.strip() == ""


# ---- check ---------------------------------------------------------------------------------------------


def test_check_says_what_it_found(noria, application):
    result = noria("check", application())

    assert result.exit_code == 0
    assert result.stderr == ""
    assert (
        result.stdout
        == "5 entries: 1 function.python, 1 queue.consumer, 1 queue.driver.memory, 2 queue.queue\n"
    )


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


# ---- graph ---------------------------------------------------------------------------------------------


def test_graph_draws_everything_from_left_to_right(noria, application):
    assert noria("graph", application()).stdout == (
        "flowchart LR\n"
        '    d1[("app:memory<br/>queue.driver.memory")]\n'
        '    q2[/"app:dead<br/>dead letters"/]\n'
        '    q3["app:tasks"]\n'
        '    c4(["app:worker<br/>2 workers, prefetch 10"])\n'
        '    f5[["app:handle<br/>function.python"]]\n'
        "    d1 --> q2\n"
        "    d1 --> q3\n"
        '    q3 -.->|"after 2 attempts"| q2\n'
        "    q3 --> c4\n"
        "    c4 --> f5\n"
    )


def test_graph_shows_policies_of_groups_and_the_principal(noria, application, monkeypatch):
    monkeypatch.setenv("ACME_KEY", "secret")
    output = noria("graph", application(POLICIES)).stdout

    assert "as acme" in output
    assert '{{"app:never<br/>deny queue.publish, queue.publish.queue"}}' in output
    assert output.count("-.-> c") == 2


def test_graph_shows_no_value_of_a_variable(noria, application, monkeypatch):
    monkeypatch.setenv("WHO", "secret-name")
    monkeypatch.setenv("HOW_MANY", "777")
    definition = POLICIES.replace('id: "acme"', 'id: "${env:WHO}"').replace("${env:ACME_KEY}", "x")
    app = application(definition.replace("func: handle}", 'func: handle, concurrency: "${env:HOW_MANY}"}'))

    for form in ("mermaid", "dot"):
        output = noria("graph", app, "--format", form).stdout
        assert "secret-name" not in output
        assert "777" not in output


def test_graph_escapes_what_would_be_markup(noria, application, monkeypatch):
    definition = POLICIES.replace('id: "acme"', "id: 'a\"b<c>\\d#e'").replace("${env:ACME_KEY}", "x")
    app = application(definition)

    assert "as a#34;b#60;c#62;#92;d#35;e" in noria("graph", app).stdout
    assert 'as a\\"b<c>\\\\d#e' in noria("graph", app, "--format", "dot").stdout


def test_graph_in_the_language_of_graphviz(noria, application):
    output = noria("graph", application(), "--format", "dot").stdout

    assert output.startswith("digraph noria {\n    rankdir=LR;\n")
    assert '    q3 -> q2 [label="after 2 attempts", style=dashed];\n' in output
    assert output.endswith("}\n")


def test_graph_of_a_third_partys_kind_shows_what_it_needs(application):
    from attrs import frozen

    from noria import registry
    from noria.actors.cli.picture import draw, mermaid
    from noria.actors.runtime import known_kinds

    @frozen(kw_only=True)
    class Report:
        queue: registry.EntryID = registry.reference("queue.queue")

    app = application(
        "namespace: app\nentries:\n"
        "  - {name: m, kind: queue.driver.memory}\n"
        "  - {name: q, kind: queue.queue, driver: m}\n"
        "  - {name: daily, kind: report.daily, queue: q}\n"
    )
    picture = draw(registry.load(app, known_kinds([registry.Kind("report.daily", Report)])))

    assert '    o3("app:daily<br/>report.daily")\n' in mermaid(picture)
    assert "    q2 --> o3\n" in mermaid(picture)


def test_graph_as_svg_says_what_to_install(noria, application, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = noria("graph", application(), "--format", "svg")

    assert result.exit_code == 2
    assert "needs the program dot, which is not installed: install Graphviz" in result.stderr


def _program(directory: Path, text: str) -> None:
    program = directory / "dot"
    program.write_text(f"#!{sys.executable}\n{text}")
    program.chmod(0o755)


def test_graph_as_svg_is_what_graphviz_makes_of_it(noria, application, monkeypatch, tmp_path):
    app = application()
    _program(tmp_path, "import sys; print('<svg>', sys.argv[1], len(sys.stdin.read()), '</svg>')")
    monkeypatch.setenv("PATH", str(tmp_path))
    size = len(noria("graph", app, "--format", "dot").stdout)

    assert noria("graph", app, "--format", "svg").stdout == f"<svg> -Tsvg {size} </svg>\n"


def test_graph_tells_why_graphviz_failed(noria, application, monkeypatch, tmp_path):
    app = application()
    _program(tmp_path, "import sys; sys.exit('no fonts')")
    monkeypatch.setenv("PATH", str(tmp_path))
    result = noria("graph", app, "--format", "svg")

    assert result.exit_code == 1
    assert result.stderr == "Error: dot failed: no fonts\n"


# ---- init ----------------------------------------------------------------------------------------------


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


# ---- registry ------------------------------------------------------------------------------------------


def test_registry_list_is_a_table_by_id(noria, application):
    assert noria("registry", "list", application()).stdout == (
        "ID          KIND\n"
        "----------  -------------------\n"
        "app:dead    queue.queue\n"
        "app:handle  function.python\n"
        "app:memory  queue.driver.memory\n"
        "app:tasks   queue.queue\n"
        "app:worker  queue.consumer\n"
        "\n"
        "Total: 5 entries\n"
    )


def test_registry_list_cuts_what_is_too_wide(noria, application):
    name = "n" * 60
    app = application(f"namespace: app\nentries:\n  - {{name: {name}, kind: queue.driver.memory}}\n")
    output = noria("registry", "list", app).stdout

    assert f"app:{'n' * 43}...  queue.driver.memory\n" in output
    assert "Total: 1 entry\n" in output


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["-k", "queue.queue"], ["app:dead", "app:tasks"]),
        (["--kind", "queue.*", "--name", "t*"], ["app:tasks"]),
        (["-n", "nobody"], []),
        (["--meta", "team=data"], ["app:tasks"]),
        (["--meta", "enabled=true"], ["app:tasks"]),
        (["--meta", "enabled=false"], []),
        (["--meta", "team~^d.t"], ["app:tasks"]),
        (["--meta", "team*at"], ["app:tasks"]),
        (["--meta", "tags*b"], ["app:tasks"]),
        (["--meta", "team^da"], ["app:tasks"]),
        (["--meta", "team$ta"], ["app:tasks"]),
        (["--meta", "team=data", "--meta", "enabled=no"], []),
        (["--meta", "team=d*a"], []),
    ],
)
def test_registry_list_filters(noria, application, options, found):
    result = noria("registry", "list", application(), "--json", *options)

    assert [entry["id"] for entry in json.loads(result.stdout)] == found


def test_registry_list_of_nothing_says_so(noria, application):
    assert noria("registry", "list", application(), "-k", "none").stdout == "No entries found\n"


@pytest.mark.parametrize(
    ("expression", "message"), [("team", "expected field=value"), ("team~[", "is no regular expression")]
)
def test_registry_list_explains_a_wrong_filter(noria, application, expression, message):
    result = noria("registry", "list", application(), "--meta", expression)

    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(("form", "read"), [("--json", json.loads), ("--yaml", yaml.safe_load)])
def test_registry_list_as_data(noria, application, form, read):
    listed = read(noria("registry", "list", application(), "-k", "queue.queue", form).stdout)

    assert listed == [
        {"id": "app:dead", "kind": "queue.queue", "meta": {}},
        {
            "id": "app:tasks",
            "kind": "queue.queue",
            "meta": {"team": "data", "enabled": True, "tags": ["a", "b"]},
        },
    ]


def test_registry_show_by_a_bare_name(noria, application):
    assert noria("registry", "show", application(), "handle").stdout == (
        "ID: app:handle\n"
        "Kind: function.python\n"
        "Source: app/app.yaml:22:5\n"
        "Data:\n"
        "  source: file://handlers.py\n"
    )


@pytest.mark.parametrize(("form", "read"), [("--json", json.loads), ("--yaml", yaml.safe_load)])
def test_registry_show_as_data(noria, application, form, read):
    assert read(noria("registry", "show", application(), "app:dead", form).stdout) == {
        "id": "app:dead",
        "kind": "queue.queue",
        "meta": {},
        "data": {"driver": "memory"},
    }


@pytest.mark.parametrize(
    ("options", "output"),
    [
        (["-f", "func"], "handle\n"),
        (["-f", "func", "--raw"], "handle"),
        (["-f", "func", "--json"], '"handle"\n'),
        (["-f", "concurrency"], "2\n"),
        (["-f", "lifecycle"], "auto_start: true\nstop_timeout: 5s\n"),
        (["-f", "lifecycle", "--raw"], "auto_start: true\nstop_timeout: 5s"),
    ],
)
def test_registry_show_of_one_field(noria, application, options, output):
    assert noria("registry", "show", application(), "worker", *options).stdout == output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["taks"], "entry not found: taks; did you mean tasks?"),
        (["app:taks"], "entry not found: app:taks; did you mean app:tasks?"),
        (["tasks", "-f", "drivr"], 'field "drivr" not found in entry data; did you mean driver?'),
    ],
)
def test_registry_show_names_the_nearest(noria, application, arguments, message):
    result = noria("registry", "show", application(), *arguments)

    assert result.exit_code == 2
    assert message in result.stderr


def test_registry_show_wants_a_full_id_where_a_name_is_ambiguous(noria, application):
    app = application(
        "namespace: a\nentries:\n  - {name: m, kind: queue.driver.memory}\n",
        **{"b.yaml": "namespace: b\nentries:\n  - {name: m, kind: queue.driver.memory}\n"},
    )
    result = noria("registry", "show", app, "m")

    assert result.exit_code == 2
    assert 'ambiguous entry name "m", use full ID (namespace:name): a:m, b:m' in result.stderr


def test_registry_shows_neither_secrets_nor_files(noria, application, monkeypatch):
    monkeypatch.setenv("ACME_KEY", "top-secret")
    app = application(POLICIES, "handler = print  # the-content\n")

    for form in ([], ["--json"], ["--yaml"], ["--raw"]):
        for entry in ("worker", "handle"):
            output = noria("registry", "show", app, entry, *form).stdout
            assert "top-secret" not in output
            assert "the-content" not in output
    assert "${env:ACME_KEY}" in noria("registry", "show", app, "worker").stdout


# ---- policy --------------------------------------------------------------------------------------------


@pytest.fixture
def tenants(application, monkeypatch):
    monkeypatch.setenv("ACME_KEY", "top-secret")
    return application(POLICIES)


def test_explain_tells_which_policies_apply_and_why(noria, tenants):
    result = noria(
        "policy",
        "explain",
        tenants,
        "--as",
        "worker",
        "funcs.call",
        "app:handle",
        "--meta",
        "message.attempt=2",
    )

    assert result.exit_code == 0
    assert result.stdout == (
        "May app:worker funcs.call on app:handle?\n"
        "  principal  acme\n"
        '  metadata   {"queue": "app:tasks", "consumer": "app:worker", "message": {"attempt": 2}}\n'
        "\n"
        "  applies         allow  app:few: actions and resources match and its rule holds\n"
        "  does not apply  deny   app:never: none of its actions (queue.publish, queue.publish.queue)"
        " matches 'funcs.call'\n"
        "\n"
        "allowed (allow): app:few allows it\n"
    )


def test_explain_exits_1_when_it_is_denied(noria, tenants):
    undecided = noria(
        "policy",
        "explain",
        tenants,
        "--as",
        "app:worker",
        "funcs.call",
        "app:handle",
        "--meta",
        "message.attempt=3",
    )
    denied = noria("policy", "explain", tenants, "--as", "worker", "queue.publish", "")

    assert undecided.exit_code == 1
    assert "  does not apply  allow  app:few: " in undecided.stdout
    assert undecided.stdout.endswith("denied (undefined): no policy allows it\n")
    assert denied.exit_code == 1
    assert denied.stdout.endswith("denied (deny): app:never denies it\n")


def test_explain_of_a_consumer_without_security(noria, tenants):
    open_ = noria("policy", "explain", tenants, "--as", "free", "funcs.call", "app:handle")
    (tenants / ".noria.yaml").write_text("security: {strict_mode: true}\n")
    strict = noria("policy", "explain", tenants, "--as", "free", "funcs.call", "app:handle")

    assert open_.exit_code == 0
    assert "principal  none" in open_.stdout
    assert "no policy was asked" in open_.stdout
    assert "strict mode is off" in open_.stdout
    assert strict.exit_code == 1
    assert "strict mode denies" in strict.stdout


def test_explain_shows_no_secret(noria, tenants):
    policy = tenants / "more.yaml"
    policy.write_text(
        "namespace: app\nentries:\n"
        "  - name: keyed\n    kind: security.policy\n    groups: [team]\n"
        "    policy:\n      actions: funcs.call\n      resources: '*'\n      effect: allow\n"
        "      conditions: [{field: actor.meta.key, operator: eq, value: other}]\n"
    )
    result = noria("policy", "explain", tenants, "--as", "worker", "funcs.call", "app:handle")

    assert "app:keyed" in result.stdout
    assert "top-secret" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--as", "wrker", "a", "b"], "consumer not found: wrker; did you mean worker?"),
        (["--as", "app:tasks", "a", "b"], "app:tasks is a queue.queue, not a queue.consumer"),
        (["--as", "worker", "a", "b", "--meta", "attempt"], "expected key=value"),
        (["--as", "worker", "a", "b", "--meta", "a..b=1"], "expected key=value"),
        (["--as", "worker", "a", "b", "--meta", "a=[1"], "the value is not YAML"),
    ],
)
def test_explain_explains_a_wrong_question(noria, tenants, arguments, message):
    result = noria("policy", "explain", tenants, *arguments)

    assert result.exit_code == 2
    assert message in result.stderr
