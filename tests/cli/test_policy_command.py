"""policy explain."""

import pytest


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


def test_explain_shows_both_sides_and_no_secret(noria, tenants):
    policy = tenants / "more.yaml"
    policy.write_text(
        "namespace: app\nentries:\n"
        "  - name: keyed\n    kind: security.policy\n    groups: [team]\n"
        "    policy:\n      actions: funcs.call\n      resources: '*'\n      effect: allow\n"
        "      conditions: [{field: meta.key, operator: eq, value_from: actor.meta.key}]\n"
    )
    arguments = (
        "policy",
        "explain",
        tenants,
        "--as",
        "worker",
        "funcs.call",
        "app:handle",
        "--meta",
        "key=x",
    )
    result = noria(*arguments)

    assert "meta.key is 'x', actor.meta.key is <the value of ${env:ACME_KEY}>" in result.stdout
    assert "top-secret" not in result.stdout


@pytest.mark.parametrize(
    ("action", "resource", "note"),
    [
        (
            "funcs.call",
            "app:handel",
            "note: the application has no entry app:handel; did you mean app:handle?\n",
        ),
        ("funcs.call", "handle", "note: the application has no entry handle; did you mean app:handle?\n"),
        ("funcs.call", "app:tasks", "note: app:tasks is a queue.queue\n"),
        ("queue.publish.queue", "app:xyz", "note: the application has no entry app:xyz\n"),
        ("store.get", "app:taks", "note: the application has no entry app:taks; did you mean app:tasks?\n"),
        ("store.get", "cache:key", ""),
        ("funcs.call", "app:*", ""),
        ("funcs.call", "app:handle", ""),
        ("queue.publish", "", ""),
    ],
)
def test_explain_doubts_a_resource_that_is_probably_mistyped_and_answers(
    noria, tenants, action, resource, note
):
    result = noria("policy", "explain", tenants, "--as", "worker", action, resource)

    assert result.stderr == note
    assert result.stdout.startswith("May app:worker ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b"], "say which consumer asks: --as CONSUMER; there are app:free, app:worker"),
        (["--as", "wrker", "a", "b"], "consumer not found: wrker; did you mean worker?"),
        (
            ["--as", "acme", "a", "b"],
            "acme is the principal of app:worker; name the consumer: --as app:worker",
        ),
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
