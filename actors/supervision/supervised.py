"""Supervised actors: the end of each is reported exactly once, whatever ended it.

Knows: the life of one actor, from its construction to its last word, and pykka's loop, which it replaces.
Does not know: supervisors, restarts, siblings. Whoever listens to a `Lifeline` decides what follows.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final, cast

import attrs
import pykka
from pykka import messages
from pykka._envelope import Envelope

from .adoption import adopt
from .errors import ThreadDied
from .events import Undelivered
from .life_thread import LifeThread
from .listener import Alone, Listener
from .mailbox import Clock, Control, Mailbox

BORN_WITHIN: Final = 2.0
"""Seconds after which a thread that was started and has not begun is taken for dead."""

ActorFactory = Callable[[], pykka.ThreadingActor]


TRIES: Final = 10
"""How often an actor is interrupted in its last words before it leaves them to its supervisor's sweep."""


@attrs.frozen
class StopRequested(Control):
    """To a Supervised actor: stop, and be done by `deadline` (on the mailbox's clock; None: soon)."""

    deadline: float | None = None


class Lifeline:
    """One life of one actor: its thread, its loop, and the report of its end.

    `start` runs `factory` in a new daemon thread, so that not even a constructor that hangs can keep the
    supervisor waiting, then runs the actor there. For a plain pykka actor the loop does what pykka's does,
    except that a BaseException ends this one actor and not every actor of the process.

    `ready`, `request_stop`, `look_after`, `bury` and the attributes may be used from any thread.
    """

    def __init__(
        self, name: str, factory: ActorFactory, listener: Listener, *, clock: Clock = time.monotonic
    ) -> None:
        self.name = name
        self.clock = clock
        self.listener = listener
        self.actor: pykka.ThreadingActor | None = None
        self.thread: threading.Thread | None = None
        self.error: BaseException | None = None
        self.ended = False
        self.over = False
        self._factory = factory
        self._unclaimed = [None]
        self._due = 0.0
        self._ready = False
        self._deferred = False
        self._began = False
        self._reported = False
        self._stop_requested = False
        self._stops: list[pykka.Future[Any]] = []
        self._begun: Envelope[Any] | None = None
        # In the order of `pop`. Each is begun once, whatever interrupts it.
        self._partings = [self._close, self._farewell, self._retire]

    def start(self) -> None:
        """Begin; does not wait for the thread. Raises RuntimeError where the system has none left."""
        self._due = time.monotonic() + BORN_WITHIN
        self.thread = LifeThread(target=self.run, name=self.name, daemon=True)
        try:
            self.thread.start()
        except RuntimeError:
            self.thread = None
            raise

    def run(self) -> None:
        """The whole life, in the current thread. Never raises, short of an exception thrown in at its end."""
        error: BaseException | None = None
        for _ in range(TRIES):
            try:
                if error is not None:
                    self.fail(error)
                elif self._claim():
                    self._live()
                else:
                    return
                self._part()
            except BaseException as another:  # the actor's, or thrown in from another thread, even in here
                error = another
            else:
                return

    def ready(self) -> None:
        """Report that the actor does its work from now on. Only the first call counts."""
        if not self._ready and not self.ended:
            self._ready = True
            self.listener.ready(self)

    def defer_ready(self) -> None:
        """Do not report it when the start hook returns: somebody will call `ready`."""
        self._deferred = True

    def fail(self, error: BaseException) -> None:
        """Note why the actor ends; the first reason counts, later ones become notes on it."""
        if self.error is None:
            self.error = error
        elif error is not self.error:
            self.error.add_note(f"then {type(error).__name__}: {error}")

    def request_stop(self, deadline: float | None) -> None:
        """Tell the actor to stop, ahead of all data. Never blocks."""
        self._stop_requested = True  # first: a constructor that has not returned finds it afterwards
        actor = self.actor
        if actor is None:
            return
        message = StopRequested(deadline) if isinstance(actor, Supervised) else messages._ActorStop()  # noqa: SLF001
        actor.actor_inbox.put(Envelope(message))

    def is_running(self) -> bool:
        """Whether its thread still runs, or is about to."""
        if self.thread is None:
            return False
        return self.thread.is_alive() if self._begun_running() else not self.ended

    def join(self, timeout: float) -> None:
        """Wait for its thread to leave."""
        if self.thread is not None and self.thread.is_alive():
            self.thread.join(timeout)

    @property
    def current(self) -> object:
        """The message that is being handled, or was last."""
        return self._begun.message if self._begun is not None else None

    def cancel(self) -> bool:
        """Never live, where it has not begun to. Returns whether that was so."""
        if not self._claim():
            return False
        self.ended = self._reported = True
        return True

    def look_after(self) -> None:
        """See whether its thread has died without a word, or sleeps although a message waits for it."""
        inbox = self.actor.actor_inbox if self.actor is not None else None
        if not self.bury() and isinstance(inbox, Mailbox):
            inbox.nudge()

    def bury(self) -> bool:
        """Report the end of a thread that died without a word. Returns whether there was need to."""
        if self._reported or self.thread is None:
            return False
        # Asked in this order: a thread that has begun and is not alive is dead, not unborn.
        if self._begun_running():
            if self.thread.is_alive():
                return False
        elif time.monotonic() < self._due or not self._claim():
            return False
        self.fail(ThreadDied(self.name))
        # The actor's own hooks do not run in a stranger's thread.
        self._partings = [parting for parting in self._partings if parting != self._farewell]
        self._part()
        return True

    def _claim(self) -> bool:
        """Take the life, to live it or to bury it: only the first one gets it."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def _begun_running(self) -> bool:
        return not self._unclaimed

    def _live(self) -> None:
        actor = self.actor = adopt(self.actor or self._factory(), self.clock)
        if self._stop_requested:
            return
        if isinstance(actor, Supervised):
            actor.lifeline = self
        else:
            pykka.ActorRegistry.register(actor.actor_ref)
        self._began = True
        actor.on_start()
        if not self._deferred:
            self.ready()
        while not self._turns(actor):
            pass

    def _turns(self, actor: pykka.ThreadingActor) -> bool:
        """Handle messages to the end. Returns False where the actor survives an exception of its own."""
        get, receive = actor.actor_inbox.get, actor._handle_receive  # noqa: SLF001
        stopped = actor.actor_stopped.is_set
        try:
            while not self.over and not stopped():
                envelope = get()
                if type(envelope.message) in STOPS:
                    self._stop(actor, envelope)
                    continue
                self._begun = envelope
                _handle(receive, envelope)
        except BaseException as error:
            if isinstance(actor, Supervised) and actor.survives(error):
                return False
            raise
        return True

    def _stop(self, actor: pykka.ThreadingActor, envelope: Envelope[Any]) -> None:
        self._begun = envelope
        if envelope.reply_to is not None:
            self._stops.append(envelope.reply_to)
        if isinstance(actor, Supervised):
            actor.on_stop_requested(getattr(envelope.message, "deadline", None))
        else:
            self.over = True

    def _part(self) -> None:
        while self._partings:
            parting = self._partings.pop()
            try:
                parting()
            except BaseException as error:
                self.fail(error)
        if not self._reported:
            # Again, in case something was thrown into the first time; it costs nothing.
            if isinstance(self.actor, Supervised):
                self.actor.retire()
            self._close()
            self.ended = True
            self.listener.ended(self, self.error)
            self._reported = True
            self._answer()

    def _answer(self) -> None:
        """Answer whoever asked for the stop, and an asker whose answer something thrown in cut short."""
        for reply in self._stops:
            reply.set(None)
        if self._begun is not None and self._begun.reply_to not in (None, *self._stops):
            with contextlib.suppress(queue.Full):  # that is how a pykka future says that it is set
                Mailbox().refuse(self._begun)

    def _retire(self) -> None:
        if self.actor is not None:
            if isinstance(self.actor, Supervised):
                self.actor.retire()
            pykka.ActorRegistry.unregister(self.actor.actor_ref)
            self.actor.actor_stopped.set()

    def _farewell(self) -> None:
        """The actor's own last hook: ours, or the one pykka would call."""
        actor, error = self.actor, self.error
        if actor is None or not self._began:
            return
        if isinstance(actor, Supervised):
            actor.teardown(error)
        elif error is None and self.over:  # not where the actor ended itself by its `actor_stopped`
            actor.on_stop()
        elif error is not None and self._ready:  # pykka calls no hook when `on_start` failed
            actor.on_failure(type(error), error, error.__traceback__)

    def _close(self) -> None:
        if self.actor is None:
            return
        inbox: Any = self.actor.actor_inbox
        if not isinstance(inbox, Mailbox):
            self._drain(inbox)
            return
        inbox.close(self._undelivered)
        if inbox.taken is not None and inbox.taken is not self._begun:
            self._begun = inbox.taken
            inbox.refuse(inbox.taken)

    def _drain(self, inbox: Any) -> None:
        """As pykka does for an inbox of the actor's own, except that told messages are reported."""
        refuser = Mailbox()
        refuser.close(self._undelivered)
        while not inbox.empty():
            refuser.refuse(inbox.get())

    def _undelivered(self, message: Any) -> None:
        if not isinstance(message, (Control, messages._ActorStop)):  # noqa: SLF001
            self.listener.emit(Undelivered(self.name, type(message).__name__))


