"""`${env:NAME}`: resolved for the config, never shown (spec, registry 1.5; decisions)."""

import pickle

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.registry import ConfigurationError, EntryID, Kind, load
from noria.registry.placeholders import EnvText, coerce, resolve

SECRET = "hunter2-s3cr3t"
QUEUE = """
namespace: app
entries:
  - {{name: driver, kind: queue.driver.memory}}
  - name: q
    kind: queue.queue
    driver: driver
    {field}
  - {{name: d, kind: queue.queue, driver: driver}}
"""


def queue(field):
    return QUEUE.format(field=field)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:A}", "1"),
        ("x${env:A}y${env:B}", "x1ytwo"),
        ("${env:NONE|default}", "default"),
        ("${env:NONE|}", ""),
        ("${env:A|5}", "1"),
        ("${env:EMPTY|5}", ""),
        ("$${env:A}", "${env:A}"),
        ("$$${env:A}", "$${env:A}"),
        ("${other} $A {} $", "${other} $A {} $"),
        ("", ""),
        ("${env:NONE|a:b/c|d}", "a:b/c|d"),
    ],
)
def test_texts_are_resolved_from_the_environment(text, value):
    assert resolve(text, {"A": "1", "B": "two", "EMPTY": ""}) == value


def test_a_value_that_looks_like_a_placeholder_is_not_resolved_again():
    assert resolve("${env:A}", {"A": "${env:B}", "B": "x"}) == "${env:B}"


@given(st.text())
def test_text_without_a_dollar_sign_is_itself(text):
    text = text.replace("$", "")

    assert resolve(text, {}) == text


@given(st.text(), st.text())
def test_an_escaped_text_comes_back_as_it_was(before, after):
    text = f"{before}${{{after}"
    escaped = text.replace("${", "$${")

    assert resolve(escaped, {}) == text


def test_the_type_of_the_field_decides_what_a_placeholder_becomes(loaded):
    registry = loaded(
        """
namespace: app
entries:
  - {name: driver, kind: queue.driver.memory, lifecycle: {auto_start: "${env:YES}", start_timeout: "${env:TIME}"}}
  - {name: q, kind: queue.queue, driver: "${env:DRIVER}", queue_name: "${env:NUMBER}"}
  - name: c
    kind: queue.consumer
    queue: q
    func: f
    concurrency: ${env:NUMBER}
    lifecycle: {startup: "${env:STARTUP}", restart: {backoff_factor: "${env:FACTOR|2.5}"}}
  - {name: f, kind: function.python}
""",
        environ={"YES": "TRUE", "TIME": "1m", "DRIVER": "driver", "NUMBER": "12", "STARTUP": "optional"},
    )

    assert registry["app:driver"].config.lifecycle.auto_start is True
    assert registry["app:driver"].config.lifecycle.start_timeout == 60
    assert registry["app:q"].config.driver == EntryID("app", "driver")
    assert registry["app:q"].config.queue_name == "12"
    assert registry["app:c"].config.concurrency == 12
    assert registry["app:c"].config.lifecycle.startup == "optional"
    assert registry["app:c"].config.lifecycle.restart.backoff_factor == 2.5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:N}", "12"),
        ("${env:N|1}", 12),
        ("${env:N|1.5}", "12"),
        ("${env:F|1.5}", 2.5),
        ("${env:T|false}", True),
        ("${env:NONE|false}", False),
        ("${env:X|1}", "x"),
        ("${env:N|x}", "12"),
        ("a${env:N|1}", "a12"),
    ],
)
def test_in_a_free_form_mapping_the_default_decides_on_the_type(loaded, text, value):
    content = queue(f"options: {{a: [{{b: '{text}'}}]}}")
    registry = loaded(content, environ={"N": "12", "F": "2.5", "T": "true", "X": "x"})

    [inner] = registry["app:q"].config.options["a"]
    assert (inner["b"], type(inner["b"]) is type(value) or isinstance(inner["b"], EnvText)) == (value, True)


@given(st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8))
def test_text_of_a_value_becomes_that_value(value):
    text = str(value)
    coerced = coerce(text)

    assert str(coerced) in {text, text.capitalize()} or coerced == float(text)
    if not isinstance(value, str):
        assert (coerced, type(coerced)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["007", "+1", "1_000", "1,5", " 1", "1 ", "", ".", "e", "1e", "nan", "inf", "٣", "9" * 2000]
)
def test_what_is_not_quite_a_number_stays_text(text):
    assert coerce(text) == text


LEAKS = {
    "an integer": "dead_letter: {queue: d, max_attempts: '${env:SECRET}'}",
    "a mapping": "options: ${env:SECRET}",
    "a list": "lifecycle: {requires: '${env:SECRET}'}",
    "a duration": "lifecycle: {start_timeout: 'x${env:SECRET}'}",
    "a word": "lifecycle: {startup: '${env:SECRET}'}",
    "true or false": "lifecycle: {auto_start: '${env:SECRET}'}",
    "a missing entry": "dead_letter: {queue: '${env:SECRET}'}",
    "a broken ID": "dead_letter: {queue: 'a b ${env:SECRET}'}",
    "in a list": "lifecycle: {requires: ['${env:SECRET}']}",
    "beside a missing variable": "options: {a: '${env:SECRET}', b: '${env:SECRET}${env:NONE}'}",
}
SAID = {
    "an integer": "app.yaml:8:43: app:q: dead_letter.max_attempts: expected an integer of at least 0, found the value of ${env:SECRET}",
    "a mapping": "app.yaml:8:14: app:q: options: expected a mapping, found the value of ${env:SECRET}",
    "a list": "app.yaml:8:27: app:q: lifecycle.requires: expected a list, found the value of ${env:SECRET}",
    "a duration": 'app.yaml:8:32: app:q: lifecycle.start_timeout: expected a duration such as "1h30m", "250ms" or a number of seconds, of at least 0.001 seconds, found the value of ${env:SECRET}',
    "a word": 'app.yaml:8:26: app:q: lifecycle.startup: expected "required" or "optional", found the value of ${env:SECRET}',
    "true or false": "app.yaml:8:29: app:q: lifecycle.auto_start: expected true or false, found the value of ${env:SECRET}",
    "a missing entry": "app.yaml:8:26: app:q: dead_letter.queue: names no entry: the value of ${env:SECRET}",
    "a broken ID": "app.yaml:8:26: app:q: dead_letter.queue: not valid: the value of ${env:SECRET}",
    "in a list": "app.yaml:8:28: app:q: lifecycle.requires[0]: names no entry: the value of ${env:SECRET}",
    "beside a missing variable": "app.yaml:8:38: app:q: options.b: the environment variable NONE is not set; set it, or give it a default: ${env:NONE|default}",
}


