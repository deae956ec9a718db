"""RabbitMQ drivers for tests, each on a line of its own that can be cut."""

import pytest

from noria.actors.drivers.amqp import AmqpConfig, AmqpDriver


class AmqpOnTheLine(AmqpDriver):
    """Reaches its server through a line that can be cut, and is whole again when the driver opens again."""

    def __init__(self, server, line, **fields):
        super().__init__("amqp", AmqpConfig(url=f"amqp://guest:guest@127.0.0.1:{line.port}/", **fields))
        self.line = line

    def open(self, failed):
        self.line.accept()
        super().open(failed)


@pytest.fixture
def make_driver(request, rabbit_server, proxy_to):
    def make(**fields):
        if "cut" not in request.fixturenames:
            return AmqpDriver("amqp", AmqpConfig(url=rabbit_server.url, **fields))
        return AmqpOnTheLine(rabbit_server, proxy_to(rabbit_server.port), **fields)

    return make


@pytest.fixture
def cut():
    def cut(driver):
        driver.line.refuse()
        driver.line.cut()

    return cut
