"""The rule: who restarts with whom, how soon, how often. No clock, no thread."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.actors.supervision.errors import DependencyCycle, DependencyUnknown
from noria.actors.supervision.restart import (
    NEVER_RAN,
    Backoff,
    Intensity,
    RestartWindow,
    Strategy,
    affected,
    attempts_after,
    levels,
    start_order,
)


@st.composite
def graphs(draw):
    """Children in any order, requiring others without a circle."""
    size = draw(st.integers(0, 9))
    names = draw(st.permutations([chr(ord("a") + number) for number in range(size)]))
    requires = {
        name: tuple(draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else ())
        for place, name in enumerate(names)
    }
    return {name: requires[name] for name in draw(st.permutations(names))}


def depends(requires, child, other):
    """Naively: whether `child` requires `other`, directly or not."""
    return any(needed == other or depends(requires, needed, other) for needed in requires[child])


@given(
    initial=st.floats(0, 1e6),
    cap=st.floats(0, 1e6),
    factor=st.floats(0.1, 1e3),
    attempt=st.integers(1, 10_000),
    random=st.floats(0, 1, exclude_max=True),
    jitter=st.floats(0, 1),
)
def test_the_delay_is_the_documented_formula(initial, cap, factor, attempt, random, jitter):
    backoff = Backoff(initial, cap, factor, jitter)
    try:
        expected = min(cap, initial * factor ** (attempt - 1))
    except OverflowError:
        expected = cap if initial else 0.0
    delay = backoff.delay(attempt, lambda: random)

    assert backoff.base(attempt) == expected
    assert delay >= 0
    assert expected * (1 - jitter) <= delay + 1e-6
    assert delay <= expected * (1 + jitter) + 1e-6


def test_the_defaults_are_the_specs():
    backoff = Backoff()

    assert [backoff.base(attempt) for attempt in range(1, 9)] == [1, 2, 4, 8, 16, 32, 64, 90]
    assert not backoff.exhausted(1_000_000)


def test_the_jitter_comes_after_the_cap():
    backoff = Backoff()

    assert backoff.delay(100, lambda: 0.0) == pytest.approx(81)
    assert backoff.delay(100, lambda: 1.0) == pytest.approx(99)


def test_the_ten_thousandth_attempt_does_not_overflow():
    assert Backoff(jitter=0).delay(10_000, lambda: 0.9) == 90


def test_a_factor_of_zero_or_less_is_one():
    assert Backoff(backoff_factor=-3).base(5) == 1


@pytest.mark.parametrize("field", ["initial_delay", "max_delay", "jitter", "max_attempts"])
def test_a_negative_backoff_is_refused(field):
    with pytest.raises(ValueError, match=field):
        Backoff(**{field: -1})


def test_attempts_are_exhausted_at_the_maximum():
    backoff = Backoff(max_attempts=3)

    assert [backoff.exhausted(attempts) for attempts in range(5)] == [False, False, False, True, True]


def test_a_stable_run_counts_as_the_first_failure_again():
    assert attempts_after(7, 5.0, 5.0) == 1
    assert attempts_after(7, 4.9, 5.0) == 8
    assert attempts_after(7, NEVER_RAN, 0.0) == 8


@given(st.lists(st.floats(0, 100), max_size=30).map(sorted), st.integers(0, 5), st.floats(0.1, 50))
def test_the_window_counts_the_restarts_of_late(times, limit, period):
    window = RestartWindow(Intensity(limit, period))
    for place, now in enumerate(times):
        window = window.record(now)
        recent = [stamp for stamp in times[: place + 1] if now - stamp <= period]

        assert window.exhausted == (len(recent) > limit)


@given(graphs(), st.sampled_from(Strategy), st.data())
def test_the_affected_are_the_strategys_and_all_that_require_them(requires, strategy, data):
    order = start_order(requires)
    if not order:
        return
    failed = data.draw(st.sampled_from(order))
    own = {
        Strategy.ONE_FOR_ONE: {failed},
        Strategy.REST_FOR_ONE: set(order[order.index(failed) :]),
        Strategy.ONE_FOR_ALL: set(order),
    }[strategy]
    expected = {child for child in order if child in own or any(depends(requires, child, o) for o in own)}

    assert affected(strategy, order, requires, failed) == tuple(c for c in reversed(order) if c in expected)


@given(graphs())
def test_every_child_starts_after_what_it_requires(requires):
    order = start_order(requires)

    assert sorted(order) == sorted(requires)
    for child, needed in requires.items():
        assert all(order.index(other) < order.index(child) for other in needed)


@given(st.integers(1, 9), st.data())
def test_an_order_that_is_already_right_is_kept(size, data):
    names = [str(number) for number in range(size)]
    requires = {
        name: tuple(data.draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else ())
        for place, name in enumerate(names)
    }

    assert start_order(requires) == tuple(names)


@given(graphs())
def test_a_level_is_as_early_as_it_can_be(requires):
    depth = {}
    for child in start_order(requires):
        depth[child] = 1 + max((depth[needed] for needed in requires[child]), default=-1)

    found = {child: place for place, level in enumerate(levels(requires)) for child in level}

    assert found == depth


def test_a_chain_of_thousands_is_ordered():
    requires = {str(number): (str(number - 1),) if number else () for number in range(3000)}
    backwards = dict(reversed(requires.items()))

    assert start_order(backwards) == tuple(requires)


@pytest.mark.parametrize("order", [start_order, levels])
def test_a_circle_is_shown(order):
    with pytest.raises(DependencyCycle) as caught:
        order({"z": (), "a": ("b",), "b": ("c",), "c": ("a",)})

    assert str(caught.value) == "children require each other in a circle: a -> b -> c -> a"


@pytest.mark.parametrize("order", [start_order, levels])
def test_a_child_that_requires_itself_is_a_circle(order):
    with pytest.raises(DependencyCycle, match="a -> a"):
        order({"a": ("a",)})


@pytest.mark.parametrize("order", [start_order, levels])
def test_an_unknown_dependency_names_the_nearest(order):
    with pytest.raises(DependencyUnknown) as caught:
        order({"driver": (), "queue": ("drivr",)})

    assert str(caught.value) == "'queue' requires 'drivr', which does not exist (did you mean 'driver'?)"


def test_never_is_before_any_threshold():
    assert math.isinf(NEVER_RAN)
    assert NEVER_RAN < 0
