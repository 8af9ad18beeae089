"""Options and fixtures of the tests that run nodes of their own."""

import os
import random

import pytest

import orderers
import processes


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, help="replays a run of the fault tests")
    parser.addoption("--rounds", type=int, default=5, help="how many crashes: 5 by default, more for a campaign")


@pytest.fixture(scope="session")
def seed(request):
    chosen = request.config.getoption("--seed")
    return chosen if chosen is not None else random.SystemRandom().randrange(1 << 32)


@pytest.fixture(scope="session")
def consortium(tmp_path_factory):
    """One consortium for all fault tests; each test leaves it running and whole."""
    consortium = processes.Consortium(tmp_path_factory.mktemp("faults") / "network", os.environ["WEFT"])
    try:
        consortium.up()
        yield consortium
    finally:
        consortium.down("--remove")


@pytest.fixture
def cluster(tmp_path, request):
    """A consortium with as many orderers as the test's parameter says."""
    cluster = orderers.Cluster(tmp_path, os.environ["WEFT"], request.param)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
