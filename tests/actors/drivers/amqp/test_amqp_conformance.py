"""RabbitMQ through the conformance suite."""

import pytest

from noria.actors.testing import DriverConformance


class TestAmqp(DriverConformance):
    @pytest.fixture
    def make_driver(self, make_driver):
        return make_driver

    @pytest.fixture
    def cut(self, cut):
        return cut

    @pytest.fixture
    def abandon(self, cut):
        return cut
