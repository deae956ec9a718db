"""`noria policy explain`: who may do what, and why.

Knows: how a question on the command line becomes a request, and how the answer is printed. Must not know: how policies
are evaluated. Shows no value that came out of `${env:…}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from .application import Application, application_options, example, nearest

if TYPE_CHECKING:
    from ...registry import Entry, Registry
    from ...security import Decision, Principal, Scope, SecurityBlock

ASKED: Final = "noria policy explain examples/tenants --as acme"
ALLOWED: Final = f"{ASKED} funcs.call tenants:write_report --meta message.headers.tenant=acme"


@click.group(
    "policy",
    short_help="Explain what a consumer may do.",
    epilog=example(ALLOWED),
)
def command() -> None:
    """Ask the policies of an application."""


@command.command(
    "explain",
    short_help="Explain whether a consumer may do something, and why.",
    epilog=example(
        ALLOWED,
        f"{ASKED} queue.publish.queue tenants:mail.acme",
    ),
)
@application_options
@click.option(
    "--as", "consumer", metavar="CONSUMER", help="The consumer who asks; an ID or a name.  [required]"
)
@click.argument("action")
@click.argument("resource")
@click.option(
    "--meta",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Metadata of the request. Dots nest, values are YAML: message.attempt=3. Repeatable.",
)
def explain_command(
    application: Application,
    *,
    consumer: str | None,
    action: str,
    resource: str,
    pairs: tuple[str, ...],
) -> int:
    """Explain whether CONSUMER may do ACTION on RESOURCE in APP: which policies apply, which do not, and why.

    Exits 0 when it is allowed and 1 when it is not. For funcs.call the metadata holds queue and consumer, as it does
    when a worker asks.
    """
    registry, strict = application.registry(), application.settings().security.strict_mode
    entry = _consumer(registry, consumer)
    meta = _nested([*_of_worker(entry, action), *map(_pair, pairs)])
    _doubt(registry, action, resource)
    decision = _explain(registry, entry, (action, resource, meta), strict=strict)
    return 0 if decision.allowed else 1


def _consumer(registry: Registry, wanted: str | None) -> Entry:
    consumers = {str(entry.id): entry for entry in registry if entry.kind == "queue.consumer"}
    if wanted is None:
        known = f"there are {', '.join(consumers)}" if consumers else "the application has none"
        raise click.UsageError(f"say which consumer asks: --as CONSUMER; {known}")
    named = [entry for entry in consumers.values() if wanted in (str(entry.id), entry.id.name)]
    if len(named) == 1:
        return named[0]
    if named:
        listed = ", ".join(str(entry.id) for entry in named)
        raise click.UsageError(f'ambiguous consumer "{wanted}", use its full ID: {listed}')
    if wanted in registry:
        raise click.UsageError(f"{wanted} is a {registry[wanted].kind}, not a queue.consumer")
    acting = [str(entry.id) for entry in consumers.values() if _principal_id(entry) == wanted]
    if acting:
        raise click.UsageError(
            f"{wanted} is the principal of {' and of '.join(acting)}; name the consumer: --as {acting[0]}"
        )
    names = [entry.id.name for entry in consumers.values()]
    raise click.UsageError(f"consumer not found: {wanted}{nearest(wanted, [*consumers, *names])}")


def _principal_id(consumer: Entry) -> str | None:
    block = consumer.config.lifecycle.security
    return None if block is None or block.actor is None else block.actor.id


def _doubt(registry: Registry, action: str, resource: str) -> None:
    """Say so, on stderr, when the resource was probably meant to be an entry of the application and is none."""
    kind = {"funcs.": "function.", "queue.": "queue.queue"}.get(action[:6], "")
    known = [str(entry.id) for entry in registry if entry.kind.startswith(kind)]
    namespace, colon, _ = resource.partition(":")
    is_ours = colon and namespace in {entry.id.namespace for entry in registry}
    if resource in known or "*" in resource or not resource or not (is_ours or kind):
        return
    if resource in registry:
        click.echo(f"note: {resource} is a {registry[resource].kind}", err=True)
        return
    named = [text for text in known if text.partition(":")[2] == resource]
    hint = f"; did you mean {named[0]}?" if named else nearest(resource, known)
    click.echo(f"note: the application has no entry {resource}{hint}", err=True)


def _of_worker(entry: Entry, action: str) -> list[tuple[str, Any]]:
    if action != "funcs.call":
        return []
    return [("queue", str(entry.config.queue)), ("consumer", str(entry.id))]


def _pair(text: str) -> tuple[str, Any]:
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not all(name.split(".")):
        raise click.UsageError(f"--meta {text!r}: expected key=value, such as message.attempt=3")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise click.UsageError(f"--meta {text!r}: the value is not YAML") from error


def _nested(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    for name, value in pairs:
        *steps, last = name.split(".")
        inner = meta
        for step in steps:
            if not isinstance(inner.get(step), dict):
                inner[step] = {}
            inner = inner[step]
        inner[last] = value
    return meta


def _explain(
    registry: Registry, entry: Entry, question: tuple[str, str, Mapping[str, Any]], *, strict: bool
) -> Decision:
    from ...security import Guard, Policies

    action, resource, meta = question
    block: SecurityBlock | None = entry.config.lifecycle.security
    principal = block.principal() if block else None
    scope = Policies.from_registry(registry).scope_of(block, entry.id.namespace) if block else None
    decision = Guard(strict=strict).decide(principal, scope, action, resource, meta)
    say = _without_secrets(block)
    say(f"May {entry.id} {action}{f' on {resource}' if resource else ''}?")
    say(f"  principal  {principal.id if principal else 'none'}")
    if meta:
        say(f"  metadata   {_flow(meta)}")
    say("")
    for line in _policy_lines(principal, scope, (action, resource, meta)):
        say(line)
    say("")
    say(f"{'allowed' if decision.allowed else 'denied'} ({decision.outcome}): {decision.reason}")
    return decision


def _policy_lines(
    principal: Principal | None, scope: Scope | None, question: tuple[str, str, Mapping[str, Any]]
) -> Iterable[str]:
    if principal is None or scope is None:
        yield "no policy was asked"
        return
    explanations = scope.explain(principal, *question)
    if not explanations:
        yield "the scope has no policies"
    for each in explanations:
        mark = "applies       " if each.applies else "does not apply"
        yield f"  {mark}  {each.effect:<5}  {each.policy}: {each.reason}"


def _flow(meta: Mapping[str, Any]) -> str:
    import json

    return json.dumps(meta, ensure_ascii=False, default=str)


def _without_secrets(block: SecurityBlock | None) -> Callable[[str], None]:
    """Print lines in which what placeholders of the block became is turned back into the placeholders."""
    from ...registry.report import scrubbed

    actor = block.actor if block else None
    known = [actor.id, actor.meta] if actor else []

    def say(line: str) -> None:
        click.echo(scrubbed(line, known))

    return say
