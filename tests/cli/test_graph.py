"""graph, and Ctrl-C while another program works."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest


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


def test_graph_shows_policies_of_groups_and_the_principal(noria, tenants):
    output = noria("graph", tenants).stdout

    assert "as acme" in output
    assert '{{"app:never<br/>deny queue.publish, queue.publish.queue"}}' in output
    assert output.count("-.-> c") == 2


def test_graph_shows_no_value_of_a_variable(noria, application, policies, monkeypatch):
    monkeypatch.setenv("WHO", "secret-name")
    monkeypatch.setenv("HOW_MANY", "777")
    definition = policies.replace('id: "acme"', 'id: "${env:WHO}"').replace("${env:ACME_KEY}", "x")
    app = application(definition.replace("func: handle}", 'func: handle, concurrency: "${env:HOW_MANY}"}'))

    for form in ("mermaid", "dot"):
        output = noria("graph", app, "--format", form).stdout
        assert "secret-name" not in output
        assert "777" not in output


def test_graph_escapes_what_would_be_markup(noria, application, policies):
    definition = policies.replace('id: "acme"', "id: 'a\"b<c>\\d#e'").replace("${env:ACME_KEY}", "x")
    app = application(definition)

    assert "as a#34;b#60;c#62;#92;d#35;e" in noria("graph", app).stdout
    assert 'as a\\"b<c>\\\\d#e' in noria("graph", app, "--format", "dot").stdout


def test_graph_in_the_language_of_graphviz(noria, application):
    output = noria("graph", application(), "--format", "dot").stdout

    assert output.startswith("digraph noria {\n    rankdir=LR;\n")
    assert (
        '    q3 -> q2 [label="after 2 attempts", color="#c2504a", fontcolor="#c2504a", style=dashed];\n'
        in output
    )
    assert "    q3 -> c4;\n" in output
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


PUBLISHES = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: a, kind: queue.queue, driver: memory}
  - {name: b, kind: queue.queue, driver: memory}
  - {name: one, kind: function.python, source: file://handlers.py, method: handler, meta: {publishes: a}}
  - {name: two, kind: function.python, source: file://handlers.py, method: handler, meta: {publishes: [a, "app:b"]}}
  - {name: odd, kind: function.python, source: file://handlers.py, method: handler, meta: {publishes: [aa, 7, {}]}}
"""


def test_graph_draws_where_a_function_says_that_it_publishes(noria, application):
    app = application(PUBLISHES)
    result = noria("graph", app)
    lines = [line.strip() for line in result.stdout.splitlines() if "publishes" in line]

    assert lines == [
        'f5 -.->|"publishes"| q2',
        'f6 -.->|"publishes"| q2',
        'f6 -.->|"publishes"| q3',
    ]
    assert "f6 -> q3 [" in noria("graph", app, "--format", "dot").stdout


def test_graph_warns_of_a_publishes_that_is_no_queue(noria, application):
    lines = noria("graph", application(PUBLISHES)).stderr.splitlines()

    assert (
        lines[0]
        == "app/app.yaml:9:5: warning: app:odd: meta.publishes names app:aa, which is no queue; did you mean app:a?"
    )
    assert len(lines) == 2


def test_graph_speaks_of_one_worker(noria, application):
    output = noria("graph", application(), "-o", "app:worker:concurrency=1").stdout

    assert "1 worker, prefetch" in output


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
@pytest.mark.parametrize("name", ["tasks", "tenants", "census", "topologies/retry"])
def test_graphviz_draws_every_entry_of_an_example(noria, name):
    example = Path(__file__).parents[2] / "examples" / name
    svg = noria("graph", example, "--format", "svg").stdout
    listed = json.loads(noria("registry", "list", example, "--json").stdout)

    assert svg.startswith("<?xml")
    assert [entry["id"] for entry in listed if f">{entry['id']}<" not in svg] == []


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
