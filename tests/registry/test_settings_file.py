"""`.noria.yaml`."""

import attrs
import pytest

from noria.registry import ConfigurationError, Duration, between, load_settings


@attrs.frozen(kw_only=True)
class Shutdown:
    timeout: Duration = between(0, default=30.0)


@attrs.frozen(kw_only=True)
class Security:
    strict_mode: bool = False


@attrs.frozen(kw_only=True)
class Settings:
    security: Security = Security()
    shutdown: Shutdown = Shutdown()
    banner: str = ""


@attrs.frozen(kw_only=True)
class Demanding:
    name: str


def settings_problems(directory, cls=Settings, **environ):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(directory, cls, environ)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("content", [None, "", "# nothing\n", "~\n", "security:\n", "{}"])
def test_without_settings_there_are_the_defaults(write, content):
    directory = write({} if content is None else {".noria.yaml": content})

    assert load_settings(directory, Settings) == Settings()


def test_settings_are_read_with_placeholders_files_and_durations(write):
    directory = write({
        ".noria.yaml": "security: {strict_mode: '${env:STRICT}'}\nshutdown: {timeout: 1m}\nbanner: file://hello.txt\n",
        "hello.txt": "hello",
    })  # fmt: skip
    settings = load_settings(directory, Settings, {"STRICT": "true"})

    assert settings == Settings(
        security=Security(strict_mode=True), shutdown=Shutdown(timeout=60.0), banner="hello"
    )


def test_everything_wrong_with_the_settings_is_told_at_once(write):
    directory = write(
        {".noria.yaml": "securty: {}\nsecurity: {strict_mode: maybe}\nshutdown: {timeout: '${env:T}'}\n"}
    )

    assert settings_problems(directory, T="hunter2") == [
        '.noria.yaml:1:1: securty: unknown field; did you mean "security"?',
        '.noria.yaml:2:25: security.strict_mode: expected true or false, found the text "maybe"',
        (
            '.noria.yaml:3:21: shutdown.timeout: expected a duration such as "1h30m", "250ms" or a number of seconds, '
            "found the value of ${env:T}"
        ),
    ]


def test_settings_that_are_no_mapping_or_no_yaml_are_told(write):
    assert settings_problems(write({".noria.yaml": "- a\n"})) == [
        ".noria.yaml:1:1: expected a mapping, found a list"
    ]
    assert settings_problems(write({".noria.yaml": "a: b: c\n"})) == [
        ".noria.yaml:1:5: not valid YAML: mapping values are not allowed here"
    ]
    assert settings_problems(write({".noria.yaml": "banner: x\nbanner: y\n"})) == [
        '.noria.yaml:2:1: "banner" is written twice here; first in line 1'
    ]


def test_a_required_setting_that_is_missing_is_told_even_without_the_file(write):
    assert settings_problems(write({}), Demanding) == [
        ".noria.yaml: name: required, but not given; expected text"
    ]


def test_a_settings_file_with_the_wrong_suffix_is_not_passed_over(write):
    assert settings_problems(write({".noria.yml": ""})) == [".noria.yml: call this file .noria.yaml"]


def test_settings_of_a_directory_that_is_not_there_are_an_error(write):
    write({})

    assert settings_problems("nowhere") == ["nowhere: there is no such application directory"]