class Supervised(pykka.ThreadingActor):
    """Base class of actors that are made to be supervised. Also starts alone, with pykka's `start()`.

    A subclass writes `setup`, `teardown`, `on_receive`, `on_stop_requested`, never pykka's own hooks. All
    run in the actor's thread. As in pykka, an exception while a told message is handled ends the actor
    with that error, one while an asked message is handled goes to the asker, and the actor goes on.
    """

    use_daemon_thread = True  # a handler that hangs must not keep the process alive

    lifeline: Lifeline

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    @property
    def mailbox(self) -> Mailbox:
        """The actor's inbox; `self.mailbox.schedule(delay, message)` is its timer."""
        return cast("Mailbox", self.actor_inbox)

    def setup(self) -> None:
        """Prepare; ready when it returns, unless it called `defer_ready`. An exception is a failed start."""

    def teardown(self, error: BaseException | None) -> None:
        """Clean up, once, whatever ended the actor (None: a normal end), also when `setup` failed.

        No message is handled any more. An exception here turns a normal end into a failure.
        """

    def on_stop_requested(self, deadline: float | None) -> None:
        """Stop by `deadline` (on the mailbox's clock; None: soon). Here: at once.

        Override it to finish asynchronously: return, go on handling messages, call `finish()` later. It
        may be called again, with an earlier deadline. What arrives after the end becomes an event.
        """
        del deadline
        self.finish()

    def finish(self, error: BaseException | None = None) -> None:
        """End after the current message; with an error, fail."""
        if error is not None:
            self.lifeline.fail(error)
        self.lifeline.over = True

    def defer_ready(self) -> None:
        """In `setup`: not ready yet when it returns; `ready()` will say so."""
        self.lifeline.defer_ready()

    def ready(self) -> None:
        """Report that the actor does its work from now on."""
        self.lifeline.ready()

    def survives(self, error: BaseException) -> bool:
        """Whether the actor goes on after an exception that would end it; never, unless overridden.

        For an actor that has something to bring to an end first, and then calls `finish(error)`.
        """
        del error
        return False

    def retire(self) -> None:
        """The very end, before `teardown`, in a stranger's thread where ours died: quick things only.

        May be called more than once.
        """

    def on_start(self) -> None:
        """Not for subclasses: see `setup`."""
        self.setup()

    def _handle_receive(self, message: Any) -> Any:
        # pykka compares with four classes before it asks us: one look-up instead on every message.
        if type(message) in PROXIED:
            return super()._handle_receive(message)
        return self.on_receive(message)

    def _actor_loop(self) -> None:
        """Run without a supervisor, when started by pykka's `start()`."""
        lifeline = Lifeline(str(self), lambda: self, Alone())
        lifeline.thread = threading.current_thread()
        lifeline.run()


STOPS: Final = frozenset({messages._ActorStop, StopRequested})  # noqa: SLF001
PROXIED: Final = frozenset({messages.ProxyCall, messages.ProxyGetAttr, messages.ProxySetAttr})


def _handle(receive: Callable[[Any], Any], envelope: Envelope[Any]) -> None:
    """Let the actor handle one message. What a told one raises comes out; an asker gets what it caused."""
    reply_to = envelope.reply_to
    if reply_to is None:
        receive(envelope.message)
        return
    try:
        response = receive(envelope.message)
    except Exception:
        reply_to.set_exception()
    except BaseException as error:
        # Not the error itself: a SystemExit must end neither the asker's thread nor its actor.
        dead = pykka.ActorDeadError(f"the actor died of {type(error).__name__} while it handled the message")
        dead.__cause__ = error
        reply_to.set_exception((pykka.ActorDeadError, dead, None))
        raise
    else:
        reply_to.set(response)
