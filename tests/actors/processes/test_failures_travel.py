"""Exceptions cross from process to process and stay what they are."""

import pickle

import pytest

from noria.actors.errors import (
    ChildTraceback,
    HandlerFailed,
    HandlerTimeout,
    QueueFull,
    QueueNotFound,
    Reject,
    Retry,
)
from noria.actors.functions.processes.failures import packed, unpacked
from noria.actors.outcome import Nack, Rejection, outcome_of
from noria.registry import ConfigurationError
from noria.security import AccessDenied, Decision, Principal


def travelled(error: BaseException) -> BaseException:
    return unpacked(pickle.loads(pickle.dumps(packed(error))))


def noted() -> Exception:
    error = ValueError("noted")
    error.add_note("a note")
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("text", 1),
        KeyError(("a", 1)),
        FileNotFoundError(2, "No such file", "name"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        SystemExit(3),
        ExceptionGroup("several", [ValueError(1), TypeError("two")]),
        StopIteration(5),
        noted(),
        Retry("later", delay=2.5),
        Reject("never"),
        QueueNotFound("app:tasks", "app:task"),
        QueueFull("app:tasks", accepted=3, timeout=0.5),
        HandlerTimeout(1.5),
        ConfigurationError([]),
        AccessDenied(
            Principal("who", {"roles": ["a", {"b": 1}]}), "do", "it", Decision("deny", None, "because")
        ),
    ],
    ids=repr,
)
def test_an_error_is_the_same_on_the_other_side(error):
    copy = travelled(error)

    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert repr(copy.args) == repr(error.args)
    assert repr(copy.__dict__) == repr(error.__dict__)
    assert isinstance(copy.__cause__, ChildTraceback)


def test_an_error_that_cannot_travel_comes_as_its_description():
    class Local(Exception):
        pass

    copy = travelled(Local("here only"))

    assert isinstance(copy, HandlerFailed)
    assert str(copy).endswith("Local: here only")
    assert outcome_of(copy) == Nack(str(copy))


def test_an_error_with_something_in_it_that_cannot_travel_does_too():
    copy = travelled(ValueError("with a", lambda: 1))

    assert isinstance(copy, HandlerFailed)
    assert "ValueError" in str(copy)


def test_wishes_of_classes_that_cannot_travel_stay_wishes():
    class Later(Retry):
        pass

    class Never(Reject):
        pass

    assert outcome_of(travelled(Later("l", delay=1.0))) == Nack("l", 1.0)
    assert outcome_of(travelled(Never("n"))) == Rejection("rejected", "n")


def test_an_error_whose_own_pickling_fails_is_no_error_of_ours():
    class Odd(Exception):
        def __reduce__(self):
            raise RuntimeError("odd")

    assert isinstance(travelled(Odd("text")), HandlerFailed)