@pytest.mark.parametrize("case", LEAKS)
def test_no_error_tells_what_a_placeholder_became(problems, case):
    assert problems(queue(LEAKS[case]), environ={"SECRET": SECRET}) == [SAID[case]]


def test_a_reference_of_the_wrong_kind_does_not_tell_it_either(problems):
    assert problems(queue("dead_letter: {queue: '${env:SECRET}'}"), environ={"SECRET": "driver"}) == [
        (
            "app.yaml:8:26: app:q: dead_letter.queue: expected an entry of kind queue.queue, found a queue.driver.memory: "
            "the value of ${env:SECRET}"
        )
    ]


@attrs.frozen
class Talkative:
    """A config class whose own checks put values into their messages."""

    password: str = attrs.field(default="", validator=attrs.validators.max_len(5))
    port: int = attrs.field(default=0, validator=attrs.validators.lt(100))
    mode: str = attrs.field(default="a", validator=attrs.validators.in_(["a", "b"]))

    def __attrs_post_init__(self):
        if self.password == "leak":
            raise ValueError(f"the password {self.password!r} of {self} is {self.password}")


def check(entry, _registry):
    yield "password", f"{entry.config.password} is no good on {entry.config.port}"
    if entry.config.port == 13:
        raise RuntimeError(f"cannot check {entry.config.password}")


TALKATIVE = [Kind("talkative", Talkative, check)]


def test_what_validators_of_others_say_is_told_at_the_place_of_the_field(problems):
    content = "namespace: app\nname: x\nkind: talkative\npassword: too long\nport: 200\nmode: c\n"

    assert problems(content, TALKATIVE) == [
        "app.yaml:4:11: app:x: password: Length of 'password' must be <= 5: 8",
        "app.yaml:5:7: app:x: port: 'port' must be < 100: 200",
        "app.yaml:6:7: app:x: mode: 'mode' must be in ['a', 'b'] (got 'c')",
    ]


def test_what_validators_of_others_say_about_a_secret_is_not_told(problems):
    content = "namespace: app\nname: x\nkind: talkative\npassword: ${env:PASSWORD}\nport: ${env:PORT}\nmode: ${env:MODE}\n"

    assert problems(content, TALKATIVE, environ={"PASSWORD": SECRET, "PORT": "200", "MODE": SECRET}) == [
        "app.yaml:4:11: app:x: password: not valid: the value of ${env:PASSWORD}",
        "app.yaml:5:7: app:x: port: not valid: the value of ${env:PORT}",
        "app.yaml:6:7: app:x: mode: not valid: the value of ${env:MODE}",
    ]
    assert problems(content, TALKATIVE, environ={"PASSWORD": "leak", "PORT": "2", "MODE": "a"}) == [
        (
            "app.yaml:1:1: app:x: the password <the value of ${env:PASSWORD}> of Talkative(password=<the value of "
            "${env:PASSWORD}>, port=${env:PORT}, mode=<the value of ${env:MODE}>) is ${env:PASSWORD}"
        )
    ]


def test_what_the_check_of_a_kind_says_has_its_secrets_put_back(problems):
    content = "namespace: app\nname: x\nkind: talkative\npassword: ${env:PASSWORD}\nport: 2\n"

    assert problems(content, TALKATIVE, environ={"PASSWORD": "abc"}) == [
        "app.yaml:4:11: app:x: password: ${env:PASSWORD} is no good on 2"
    ]
    assert problems(content.replace("2", "13"), TALKATIVE, environ={"PASSWORD": "abc"}) == [
        "app.yaml:1:1: app:x: the check of talkative failed: RuntimeError: cannot check ${env:PASSWORD}"
    ]


def test_nothing_that_is_shown_of_an_entry_shows_a_secret(loaded):
    entry = loaded(queue("options: {url: 'redis://:${env:SECRET}@host'}"), environ={"SECRET": SECRET})[
        "app:q"
    ]

    assert entry.config.options["url"] == f"redis://:{SECRET}@host"
    assert entry.data["options"] == {"url": "redis://:${env:SECRET}@host"}
    assert SECRET not in repr(entry)
    assert SECRET not in repr(entry.config)
    assert pickle.loads(pickle.dumps(entry.config)) == entry.config


def test_an_error_holds_no_secret_in_its_chain(write, world):
    directory = write({"app.yaml": queue(LEAKS["an integer"])})
    with pytest.raises(ConfigurationError) as caught:
        load(directory, world.KINDS, environ={"SECRET": SECRET})

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_names_kinds_keys_and_meta_are_not_resolved(loaded):
    entry = loaded(queue("options: {'${env:X}': 1}\n    meta: {a: '${env:X}'}"))["app:q"]

    assert entry.config.options == {"${env:X}": 1}
    assert entry.meta == {"a": "${env:X}"}
