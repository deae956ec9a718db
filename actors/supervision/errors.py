"""What can go wrong in a supervised tree.

NoriaError                    (registry)
  SupervisionError
    ChildUnknown              .child; also a LookupError
    ChildDuplicate            .child
    ChildNeeded               .child .dependents; it cannot be removed while others require it
    DependencyUnknown         .child .dependency
    DependencyCycle           .cycle
    SupervisorStopping        .supervisor; it takes no more requests
    NotAnActor                a factory returned something else than an unstarted pykka actor
    Terminal                  raise it, or derive from it, for a failure that no restart can heal
    EndedUnexpectedly         .child; a permanent child ended without an error
    ThreadDied                .child; the thread is gone and left no word
    ChildStartTimeout         .child .seconds; also a TimeoutError
    ChildStuck                .child .seconds .thread; it did not stop in time; also a TimeoutError
    SupervisorGaveUp          .supervisor .child .last_error
    StartFailed               .supervisor .failures: what could not be started, and each one's error
    StartTimeout              .waiting; also a TimeoutError
    StopTimeout               .unfinished; also a TimeoutError

Knows: `retryable`, which here decides whether a supervisor restarts a child that fails with the error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...registry import NoriaError
from ...registry.wording import nearest


class SupervisionError(NoriaError):
    """Root of this branch."""


class ChildUnknown(SupervisionError, LookupError):
    """No such child; the message names the nearest one."""

    def __init__(self, child: str, known: Iterable[str] = ()) -> None:
        super().__init__(f"there is no child {child!r}{_nearest(child, known)}")
        self.child = child


class ChildDuplicate(SupervisionError):
    """Two children of one supervisor with the same ID."""

    def __init__(self, child: str) -> None:
        super().__init__(f"there are two children {child!r}")
        self.child = child


class ChildNeeded(SupervisionError):
    """A child cannot be removed while others require it."""

    def __init__(self, child: str, dependents: Iterable[str]) -> None:
        self.child = child
        self.dependents = tuple(dependents)
        super().__init__(f"{child!r} cannot be removed: {', '.join(self.dependents)} require it")


class DependencyUnknown(SupervisionError):
    """A child requires one that does not exist."""

    retryable = False

    def __init__(self, child: str, dependency: str, known: Iterable[str] = ()) -> None:
        super().__init__(
            f"{child!r} requires {dependency!r}, which does not exist{_nearest(dependency, known)}"
        )
        self.child = child
        self.dependency = dependency


class DependencyCycle(SupervisionError):
    """Children that require each other in a circle; the first is named again at the end."""

    retryable = False

    def __init__(self, cycle: Iterable[str]) -> None:
        self.cycle = tuple(cycle)
        super().__init__(f"children require each other in a circle: {' -> '.join(self.cycle)}")


class SupervisorStopping(SupervisionError):
    """The supervisor is on its way down and takes no more requests."""

    def __init__(self, supervisor: str) -> None:
        super().__init__(f"{supervisor!r} is stopping")
        self.supervisor = supervisor


class NotAnActor(SupervisionError, TypeError):
    """A child's factory returned something else than an unstarted pykka actor."""

    retryable = False

    def __init__(self, found: object) -> None:
        super().__init__(
            f"a child must be an unstarted pykka.ThreadingActor, found {type(found).__name__}"
            " (hand over the class, or a function that calls the class; the supervisor starts it)"
        )


class Terminal(SupervisionError):
    """A failure that no restart can heal: the child is not restarted.

    `raise Terminal("the file does not parse") from error`, or derive your own error from it.
    """

    retryable = False


class EndedUnexpectedly(SupervisionError):
    """A permanent child ended, without an error and without being asked to."""

    retryable = True

    def __init__(self, child: str) -> None:
        super().__init__(f"{child!r} ended by itself, and is meant to run for ever")
        self.child = child


class ThreadDied(SupervisionError):
    """A child's thread is gone and could not say why."""

    retryable = True

    def __init__(self, child: str) -> None:
        super().__init__(f"the thread of {child!r} died")
        self.child = child


class ChildStartTimeout(SupervisionError, TimeoutError):
    """A child was not ready in time. It was abandoned, and may be started anew."""

    retryable = True

    def __init__(self, child: str, seconds: float) -> None:
        super().__init__(f"{child!r} was not ready within {seconds:g} s")
        self.child = child
        self.seconds = seconds


class ChildStuck(SupervisionError, TimeoutError):
    """A child did not stop in time. It was abandoned; its thread may still run."""

    retryable = True

    def __init__(self, child: str, seconds: float, thread: str) -> None:
        super().__init__(f"{child!r} did not stop within {seconds:g} s; its thread {thread!r} still runs")
        self.child = child
        self.seconds = seconds
        self.thread = thread


class SupervisorGaveUp(SupervisionError):
    """Too many restarts in too short a time: the supervisor fails, its own supervisor decides."""

    retryable = True

    def __init__(self, supervisor: str, child: str, last_error: BaseException) -> None:
        super().__init__(
            f"{supervisor!r} gave up: too many restarts, the last of {child!r}: {describe(last_error)}"
        )
        self.supervisor = supervisor
        self.child = child
        self.last_error = last_error


class StartFailed(SupervisionError):
    """Required children could not be started; what had started was stopped again.

    Not retryable when one of the failures is not: another start would fail the same way.
    """

    def __init__(self, supervisor: str, failures: Mapping[str, BaseException]) -> None:
        self.supervisor = supervisor
        self.failures = dict(failures)
        self.retryable = not any(is_terminal(error) for error in self.failures.values())
        reasons = "; ".join(f"{child}: {describe(error)}" for child, error in self.failures.items())
        super().__init__(f"{supervisor!r} did not start: {reasons}")


class StartTimeout(SupervisionError, TimeoutError):
    """The tree was not up in time; it still tries. `waiting` maps each child that is not up to its state."""

    def __init__(self, seconds: float, waiting: Mapping[str, str]) -> None:
        self.waiting = dict(waiting)
        listed = "; ".join(f"{child} is {state}" for child, state in self.waiting.items())
        super().__init__(f"not started within {seconds:g} s: {listed or 'the supervisor is not ready'}")


class StopTimeout(SupervisionError, TimeoutError):
    """Some actors did not stop in time; `unfinished` names them with their threads."""

    def __init__(self, seconds: float, unfinished: Iterable[str]) -> None:
        self.unfinished = tuple(unfinished)
        super().__init__(f"not stopped within {seconds:g} s: {', '.join(self.unfinished)}")


def is_terminal(error: BaseException) -> bool:
    """Whether a restart cannot help: a NoriaError whose class or instance itself says `retryable = False`.

    NoriaError's own default does not count: who says nothing is retried (spec, supervisor, section 3).
    """
    if not isinstance(error, NoriaError):
        return False
    if "retryable" in vars(error):
        return not error.retryable
    for cls in type(error).__mro__:
        if cls is NoriaError:
            return False
        if "retryable" in vars(cls):
            return not vars(cls)["retryable"]
    return False


def describe(error: BaseException) -> str:
    """An error in one line, as the messages and states of this package show it."""
    text = str(error)
    if isinstance(error, NoriaError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _nearest(name: str, known: Iterable[str]) -> str:
    found = nearest(name, known)
    return f" (did you mean {found!r}?)" if found else ""
