"""`security`: who acts, what it may, and policies to decide by.

Its objects are plain data on their way through here: an actor is its `id` and `meta`, a policy its ID, a scope the IDs of
its policies. `security.lua` keeps them where no script can change them, and only makes what this module gave.
Knows: which action each function needs. Must not know: how a policy decides.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .....registry import EntryID, EntryNotFound
from .....security import Policies, Principal, Scope, can, principal, scope
from .....security.errors import UnknownGroup
from ..faults import INTERNAL, INVALID, PERMISSION_DENIED, LuaError, invalid
from . import token_stores
from .access import current_runtime, is_allowed
from .arguments import metadata, required, required_id
from .module import Module, Surroundings


def _require(action: str, resource: str, kind: str = PERMISSION_DENIED) -> None:
    if not is_allowed(action, resource):
        raise LuaError(f"not allowed: {action} on {resource}", kind=kind, retryable=False)


def _policies() -> Policies:
    runtime = current_runtime()
    if runtime is None:
        raise LuaError("no runtime to have policies of", kind=INTERNAL, retryable=False)
    return runtime.policies


# ---- the call that is running ----------------------------------------------------------------------------


def current_actor() -> dict[str, Any] | None:
    """Who acts."""
    found = principal()
    return None if found is None else {"id": found.id, "meta": found.meta}


def current_scope() -> list[str] | None:
    """What it is under."""
    found = scope()
    return None if found is None else _ids(found)


def may(action: Any = None, resource: Any = None, meta: Any = None) -> bool:
    """Whether the call that is running may do something; never without an actor and a scope."""
    return can(*_question(action, resource), metadata(meta))


def _question(action: Any, resource: Any) -> tuple[str, str]:
    if not isinstance(resource, str):
        raise invalid("resource required")
    return required(action, "action"), resource


# ---- making actors and scopes ----------------------------------------------------------------------------


def new_actor(id_: Any = None, meta: Any = None) -> dict[str, Any]:
    """An actor, if this one may make it."""
    wanted, known = required(id_, "actor ID"), metadata(meta)
    _require("security.actor.create", wanted)
    return {"id": wanted, "meta": known}


def principal_of(actor: Mapping[str, Any]) -> Principal:
    """The principal of an actor that `security.lua` has kept."""
    return Principal(actor["id"], actor["meta"] or {})


def scope_of(policies: Sequence[str]) -> Scope:
    """The scope of policies that `security.lua` has kept: declared ones, and those of the current scope."""
    around = {str(policy.id): policy for policy in scope() or ()}
    return Scope(around.get(id_) or _policies()[EntryID.parse(id_)] for id_ in policies)


def _ids(found: Scope) -> list[str]:
    return [str(policy.id) for policy in found]


def policy(id_: Any = None) -> str:
    """The ID of a policy that may be looked at."""
    wanted = required_id(id_, "policy")
    _require("security.policy.get", str(wanted), INVALID)
    try:
        return str(_policies()[wanted].id)
    except EntryNotFound as error:
        raise LuaError(f"policy not found: {error}", kind=INTERNAL, retryable=False) from error


def named_scope(id_: Any = None) -> list[str]:
    """The policies of a group that may be looked at."""
    wanted = required_id(id_, "scope")
    _require("security.policy_group.get", str(wanted), INVALID)
    try:
        return _ids(_policies().scope(groups=[wanted]))
    except UnknownGroup as error:
        raise LuaError(f"scope not found: {error}", kind=INTERNAL, retryable=False) from error


def require_scope(how: str) -> bool:
    """Whether a scope may be made: `custom`, or out of another one, `with` or `without` a policy."""
    _require("security.scope.create", how)
    return True


def create_token(store: str, actor: Mapping[str, Any], policies: Sequence[str], options: Any = None) -> str:
    """A new token for an actor and a scope that `security.lua` has kept."""
    return token_stores.create(store, principal_of(actor), scope_of(policies), options)


# ---- deciding --------------------------------------------------------------------------------------------


def evaluate(policies: Sequence[str], actor: Any, action: Any, resource: Any, meta: Any = None) -> str:
    """`allow`, `deny` or `undefined`."""
    question, known = _question(action, resource), metadata(meta)
    return scope_of(policies).evaluate(principal_of(actor), *question, known).outcome


def _functions(_surroundings: Surroundings) -> Mapping[str, Callable[..., Any]]:
    return {
        "actor": current_actor,
        "scope": current_scope,
        "can": may,
        "new_actor": new_actor,
        "policy": policy,
        "named_scope": named_scope,
        "require_scope": require_scope,
        "open_tokens": token_stores.open_tokens,
        "create_token": create_token,
        "validate_token": token_stores.validate,
        "revoke_token": token_stores.revoke,
        "evaluate": evaluate,
        "copy": lambda value: value,
    }


MODULE = Module(name="security", functions=_functions, script="security.lua")
