"""The recording upstream of the relay's tests serves here too."""

from tests.relay.conftest import clean_environment, recorder

__all__ = ["clean_environment", "recorder"]
