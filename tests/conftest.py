"""Settings of this project's own tests."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """One thread for products of matrices: they are small here, and threads of several workers wait for each other."""
    with threadpool_limits(1):
        yield
