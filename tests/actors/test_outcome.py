"""What an exception out of a handler means."""

from noria.actors.errors import HandlerTimeout
from noria.actors.outcome import Nack, outcome_of


def test_a_deadline_is_told_in_the_same_words_whoever_notices_it():
    assert outcome_of(HandlerTimeout(1)) == Nack("handler did not finish within 1 s")
