"""Adoption: what a plain pykka actor gets before it runs under a supervisor.

Knows: pykka's insides (pinned below 5 and held by tests/actors/supervision/test_pykka_contract.py).
Does not know: supervisors. An adopted class inherits nothing of ours and is not changed; its instance is.
"""

from __future__ import annotations

import queue
from typing import Any

import pykka

from .errors import NotAnActor
from .mailbox import Clock, Mailbox


def adopt(actor: object, clock: Clock) -> pykka.ThreadingActor:
    """Prepare an instance that has not been started; returns it.

    Its inbox becomes a `Mailbox` where it is pykka's default one: what the constructor has put in there
    stays. An inbox of the class's own is left alone, with what that means: control waits behind data.
    Raises `NotAnActor`.
    """
    if not isinstance(actor, pykka.ThreadingActor):
        raise NotAnActor(actor)
    inbox: object = actor.actor_inbox
    if type(inbox) is queue.Queue:
        use_inbox(actor, Mailbox(clock))
    return actor


def use_inbox(actor: pykka.ThreadingActor, inbox: Mailbox) -> None:
    """Replace the inbox of an actor that has not been started, in the actor and in its reference."""
    former: Any = actor.actor_inbox
    actor.actor_inbox = inbox
    actor.actor_ref.actor_inbox = inbox
    while not former.empty():
        inbox.put(former.get())
