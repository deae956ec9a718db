"""Mailbox: the inbox of a supervised actor.

Knows: two lanes, timers, and what happens to a message that comes too late. Does not know: supervisors,
nor what any message means. One thread gets (the actor's own), any number of threads put.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pykka import ActorDeadError
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

Clock = Callable[[], float]
Undeliverable = Callable[[Any], object]

# A wait in C cannot be interrupted by another thread's exception, and a timeout beyond this overflows.
LONGEST_WAIT: Final = 3600.0


class Control:
    """Marker: a message of a class derived from this one is handled before any data."""

    __slots__ = ()


class Timer:
    """A message that is due at a certain time, until it is cancelled."""

    __slots__ = ("_active", "due", "message")

    def __init__(self, due: float, message: Any) -> None:
        self.due = due
        self.message = message
        self._active = True

    @property
    def active(self) -> bool:
        """Whether the message is still to come: neither delivered nor cancelled."""
        return self._active

    def cancel(self) -> None:
        """Never deliver it. Does nothing once it was delivered. For the actor's own thread."""
        self._active = False


class Mailbox:
    """A pykka inbox with a control lane, a data lane and timers.

    Control (pykka's stop message, due timers, and what derives from `Control`) comes out before data;
    within a lane messages keep their order. `put`, `schedule`, `wake` and `close` are thread-safe;
    `get` belongs to one thread. No lock is taken on the way of a message.

    `taken` is the envelope that `get` returned last. It is set before the envelope leaves its lane, so
    that an exception thrown into the thread from outside, at whatever point, loses no message unseen.

    A subclass that draws from elsewhere too (a buffer shared by a pool) overrides `_next` and
    `has_something`, and calls `wake` on a sleeping mailbox whenever something comes in there.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.taken: Envelope[Any] | None = None
        self._control: deque[Envelope[Any]] = deque()
        self._data: deque[Envelope[Any]] = deque()
        self._wake_ups: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._sleeping = False
        self._timers: list[tuple[float, int, Timer]] = []
        self._scheduled = 0
        self._scheduling = threading.RLock()
        self._on_undelivered: Undeliverable | None = None

    def put(self, envelope: Envelope[Any], /) -> None:
        """Add a message; never blocks. After `close` it is answered or handed over, never dropped."""
        if isinstance(envelope.message, (Control, _ActorStop)):
            self._control.append(envelope)
        else:
            self._data.append(envelope)
        # Appended first, asked second: whoever closes does it the other way round, so that one of the
        # two always sees the other. The same holds for an owner that is about to sleep.
        if self._sleeping:
            self._sleeping = False
            self._wake_ups.put(None)
        if self._on_undelivered is not None:
            self._refuse_all()

    def get(self) -> Envelope[Any]:
        """The next message: due timers and control first, then data. Waits for one."""
        while True:
            envelope = self._take()
            if envelope is not None:
                return envelope
            self._sleeping = True
            # Again, now that putters can see us sleep: a message put in between rang no bell.
            envelope = self._take()
            if envelope is not None:
                self._sleeping = False
                return envelope
            self._sleep()
            self._sleeping = False

    def empty(self) -> bool:
        """Whether neither lane holds a message. Timers that are not due do not count."""
        return not self._control and not self._data

    def __len__(self) -> int:
        """How many messages wait in the two lanes."""
        return len(self._control) + len(self._data)

    def wake(self) -> bool:
        """Make a sleeping owner look again. Returns whether it slept: one bell wakes one owner."""
        if not self._sleeping:
            return False
        self._sleeping = False
        self._wake_ups.put(None)
        return True

    def has_something(self) -> bool:
        """Whether the owner would find something now. Thread-safe."""
        timers = self._timers[:1]
        return not self.empty() or (bool(timers) and timers[0][0] <= self.clock())

    def nudge(self) -> None:
        """Ring again where something waits: whoever brought it may have died before the bell rang.

        A bell too many makes the owner look once more, which harms nobody.
        """
        if self.has_something() and self._wake_ups.empty():
            self._wake_ups.put(None)

    def schedule(self, delay: float, message: Any) -> Timer:
        """Deliver `message` to the owner itself in `delay` seconds, in the control lane.

        Returns a handle with `cancel()`. Messages due at the same time come in the order of scheduling.
        """
        timer = Timer(self.clock() + delay, message)
        with self._scheduling:
            self._scheduled += 1
            heapq.heappush(self._timers, (timer.due, self._scheduled, timer))
        self.wake()
        return timer

    def close(self, on_undelivered: Undeliverable) -> None:
        """Refuse what is in the lanes and whatever comes later, in whichever thread it comes.

        An ask is answered with `ActorDeadError` (an asked stop with success), a told message is handed
        to `on_undelivered`, exactly once each; `on_undelivered` must be thread-safe and not raise.
        May be called again; timers are forgotten.
        """
        self._on_undelivered = on_undelivered
        with self._scheduling:
            self._timers.clear()
        self._refuse_all()

    def _next(self) -> Envelope[Any] | None:
        """The next data message or None, without waiting. To be overridden; see the class."""
        data = self._data
        if not data:
            return None
        self.taken = envelope = data[0]
        data.popleft()
        return envelope

    def _take(self) -> Envelope[Any] | None:
        if self._timers:
            self._ring()
        control = self._control
        if not control:
            return self._next()
        self.taken = envelope = control[0]
        control.popleft()
        return envelope

    def _ring(self) -> None:
        """Move the messages of due timers to the control lane."""
        now = self.clock()
        with self._scheduling:
            while self._timers and (self._timers[0][0] <= now or not self._timers[0][2].active):
                timer = self._timers[0][2]
                if timer.active:
                    self._control.append(Envelope(timer.message))
                    timer.cancel()
                heapq.heappop(self._timers)

    def _sleep(self) -> None:
        timeout = None
        with self._scheduling:
            if self._timers:
                timeout = min(max(0.0, self._timers[0][0] - self.clock()), LONGEST_WAIT)
        try:
            self._wake_ups.get(timeout=timeout)
        except queue.Empty:
            return

    def _refuse_all(self) -> None:
        for lane in (self._control, self._data):
            while True:
                try:
                    envelope = lane.popleft()  # atomic: of several threads here, one gets each message
                except IndexError:
                    break
                self.refuse(envelope)

    def refuse(self, envelope: Envelope[Any]) -> None:
        """Answer an ask with `ActorDeadError`, hand a told message to who was named in `close`."""
        reply_to = envelope.reply_to
        if reply_to is None:
            if self._on_undelivered is not None:
                self._on_undelivered(envelope.message)
        elif isinstance(envelope.message, _ActorStop):
            reply_to.set(None)
        else:
            dead = ActorDeadError("the actor stopped before it handled the message")
            reply_to.set_exception((ActorDeadError, dead, None))
