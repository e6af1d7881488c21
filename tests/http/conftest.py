"""The servers of the relay's tests serve here too."""

from tests.relay.conftest import clean_environment, recorder, relay, running

__all__ = ["clean_environment", "recorder", "relay", "running"]
