"""A whole application on a RabbitMQ."""

import pytest

from noria.actors import Runtime
from noria.actors.events import MessageDeadLettered
from noria.actors.testing.harness import eventually
from noria.registry import ConfigurationError

APPLICATION = """
namespace: app
entries:
  - name: broker
    kind: queue.driver.amqp
    url: {url}
    heartbeat: 2s
    reconnect_delay: 50ms
    reconnect_max_delay: 500ms
  - {{name: dead, kind: queue.queue, driver: broker, queue_name: {prefix}-dead}}
  - name: work
    kind: queue.queue
    driver: broker
    queue_name: {prefix}-work
    redelivery: {{initial_delay: 50ms}}
    dead_letter: {{queue: dead, max_attempts: 2}}
    driver_options: {options}
  - {{name: handler, kind: function.python, source: "file://handlers.py", method: handle}}
  - {{name: consumer, kind: queue.consumer, queue: work, func: handler, prefetch: 5, lifecycle: {{auto_start: true}}}}
"""
HANDLERS = """
import probe
from noria.actors import Reject, message

def handle(body):
    probe.record((body, message().attempt, message().headers))
    if body == "bad":
        raise ValueError("no good")
    if body == "talkative":
        raise Reject("no good, " * 50_000)
    if body == "held":
        probe.pass_gate()
"""


def definition(url, prefix, options="{}"):
    return APPLICATION.format(url=url, prefix=prefix, options=options)


def test_messages_are_handled_and_what_fails_is_dead_lettered(rabbit_server, start, probe, events):
    runtime = start(definition(rabbit_server.url, "whole"), HANDLERS)
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:work", "good", headers={"colour": "blue"})
    runtime.publish("app:work", "bad")

    records = probe.wait(3)
    assert [attempt for body, attempt, _ in records if body == "bad"] == [1, 2]
    [headers] = [headers for body, _, headers in records if body == "good"]
    assert headers["colour"] == "blue"
    assert headers["content_type"] == "application/json"
    [event] = dead.wait(1)
    assert (event.reason, event.attempts) == ("max_attempts", 2)
    assert runtime.info("app:dead")["ready"] == 1


def test_a_reason_too_long_for_a_frame_is_shortened(rabbit_server, start, probe, events):
    runtime = start(definition(rabbit_server.url, "talkative"), HANDLERS)
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:work", "talkative")

    assert dead.wait(1)[0].reason == "rejected"
    assert runtime.info("app:dead")["ready"] == 1


def test_an_expired_message_is_dead_lettered_with_its_reason(rabbit_server, start, probe, events):
    options = "{amqp: {message_ttl: 100ms}}"
    yaml = definition(rabbit_server.url, "ttl", options).replace("prefetch: 5", "prefetch: 1")
    runtime = start(yaml, HANDLERS)
    dead = events(runtime, MessageDeadLettered)

    runtime.publish("app:work", "held")
    probe.wait(1)
    runtime.publish("app:work", "late")

    # The worker is busy for longer than the limit: the broker takes the message out of the queue by itself.
    assert eventually(lambda: runtime.info("app:work")["ready"] == 1)
    probe.gate.wait(0.3)
    probe.gate.set()
    [event] = dead.wait(1)
    assert event.reason == "expired"
    assert runtime.info("app:dead")["ready"] == 1


def test_a_server_that_is_killed_and_comes_back_loses_nothing(new_rabbit_server, start, probe):
    server = new_rabbit_server()
    runtime = start(definition(server.url, "killed"), HANDLERS)
    runtime.publish("app:work", "before")
    probe.wait(1)

    server.settle()
    server.kill()
    server.start()

    runtime.publish("app:work", "after", timeout=60)
    assert [
        body for body, _, _ in probe.wait_until(lambda records: any(body == "after" for body, *_ in records))
    ]


def problems(application, text):
    with pytest.raises(ConfigurationError) as caught:
        Runtime.load(application(text))
    return str(caught.value)


ENTRY = "namespace: app\nentries:\n  - {{name: broker, kind: queue.driver.amqp, {fields}}}\n"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("url: http://localhost/", "expected amqp://user:password@host:port/vhost"),
        ("url: 'amqp://user:s3cret@host:port/'", "expected amqp://user:password@host:port/vhost"),
        ("url: 'amqp://user:s3cret@host/?heartbeat=5'", "expected amqp://"),
        ("auth_mechanism: plain", "PLAIN"),
        ("auth_mechanism: EXTERNAL", "EXTERNAL is to show a certificate"),
        ("prefetch_count: 5", "every consumer has a prefetch of its own"),
        ("frame_size: 10", "from 4096 to 131072"),
        ("tls: {server_name: x}", "it is not used: set enabled"),
        ("tls: {enabled: true, cert_env: CERT}", "cert and key come together"),
        ("heartbeet: 5s", 'did you mean "heartbeat"?'),
    ],
)
def test_a_wrong_entry_is_refused(application, fields, said):
    text = problems(application, ENTRY.format(fields=fields))

    assert said in text
    assert "s3cret" not in text


def test_options_that_do_not_exist_or_do_not_fit_are_refused(application):
    text = "namespace: app\nentries:\n  - {{name: broker, kind: queue.driver.amqp}}\n"
    text += "  - {{name: work, kind: queue.queue, driver: broker, options: {options}}}\n"

    assert 'did you mean "durable"?' in problems(application, text.format(options="{durabel: false}"))
    quorum = "{queue_type: quorum, durable: false}"
    assert "a quorum queue is durable" in problems(application, text.format(options=quorum))


def test_delays_of_wippy_are_those_of_the_restart(application):
    text = ENTRY.format(fields="reconnect_delay: 3s")
    restart = Runtime.load(application(text)).registry["app:broker"].config.lifecycle.restart
    assert (restart.initial_delay, restart.max_delay) == (3, 30)

    text = ENTRY.format(fields="reconnect_delay: 3s, lifecycle: {restart: {initial_delay: 7s}}")
    restart = Runtime.load(application(text)).registry["app:broker"].config.lifecycle.restart
    assert (restart.initial_delay, restart.max_delay) == (7, 90)
