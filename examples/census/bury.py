"""The stage beside the others: a file that could not be parsed -> its error.

Knows: what the headers of a dead letter say. Must not know: syntax.
"""

from noria.actors import message, publish


def handler(body):
    result = {"file": body["file"], "error": message.header("x_dead_letter_error")}
    publish("census:results", result, {"correlation_id": message.header("correlation_id")})
