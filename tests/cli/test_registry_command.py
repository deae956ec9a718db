"""registry list and show."""

import json

import pytest
import yaml


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


def test_registry_shows_neither_secrets_nor_files(noria, tenants):
    (tenants / "handlers.py").write_text("handler = print  # the-content\n")

    for form in ([], ["--json"], ["--yaml"], ["--raw"]):
        for entry in ("worker", "handle"):
            output = noria("registry", "show", tenants, entry, *form).stdout
            assert "top-secret" not in output
            assert "the-content" not in output
    assert "${env:ACME_KEY}" in noria("registry", "show", tenants, "worker").stdout
