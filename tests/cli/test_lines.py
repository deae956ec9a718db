"""Lines as they come out of a stream."""

from noria.actors.cli.lines import BATCH, LONGEST, batches


def lines_of(*chunks: bytes) -> list[list[tuple[int, bytes | None]]]:
    pieces = iter(chunks)
    return [[(line.number, line.text) for line in batch] for batch in batches(lambda _: next(pieces, b""))]


def test_lines_come_as_they_are_read():
    assert lines_of(b"a\nb\nc", b"d\n", b"e") == [[(1, b"a"), (2, b"b")], [(3, b"cd")], [(4, b"e")]]


def test_many_lines_are_cut_into_batches():
    made = lines_of(b"x\n" * (BATCH + 1))

    assert [len(batch) for batch in made] == [BATCH, 1]


def test_an_endless_line_is_not_kept():
    made = lines_of(b"x" * LONGEST, b"x", b"y\nshort\n")

    assert made == [[(1, None), (2, b"short")]]
