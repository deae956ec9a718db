"""Options and fixtures for every test."""

import pytest

BUILT_IN_DRIVERS = ("memory",)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--driver",
        action="append",
        metavar="NAME",
        help="run the driver conformance suite on this driver: one of ours by its short name,"
        " or any callable without arguments that makes a driver, as package.module:callable; repeatable",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "driver_name" in metafunc.fixturenames:
        names = metafunc.config.getoption("--driver") or BUILT_IN_DRIVERS
        metafunc.parametrize("driver_name", names)
