"""Workers under load die by SIGKILL at random moments: nothing accepted is lost, and duplicates have their bound."""

import pytest

from reliability import backends
from reliability.campaign import Campaign


@pytest.fixture(params=["sqlite", "redis", "amqp"])
def driver(request, tmp_path) -> str:
    match request.param:
        case "sqlite":
            return backends.sqlite(tmp_path)
        case "redis":
            return backends.redis(request.getfixturevalue("redis_server").url)
        case name:
            assert name == "amqp"
            return backends.amqp(request.getfixturevalue("rabbit_server").url)


def test_killed_workers_lose_nothing_and_double_no_more_than_they_held(driver, tmp_path):
    """Issue: 'every message whose publish returned is handled at least once; duplicates never exceed what was in
    flight at the kills'."""
    campaign = Campaign(tmp_path, driver, queue=tmp_path.name, seed=20261121)

    books = campaign.run(count=3_000, kills=6)

    assert (books.accepted, books.kills) == (3_000, 6)
    assert books.lost == 0
    assert books.duplicates <= books.bound
