"""Who may do what: principals, policies, scopes, decisions, and the context that travels with a call.

    policies = Policies.from_registry(registry)
    scope = policies.scope(policies=[EntryID.parse("app:may_publish")])
    guard.require(Principal("alice"), scope, "queue.publish.queue", "app:tasks")

Imports noria.registry, nothing else of ours. Knows neither queues nor threads.
"""

from .context import CallContext, can, current_context, principal, scope
from .decision import Decision
from .entries import KINDS, SecurityBlock, check_security_block
from .errors import AccessDenied
from .guard import Check, Guard
from .policies import Policies
from .policy import Policy
from .principals import Principal
from .scopes import Scope
from .tokens import Token, TokenStore, token_stores_of

__all__ = [
    "KINDS",
    "AccessDenied",
    "CallContext",
    "Check",
    "Decision",
    "Guard",
    "Policies",
    "Policy",
    "Principal",
    "Scope",
    "SecurityBlock",
    "Token",
    "TokenStore",
    "can",
    "check_security_block",
    "current_context",
    "principal",
    "scope",
    "token_stores_of",
]
