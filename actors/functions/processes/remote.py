"""What a handler in a worker process finds instead of the runtime, its message, its guard and its scope.

Each of them asks the runtime over the pipe of the call. The runtime answers under the principal of the call, so a
context that was derived for somebody else is refused here, rather than given the rights of the first one.
Knows: what may be asked. Must not know: pipes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ....registry import EntryID
from ....security import Decision, Guard, Policy, Principal, Scope, current_context
from ....security.decision import Explanation
from ....security.principals import Meta
from ...errors import REJECTED, NotInProcess, StopFromHandler, check_delay
from ...handle import CurrentMessage, HandlerContext
from .wire import Frame, MessageFrame

AskRuntime = Callable[..., Any]


def context_of(frame: Frame, ask: AskRuntime) -> HandlerContext:
    """The context in which the handler runs here."""
    principal = frame.principal
    scope = None if frame.policies is None else RemoteScope(frame.policies, principal, ask)
    own = (principal, scope)
    context = HandlerContext(
        principal, scope, RemoteGuard(own, ask), values=frame.values, deadline=frame.deadline
    )
    context.message = None if frame.message is None else RemoteMessage(frame.message, ask)
    runtime: Any = RemoteRuntime(own, ask)  # of a runtime, what a handler may use
    context.runtime = runtime
    context.delivery = context.binding = None
    context.since, context.is_overdue = 0.0, False
    return context


Own = tuple[Principal | None, Scope | None]


class RemoteRuntime:
    """Of a runtime, what a handler may use."""

    def __init__(self, own: Own, ask: AskRuntime) -> None:
        self._own = own
        self._ask = ask

    def publish(
        self,
        queue: str | EntryID,
        body: Any,
        headers: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> str:
        """See `Runtime.publish`."""
        [message] = self.publish_many(queue, (body,), headers, timeout=timeout)
        return message

    def publish_many(
        self,
        queue: str | EntryID,
        bodies: Iterable[Any],
        headers: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> list[str]:
        """See `Runtime.publish_many`."""
        self._require_own("publish")
        # A text or a mapping is no batch, and the queue says so better.
        batch = bodies if isinstance(bodies, str | bytes | Mapping) else list(bodies)
        sent = None if headers is None else dict(headers) if isinstance(headers, Mapping) else headers
        found: list[str] = self._ask("publish_many", str(queue), batch, sent, timeout)
        return found

    def call(self, function: str | EntryID, *arguments: Any) -> Any:
        """See `Runtime.call`."""
        self._require_own("call")
        return self._ask("call", str(function), arguments)

    def info(self, queue: str | EntryID) -> dict[str, int]:
        """See `Runtime.info`."""
        found: dict[str, int] = self._ask("info", str(queue))
        return found

    def stop(self, timeout: float | None = None) -> None:  # noqa: ARG002
        """As everywhere, a handler cannot stop what waits for it."""
        raise StopFromHandler

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotInProcess(f"runtime.{name}")

    def _require_own(self, what: str) -> None:
        current = current_context()
        if current is None or (current.principal, current.scope) != self._own:
            raise NotInProcess(f"{what} under another principal or scope than the call's")


class RemoteMessage(CurrentMessage):
    """The message that is being handled."""

    __slots__ = ("_ask", "_frame")

    def __init__(self, frame: MessageFrame, ask: AskRuntime) -> None:
        self._frame = frame
        self._ask = ask

    @property
    def id(self) -> str:
        """The message ID."""
        return self._frame.id

    @property
    def queue(self) -> str:
        """The registry ID of the queue it came from."""
        return self._frame.queue

    @property
    def attempt(self) -> int:
        """1 for the first handler run."""
        return self._frame.attempt

    @property
    def headers(self) -> dict[str, Any]:
        """A copy of the headers."""
        return dict(self._frame.headers)

    def header(self, name: str) -> Any:
        """One header, or None."""
        return self._frame.headers.get(name)

    def ack(self) -> None:
        """Settle now: done."""
        self._ask("ack")

    def nack(self, *, delay: float | None = None) -> None:
        """Settle now: deliver it again."""
        check_delay(delay)
        self._ask("nack", delay)

    def reject(self, reason: str = REJECTED) -> None:
        """Settle now: dead-letter it."""
        self._ask("reject", reason)


class RemoteGuard(Guard):
    """Decides in the runtime, where decisions are counted and shown."""

    def __init__(self, own: Own, ask: AskRuntime) -> None:
        super().__init__()
        self._own = own
        self._ask = ask

    def decide(
        self,
        principal: Principal | None,
        scope: Scope | None,
        action: str,
        resource: str,
        meta: Meta = None,
    ) -> Decision:
        """See `Guard.decide`."""
        if (principal, scope) != self._own:
            raise NotInProcess("decision about another principal or scope than the call's")
        decision: Decision = self._ask("decide", action, resource, _known(meta))
        return decision


class RemoteScope(Scope):
    """The scope of the call: the IDs of its policies. Rules are compiled, and stay in the runtime."""

    __slots__ = ("_ask", "_ids", "_principal")

    def __init__(self, ids: Iterable[str], principal: Principal | None, ask: AskRuntime) -> None:
        super().__init__()
        self._ids = tuple(ids)
        self._principal = principal
        self._ask = ask

    def contains(self, policy_id: EntryID) -> bool:
        """Whether a policy of this ID is in the scope."""
        return str(policy_id) in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def __repr__(self) -> str:
        return f"<Scope {', '.join(self._ids)}>"

    def evaluate(self, principal: Principal, action: str, resource: str, meta: Meta = None) -> Decision:
        """See `Scope.evaluate`."""
        self._require_own(principal)
        found: Decision = self._ask("evaluate", action, resource, _known(meta))
        return found

    def explain(
        self, principal: Principal, action: str, resource: str, meta: Meta = None
    ) -> tuple[Explanation, ...]:
        """See `Scope.explain`."""
        self._require_own(principal)
        found: tuple[Explanation, ...] = self._ask("explain", action, resource, _known(meta))
        return found

    def names(self, action: str, resource: str) -> bool:
        """See `Scope.names`."""
        return bool(self._ask("names", action, resource))

    def policies(self) -> tuple[Policy, ...]:
        """Not here."""
        raise NotInProcess("policy, only its ID,")

    def __iter__(self) -> Iterator[Policy]:
        return iter(self.policies())

    def with_(self, policy: Policy) -> Scope:  # noqa: ARG002
        """Not here."""
        raise NotInProcess("scope but the call's")

    def without(self, policy_id: EntryID) -> Scope:  # noqa: ARG002
        """Not here."""
        raise NotInProcess("scope but the call's")

    def speaking_of(self, action: str, resource: str) -> tuple[Policy, ...]:  # noqa: ARG002
        """Not here."""
        return self.policies()

    def _require_own(self, principal: Principal) -> None:
        if principal != self._principal:
            raise NotInProcess("decision about another principal than the call's")


def _known(meta: Meta) -> Mapping[str, Any] | None:
    """Metadata that travels: a function cannot, what it builds can."""
    found = meta() if callable(meta) else meta
    return None if found is None else dict(found)
