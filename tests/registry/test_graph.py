"""Levels and cycles."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from noria.registry.graph import cycles, levels

nodes = st.integers(0, 9)
graphs = st.dictionaries(nodes, st.lists(nodes, max_size=4), max_size=10)
#: Each needs only smaller ones (or what is not there), so there is no cycle.
acyclic = st.dictionaries(nodes, st.lists(nodes, max_size=4), max_size=10).map(
    lambda graph: {thing: [each for each in needs if each < thing] for thing, needs in graph.items()}
)


def naive_level(thing, graph):
    return max((naive_level(each, graph) + 1 for each in graph[thing] if each in graph), default=0)


def is_on_a_cycle(start, graph):
    reached, todo = set(), list(graph[start])
    while todo:
        thing = todo.pop()
        if thing in graph and thing not in reached:
            reached.add(thing)
            todo += graph[thing]
    return start in reached


@given(acyclic)
def test_everything_is_as_early_as_its_needs_allow(graph):
    expected = {}
    for thing in graph:
        expected.setdefault(naive_level(thing, graph), []).append(thing)

    assert levels(graph) == tuple(tuple(sorted(expected[depth])) for depth in sorted(expected))
    assert cycles(graph) == ()


@given(graphs, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(graph, shuffle: random.Random):
    things = list(graph)
    shuffle.shuffle(things)
    shuffled = {thing: shuffle.sample(graph[thing], len(graph[thing])) for thing in things}

    assert levels(shuffled) == levels(graph)
    assert cycles(shuffled) == cycles(graph)


@given(graphs)
def test_a_cycle_that_is_told_is_one_and_none_is_forgotten(graph):
    told = cycles(graph)

    for cycle in told:
        assert cycle[0] == cycle[-1] == min(cycle)
        assert all(after in graph[before] for before, after in itertools.pairwise(cycle))
    assert bool(told) == any(is_on_a_cycle(thing, graph) for thing in graph)
    assert {cycle[0] for cycle in told} == {
        thing
        for thing in graph
        if is_on_a_cycle(thing, graph)
        and not any(is_on_a_cycle_with(thing, other, graph) for other in graph if other < thing)
    }


def is_on_a_cycle_with(thing, other, graph):
    return reaches(thing, other, graph) and reaches(other, thing, graph)


def reaches(start, end, graph):
    reached, todo = set(), list(graph[start])
    while todo:
        thing = todo.pop()
        if thing in graph and thing not in reached:
            reached.add(thing)
            todo += graph[thing]
    return end in reached


def test_a_long_chain_is_no_problem():
    chain = {number: [number + 1] for number in range(20_000)}

    assert len(levels(chain)) == 20_000
    assert cycles(chain | {20_000: [0]})[0][:3] == (0, 1, 2)
