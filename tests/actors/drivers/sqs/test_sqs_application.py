"""A whole application on SQS: what is declared, what is checked, what happens to messages."""

import boto3
import pytest

from noria.actors import Runtime
from noria.registry import ConfigurationError

AWS = """
    version: "1.0"
    namespace: app
    entries:
      - name: aws
        kind: config.aws
        region: eu-west-1
        access_key_id: any
        secret_access_key: s3cr3t-value
"""
TOPOLOGY = """
      - {{name: sqs, kind: queue.driver.sqs, config: aws, endpoint: "{endpoint}",
         lifecycle: {{restart: {{initial_delay: 100ms}}}}}}
      - name: tasks
        kind: queue.queue
        driver: sqs
        queue_name: {queue}
        dead_letter: {{queue: dead, max_attempts: 2}}
        redelivery: {{initial_delay: 0s, max_delay: 0s}}
        driver_options: {{sqs: {{default_visibility_timeout: 5s}}}}
      - {{name: dead, kind: queue.queue, driver: sqs, queue_name: {queue}-dead}}
      - {{name: work, kind: function.python, source: "file://handlers.py", method: work}}
      - {{name: bury, kind: function.python, source: "file://handlers.py", method: bury}}
      - name: worker
        kind: queue.consumer
        queue: tasks
        func: work
        lifecycle: {{auto_start: true}}
        driver_options: {{sqs: {{wait_time: 1s, visibility_timeout: 4s}}}}
      - name: undertaker
        kind: queue.consumer
        queue: dead
        func: bury
        lifecycle: {{auto_start: true}}
        driver_options: {{sqs: {{wait_time: 1s}}}}
"""
HANDLERS = """
import probe
from noria.actors import message

def work(body):
    if body == "bad":
        raise ValueError("no good")
    probe.record(("worked", body))

def bury(body):
    probe.record(("buried", body, message().header("x_dead_letter_reason")))
"""


def test_messages_are_handled_and_bad_ones_buried(start, probe, moto_server, request):
    runtime = start(AWS + TOPOLOGY.format(endpoint=moto_server.endpoint, queue="app-buried"), HANDLERS)

    runtime.publish("app:tasks", "good")
    runtime.publish("app:tasks", "bad")

    assert sorted(probe.wait(2)) == [("buried", "bad", "max_attempts"), ("worked", "good")]


def test_consumers_go_on_when_the_server_comes_back(start, probe, moto_server, proxy_to):
    line = proxy_to(moto_server.port)
    endpoint = f"http://127.0.0.1:{line.port}"
    runtime = start(AWS + TOPOLOGY.format(endpoint=endpoint, queue="app-lost"), HANDLERS)
    runtime.publish("app:tasks", "before")
    probe.wait(1)

    line.refuse()
    line.cut()
    line.accept()
    runtime.publish("app:tasks", "after", timeout=20)

    # A publish that was cut off may have arrived all the same, and is sent again.
    records = probe.wait_until(lambda records: ("worked", "after") in records)
    assert set(records) == {("worked", "before"), ("worked", "after")}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{name: sqs, kind: queue.driver.sqs}", "config: required"),
        ("{name: sqs, kind: queue.driver.sqs, config: sqs}", "config.aws"),
        (
            "{name: sqs, kind: queue.driver.sqs, config: aws, message_retention_period: 59s}",
            "from 60 to 1209600",
        ),
        ("{name: sqs, kind: queue.driver.sqs, config: aws, default_delay_seconds: 901}", "from 0 to 900"),
        ("{name: sqs, kind: queue.driver.sqs, config: aws, endpoint: localhost}", "http://"),
        (
            "{name: sqs, kind: queue.driver.sqs, config: aws, endpoint: 'http://a:s3cr3t@b'}",
            "no user or password",
        ),
        (
            "{name: sqs, kind: queue.driver.sqs, config: aws, endpoint: 'http://b', use_fips: true}",
            "cannot stand beside an endpoint",
        ),
        ("{name: sqs, kind: queue.driver.sqs, config: aws, endpont: x}", 'did you mean "endpoint"'),
        ("{name: key, kind: config.aws, access_key_id: x}", "needs secret_access_key"),
        ("{name: key, kind: config.aws, secret_access_key: x}", "needs access_key_id"),
        ("{name: key, kind: config.aws, session_token: x}", "needs access_key_id"),
        (
            "{name: key, kind: config.aws, profile: p, access_key_id: x, secret_access_key: y}",
            "not both",
        ),
    ],
)
def test_what_is_wrong_with_an_entry_is_told_before_anything_runs(application, entry, problem):
    with pytest.raises(ConfigurationError) as caught:
        Runtime.load(application(f"{AWS}      - {entry}\n"))

    assert problem in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("{default_visibility_timeout: 13h}", "43200"),
        ("{default_visibilty_timeout: 1s}", 'did you mean "default_visibility_timeout"'),
    ],
)
def test_options_have_sqs_s_limits(application, options, problem):
    entries = f"""\
      - {{name: sqs, kind: queue.driver.sqs, config: aws}}
      - {{name: q, kind: queue.queue, driver: sqs, driver_options: {{sqs: {options}}}}}
"""
    with pytest.raises(ConfigurationError) as caught:
        Runtime.load(application(AWS + entries))

    assert problem in str(caught.value)


def test_a_queue_that_somebody_deletes_is_made_again(start, probe, moto_server):
    runtime = start(AWS + TOPOLOGY.format(endpoint=moto_server.endpoint, queue="app-deleted"), HANDLERS)
    runtime.publish("app:tasks", "before")
    probe.wait(1)

    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    client = boto3.client("sqs", endpoint_url=moto_server.endpoint, region_name="eu-west-1", **keys)
    client.delete_queue(QueueUrl=client.get_queue_url(QueueName="app-deleted")["QueueUrl"])
    client.close()
    runtime.publish("app:tasks", "after", timeout=20)

    # A publish that was cut off may have arrived all the same, and is sent again.
    records = probe.wait_until(lambda records: ("worked", "after") in records)
    assert set(records) == {("worked", "before"), ("worked", "after")}
