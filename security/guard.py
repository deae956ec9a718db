"""Guard: the one door through which actions are authorised.

Knows: strict mode, what a missing principal or scope means, and who has to hear of a decision. One guard per runtime,
shared by all its threads. Does not know what is guarded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from typing import Final

from ..registry import Bus
from .decide import NO_POLICIES, Applicable, decide
from .decision import Decision
from .errors import AccessDenied, PolicyError
from .events import Decided, Denied
from .policy import Policy
from .principals import NO_META, Meta, Principal, Request
from .scopes import Scope

log = logging.getLogger(__name__)

Audit = Callable[[Decided], object]

UNGUARDED: Final = {
    (True, True): "there is neither a principal nor a scope",
    (True, False): "there is no principal",
    (False, True): "there is no scope",
}

#: Who may declare functions and whom they run as may do everything: not because nothing was said about it.
NEVER_UNGUARDED: Final = frozenset({"registry.apply", "registry.apply_version"})


class Guard:
    """Authorises actions, counts denials, and tells whoever wants to know. Thread-safe.

    Args:
        strict: Strict mode (`.noria.yaml`: `security: {strict_mode: true}`): what has no principal or no scope is
            denied. Otherwise it is allowed, as in Wippy.
        bus: Where `Denied` events go; None for nowhere.

    Attributes:
        strict: As given.
        audited: Whether an audit hook wants to see every decision; hot paths read it.
        denials: How many decisions did not allow.
    """

    def __init__(self, *, strict: bool = False, bus: Bus | None = None) -> None:
        self.strict = strict
        self.audited = False
        self.denials = 0
        self._bus = bus
        self._hooks: tuple[Audit, ...] = ()
        self._lock = Lock()

    def decide(
        self, principal: Principal | None, scope: Scope | None, action: str, resource: str, meta: Meta = None
    ) -> Decision:
        """Decide, count, and tell.

        Both principal and scope present: allowed only if the outcome is `allow`. One of them missing: allowed in
        normal mode, denied in strict mode, and the reason says so (`spec/security.md` 5). What changes the application is
        never allowed without both.

        Args:
            principal: Who asks, or None.
            scope: The policies, or None.
            action: What for, such as `funcs.call`.
            resource: On what.
            meta: A mapping, or a function without arguments that builds one and is called at most once, when a
                policy or an audit hook looks.

        Returns:
            The decision; ask `.allowed`. Never raises.
        """
        if principal is None or scope is None:
            decision = self._unguarded(principal, scope, action)
            return self._told(decision, principal, action, resource, meta)
        request = Request(principal, action, resource, meta)
        decision = decide(scope.speaking_of(action, resource), request) if len(scope) else NO_POLICIES
        return self._told(decision, principal, action, resource, request)

    def require(
        self, principal: Principal | None, scope: Scope | None, action: str, resource: str, meta: Meta = None
    ) -> Decision:
        """As `decide`, but what is not allowed is an error.

        Raises:
            AccessDenied: With the decision, the principal, the action and the resource.
        """
        decision = self.decide(principal, scope, action, resource, meta)
        if not decision.allowed:
            raise AccessDenied(principal, action, resource, decision)
        return decision

    def prepare(self, principal: Principal | None, scope: Scope | None, action: str, resource: str) -> Check:
        """Do once what is the same for every call: for a worker that asks the same question for every message."""
        return Check(self, principal, scope, action, resource)

    def audit(self, hook: Audit) -> Callable[[], None]:
        """Show every decision from now on to a hook, in the thread that asked.

        Args:
            hook: Called with a `Decided`. What it raises is logged and harms nobody.

        Returns:
            A function that ends it; calling it again does nothing.
        """
        token = _Hook(hook)
        with self._lock:
            self._hooks = (*self._hooks, token)
            self.audited = True

        def unsubscribe() -> None:
            with self._lock:
                self._hooks = tuple(other for other in self._hooks if other is not token)
                self.audited = bool(self._hooks)

        return unsubscribe

    def _unguarded(self, principal: Principal | None, scope: Scope | None, action: str) -> Decision:
        missing = UNGUARDED[principal is None, scope is None]
        if action in NEVER_UNGUARDED:
            return Decision("deny", None, f"{missing}, and only a policy can allow this")
        if self.strict:
            return Decision("deny", None, f"{missing}, and strict mode denies what is not guarded")
        return Decision("allow", None, f"{missing}, and strict mode is off")

    def _told(
        self,
        decision: Decision,
        principal: Principal | None,
        action: str,
        resource: str,
        meta: Meta | Request,
    ) -> Decision:
        if self.audited:
            self._show(decision, principal, action, resource, meta)
        if not decision.allowed:
            with self._lock:
                self.denials += 1
            self._emit(decision, principal, action, resource)
        return decision

    def _emit(self, decision: Decision, principal: Principal | None, action: str, resource: str) -> None:
        if self._bus is None or not self._bus.wants(Denied):
            return
        self._bus.emit(
            Denied(
                principal=None if principal is None else principal.id,
                action=action,
                resource=resource,
                policy=decision.policy,
                reason=decision.reason,
            ),
        )

    def _show(
        self,
        decision: Decision,
        principal: Principal | None,
        action: str,
        resource: str,
        meta: Meta | Request,
    ) -> None:
        try:
            known = meta.meta if isinstance(meta, Request) else meta() if callable(meta) else meta
        except Exception:
            log.exception("the metadata of %s on %s cannot be built", action, resource)
            known = NO_META
        decided = Decided(
            principal=principal,
            action=action,
            resource=resource,
            meta=NO_META if known is None else known,
            decision=decision,
        )
        for hook in self._hooks:
            try:
                hook(decided)
            except (Exception, SystemExit):  # a stray sys.exit() in a hook must not end an actor
                log.exception("an audit hook failed")


class _Hook:
    """One subscription, told from another of the same function by its identity."""

    __slots__ = ("call",)

    def __init__(self, call: Audit) -> None:
        self.call = call

    def __call__(self, decided: Decided) -> None:
        self.call(decided)


class _Known:
    """A policy that speaks of the question and does not look at metadata: its answer is known beforehand."""

    __slots__ = ("error", "result", "verdict")

    def __init__(self, policy: Policy, request: Request) -> None:
        self.verdict = policy.verdict
        self.error: PolicyError | None = None
        self.result = False
        try:
            self.result = policy.holds(request)
        except PolicyError as error:
            self.error = error

    def holds(self, _request: Request) -> bool:
        if self.error is not None:
            # Without its last traceback, which would grow with every raise.
            raise self.error.with_traceback(None)
        return self.result


class Check:
    """One question, prepared: who, under which policies, may do what, on what. Thread-safe.

    The policies whose filters match are selected once. A caller on a hot path writes

        decision = check.static
        if decision is None or not decision.allowed or guard.audited:
            decision = check.decide(meta)

    so that a constant permission costs two attribute reads, while denials are counted and audit hooks see everything.

    Attributes:
        static: The decision, when none of the policies looks at metadata, so that it is always the same; else None.
    """

    __slots__ = ("_action", "_guard", "_policies", "_principal", "_resource", "static")

    def __init__(
        self, guard: Guard, principal: Principal | None, scope: Scope | None, action: str, resource: str
    ) -> None:
        self._guard = guard
        self._principal = principal
        self._action = action
        self._resource = resource
        self._policies: tuple[Applicable, ...] = ()
        self.static: Decision | None
        if principal is None or scope is None:
            self.static = guard._unguarded(principal, scope, action)  # noqa: SLF001 - a Check is a part of its Guard
            return
        request = Request(principal, action, resource)
        selected = scope.speaking_of(action, resource)
        self._policies = tuple(policy if policy.uses_meta else _Known(policy, request) for policy in selected)
        if not len(scope):
            self.static = NO_POLICIES
        elif any(policy.uses_meta for policy in selected):
            self.static = None
        else:
            self.static = decide(selected, request)

    def decide(self, meta: Meta = None) -> Decision:
        """Decide for one message; counts and tells like `Guard.decide`, and answers the same.

        Args:
            meta: As for `Guard.decide`.
        """
        decision = self.static
        asked: Meta | Request = meta
        if decision is None and self._principal is not None:
            asked = Request(self._principal, self._action, self._resource, meta)
            decision = decide(self._policies, asked)
        assert decision is not None  # noqa: S101 - for the type checker: without a principal it is static
        return self._guard._told(decision, self._principal, self._action, self._resource, asked)  # noqa: SLF001
