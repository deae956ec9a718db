"""The longest word ladder of a page: each step changes one letter, and no shorter way leads from its foot to its top.

Knows: words. Must not know: that it runs in a process of its own.
"""

from collections import defaultdict, deque

from noria.actors import publish


def handler(page):
    ladder = longest_ladder(word for word in page["counts"] if len(word) > 2 and word.isascii())
    publish("polyglot:ladders", {**page, "ladder": ladder})


def longest_ladder(words):
    """Of all shortest ways between two of the words, the longest; the first one in the alphabet."""
    neighbours = one_letter_apart(sorted(words))
    ladders = (longest_way(neighbours, foot) for foot, others in neighbours.items() if others)
    return max(ladders, key=len, default=[])


def one_letter_apart(words):
    with_a_gap = defaultdict(list)
    for word in words:
        for index in range(len(word)):
            with_a_gap[word[:index], word[index + 1 :]].append(word)
    return {
        word: [
            other
            for index in range(len(word))
            for other in with_a_gap[word[:index], word[index + 1 :]]
            if other != word
        ]
        for word in words
    }


def longest_way(neighbours, foot):
    """From this word to one that is farthest away."""
    came_from, waiting = {foot: None}, deque([foot])
    while waiting:
        word = waiting.popleft()
        for other in neighbours[word]:
            if other not in came_from:
                came_from[other] = word
                waiting.append(other)
    way, step = [], word
    while step is not None:
        way.append(step)
        step = came_from[step]
    return way[::-1]
