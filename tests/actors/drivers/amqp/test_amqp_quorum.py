"""RabbitMQ with quorum queues through the conformance suite."""

import pytest
from attrs import evolve, frozen

from noria.actors.drivers.amqp import AmqpQueueOptions
from noria.actors.testing import DriverConformance


@frozen(kw_only=True)
class Quorum(AmqpQueueOptions):
    queue_type: str = "quorum"


class TestQuorum(DriverConformance):
    """RabbitMQ puts what a consumer of a quorum queue gives back behind what is ready there."""

    @pytest.fixture(scope="class")
    def vhost(self, rabbit_server):
        """Its own, for the suite's names of queues are those of the classic ones."""
        rabbit_server.add_vhost("quorum")
        return "quorum"

    @pytest.fixture
    def make_driver(self, make_driver, vhost):
        def make():
            driver = make_driver(vhost=vhost)
            driver.queue_options = Quorum
            driver.features = evolve(driver.features, returns_to_head=False, ordered=False)
            return driver

        return make

    @pytest.fixture
    def cut(self, cut):
        return cut

    @pytest.fixture
    def abandon(self, cut):
        return cut
