"""The local endpoint for your own tests, in a thread of its own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offhook.errors import InvalidRequest, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import AsyncOpenAI, OpenAI


@contextlib.contextmanager
def endpoint(**settings: Any) -> Iterator[Realtime]:
    """Run the local endpoint, with faults on, until the block is left.

    Args:
        settings: Those of `LocalSettings`; by default it takes a free loopback port.

    Raises:
        MissingExtra: The local endpoint is not installed.
        SettingsError: A setting is wrong.
    """
    # Here, so that who imports this and does not use it pays for nothing.
    from anyio.from_thread import start_blocking_portal

    from offhook.local import serving
    from offhook.settings import LocalSettings

    given = {"host": "127.0.0.1", "port": 0, "faults": True, **settings}
    loaded = LocalSettings.load(**given)
    key = loaded.api_key.get_secret_value() if loaded.api_key else "sk-test"
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(loaded)) as url,
    ):
        yield Realtime(url, key)


@dataclass(frozen=True)
class Realtime:
    """A running local endpoint.

    Attributes:
        url: The base URL of HTTP clients, `http://127.0.0.1:…/v1`.
        api_key: A key that it accepts.
    """

    url: str
    api_key: str

    @property
    def ws_url(self) -> str:
        """The URL of WebSocket clients, to which `?model=…` is added."""
        return f"{self.url.replace('http', 'ws', 1)}/realtime"

    def client(self, **options: Any) -> OpenAI:
        """Make an official client, which does not try again what has failed.

        Raises:
            ServerError: The package openai is not installed.
        """
        client: OpenAI = self._official("OpenAI", options)
        return client

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """Make an asynchronous one; see `client`."""
        client: AsyncOpenAI = self._official("AsyncOpenAI", options)
        return client

    def mint(self, **session: Any) -> str:
        """Return a new client secret, for a session with these fields."""
        body = {"session": {"type": "realtime", **session}}
        return str(self._request("POST", "v1/realtime/client_secrets", body)["value"])

    def fault(self, fault: str) -> None:
        """Let the next request go wrong, for example `status=429; times=2`.

        Raises:
            InvalidRequest: There is no such fault; the message says which there are.
        """
        self._request("POST", "faults", {"fault": fault})

    def clear_faults(self) -> None:
        """Take back the faults that have not happened yet."""
        self._request("DELETE", "faults")

    def _official(self, name: str, options: dict[str, Any]) -> Any:
        try:
            import openai
        except ModuleNotFoundError:
            raise ServerError(
                "openai is not installed. Run: pip install openai",
                code="missing_package",
            ) from None
        given = {"base_url": self.url, "api_key": self.api_key, "max_retries": 0}
        return getattr(openai, name)(**{**given, **options})

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        import httpx

        root = self.url.removesuffix("v1")
        headers = {"Authorization": f"Bearer {self.api_key}"}
        # No proxy of the environment's leads to a server of this process.
        with httpx.Client(trust_env=False, timeout=20, headers=headers) as client:
            response = client.request(method, root + path, json=body)
        answer = response.json()
        if response.is_error:
            error = answer["error"]
            raise InvalidRequest(
                error["message"],
                code=error["code"],
                param=error["param"],
                status=response.status_code,
            )
        return answer
