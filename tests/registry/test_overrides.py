"""Overrides (spec, registry 1.8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.registry.placeholders import coerce

APP = """
namespace: app.queue
entries:
  - {name: driver, kind: queue.driver.memory}
  - {name: q, kind: queue.queue, driver: driver, options: {a: {b: 1}}, meta: {team: core}}
  - {name: c.one, kind: queue.consumer, queue: q, func: f, concurrency: 2}
  - {name: f, kind: function.python}
"""


@pytest.mark.parametrize(
    ("override", "entry", "path", "value"),
    [
        ("app.queue:c.one:concurrency=4", "c.one", "concurrency", 4),
        ("app.queue:c.one:data.concurrency=4", "c.one", "concurrency", 4),
        ("app.queue:c.one:.concurrency=4", "c.one", "concurrency", 4),
        ("app.queue:c.one:auto_ack=TRUE", "c.one", "auto_ack", True),
        ("app.queue:c.one:timeout=1m", "c.one", "timeout", 60.0),
        ("app.queue:c.one:timeout=15", "c.one", "timeout", 15.0),
        ("app.queue:c.one:concurrency=${env:N}", "c.one", "concurrency", 7),
        ("app.queue:q:queue_name=123", "q", "queue_name", "123"),
        ("app.queue:q:queue_name=true", "q", "queue_name", "true"),
        ("app.queue:q:queue_name=a=b:c", "q", "queue_name", "a=b:c"),
        ("app.queue:q:queue_name=", "q", "queue_name", ""),
        ("app.queue:q:queue_name=file:///name.txt", "q", "queue_name", "jobs"),
        ("app.queue:q:options.a=1.5", "q", "options", {"a": 1.5}),
        ("app.queue:q:options.a.b=x", "q", "options", {"a": {"b": "x"}}),
        ("app.queue:q:options.a.b.c=1e3", "q", "options", {"a": {"b": {"c": 1000.0}}}),
        ("app.queue:q:options.z.y=false", "q", "options", {"a": {"b": 1}, "z": {"y": False}}),
        ("app.queue:q:lifecycle.start_timeout=250ms", "q", "lifecycle.start_timeout", 0.25),
        ("app.queue:q:lifecycle.startup=optional", "q", "lifecycle.startup", "optional"),
    ],
)
def test_an_override_replaces_a_field(loaded, override, entry, path, value):
    registry = loaded({"app.yaml": APP, "name.txt": "jobs"}, overrides=[override], environ={"N": "7"})

    found = registry[f"app.queue:{entry}"].config
    for step in path.split("."):
        found = getattr(found, step)
    assert (found, type(found) is type(value) or isinstance(found, str)) == (value, True)


def test_meta_and_kind_can_be_overridden(loaded):
    registry = loaded(
        f"{APP}  - {{name: spare, kind: function.python}}\n",
        overrides=[
            "app.queue:spare:kind=queue.driver.memory",
            "app.queue:q:driver=app.queue:spare",
            "app.queue:q:meta.team.lead=Ada",
        ],
    )

    assert registry["app.queue:spare"].kind == "queue.driver.memory"
    assert registry["app.queue:q"].meta == {"team": {"lead": "Ada"}}


def test_what_an_override_says_is_what_the_entry_shows(loaded):
    registry = loaded(
        APP, overrides=["app.queue:c.one:concurrency=${env:N}", "app.queue:q:options.x=3"], environ={"N": "5"}
    )

    assert registry["app.queue:c.one"].data["concurrency"] == "${env:N}"
    assert registry["app.queue:q"].data["options"] == {"a": {"b": 1}, "x": 3}


def test_of_two_overrides_of_a_field_the_later_wins(loaded):
    overrides = [f"app.queue:c.one:concurrency={number}" for number in (3, 5, 4)]

    assert loaded(APP, overrides=overrides)["app.queue:c.one"].config.concurrency == 4


def test_meta_of_the_file_is_changed_for_one_entry_only(loaded):
    content = APP.replace("entries:", "meta: {shared: {a: 1}}\nentries:")
    registry = loaded(content, overrides=["app.queue:f:meta.shared.a=2"])

    assert registry["app.queue:f"].meta["shared"] == {"a": 2}
    assert registry["app.queue:q"].meta["shared"] == {"a": 1}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("nonsense", '1:1: expected namespace:entry:field=value, found "nonsense"'),
        ("a:b=c", '1:1: expected namespace:entry:field=value, found "a:b"=…'),
        ("a:b:=c", '1:1: expected namespace:entry:field=value, found "a:b:"=…'),
        (":b:c=d", '1:1: expected namespace:entry:field=value, found ":b:c"=…'),
        ("a:b:c..d=e", '1:1: expected namespace:entry:field=value, found "a:b:c..d"=…'),
        (
            "a b:c:d=e",
            '1:1: "a b" is no namespace: a namespace is dot-separated words of letters, digits, _ and -',
        ),
        ("app.queue:qq:driver=x", '1:1: there is no entry "app.queue:qq"; did you mean "app.queue:q"?'),
        (
            "app.queue:q:drivr=x",
            '1:13: app.queue:q: drivr: unknown field; did you mean "driver"?',
        ),
        (
            "app.queue:q:driver=drivr",
            '1:20: app.queue:q: driver: there is no entry "app.queue:drivr"; did you mean "app.queue:driver"?',
        ),
        (
            "app.queue:c.one:concurrency=many",
            '1:29: app.queue:c.one: concurrency: expected an integer from 1 to 1000, found the text "many"',
        ),
        (
            "app.queue:c.one:concurrency=4.0",
            '1:29: app.queue:c.one: concurrency: expected an integer from 1 to 1000, found the text "4.0"',
        ),
        (
            "app.queue:c.one:concurrency=${env:SECRET}",
            "1:29: app.queue:c.one: concurrency: expected an integer from 1 to 1000, found the value of ${env:SECRET}",
        ),
        (
            "app.queue:f:kind=function.pyton",
            (
                '1:18: app.queue:f: kind: noria does not know "function.pyton"; did you mean "function.python"? '
                "Known kinds: function.python, queue.consumer, queue.driver.memory, queue.queue"
            ),
        ),
        (
            "app.queue:q:lifecycle=x",
            '1:23: app.queue:q: lifecycle: expected a mapping, found the text "x"',
        ),
        (
            "app.queue:q:lifecycle.requires=f",
            '1:32: app.queue:q: lifecycle.requires: expected a list, found the text "f"; write it as a list: [f]',
        ),
    ],
)
def test_a_wrong_override_is_told_at_its_place_and_without_its_value(problems, override, expected):
    assert problems(APP, overrides=[override], environ={"SECRET": "hunter2"}) == [f"<override>:{expected}"]


def test_overrides_are_counted(problems):
    overrides = ["app.queue:q:queue_name=x", "wrong", "app.queue:q:nothing=y"]

    assert [line[:14] for line in problems(APP, overrides=overrides)] == ["<override>:2:1", "<override>:3:1"]


def naive(text):
    """Spec, registry 1.8, step by step."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and (digits == "0" or not digits.startswith("0")):
        return int(text)
    if set(text) & set(".eE") and set(text) <= set("0123456789.eE+-"):
        try:
            return float(text)
        except ValueError:
            return text
    return text


@given(
    st.text(max_size=6)
    | st.text("0123456789.eE+-", max_size=8)
    | st.sampled_from(["True", "fAlse", "-0", "1.", ".5"])
)
def test_values_take_their_type_as_the_specification_says(text):
    assert (coerce(text), type(coerce(text))) == (naive(text), type(naive(text)))
