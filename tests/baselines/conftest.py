"""One thread: the networks are small, and threads that wait for each other cost more than they bring."""

from tests.one_thread import one_thread  # noqa: F401 (fixture)
