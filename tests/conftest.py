"""Settings of this project's own tests."""

import os

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """One thread for products of matrices: they are small here, and threads of several workers wait for each other."""
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patched:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            patched.setenv(name, os.environ.get(name, "1"))  # in the processes that tests start too
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Prices of algorithms are measured for the tests alone, and the user's are left as they are."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp().parent / "cache"))
        yield
