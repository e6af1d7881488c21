"""Links to a recording's files, for players and downloads: signed, for a while."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from functools import cached_property
from typing import TYPE_CHECKING

from offhook.errors import Forbidden

if TYPE_CHECKING:
    from pathlib import Path

LINK_SECONDS = 3600


class Links:
    """Signs links and checks them; the time is an argument."""

    def __init__(self, secret: str | None, data: Path) -> None:
        """Take the secret that processes share.

        Args:
            secret: The operator's; without it one is made, and kept in the folder.
            data: Processes that share it share that secret.
        """
        self._secret = secret
        self._data = data

    def sign(
        self, recording_id: str, name: str, now: float, seconds: float = LINK_SECONDS
    ) -> str:
        """Return a link to a file, relative to where the relay is mounted."""
        expires = int(now + seconds)
        signature = self._signature(recording_id, name, expires)
        query = f"expires={expires}&signature={signature}"
        return f"recordings/{recording_id}/{name}?{query}"

    def check(
        self, recording_id: str, name: str, expires: str, signature: str, now: float
    ) -> None:
        """Let a link pass.

        Raises:
            Forbidden: It was not made here, or for another file, or is too old.
        """
        # `isdecimal` takes digits of every script; what was signed has these only.
        known = expires.isascii() and expires.isdecimal() and len(expires) < 16
        right = self._signature(recording_id, name, int(expires) if known else 0)
        same = hmac.compare_digest(right.encode(), signature.encode(errors="replace"))
        if not (known and same) or int(expires) <= now:
            raise Forbidden(
                "This link is not valid, or not any more: get a new one from the page "
                "of the call.",
                code="invalid_link",
            )

    def _signature(self, recording_id: str, name: str, expires: int) -> str:
        # No id and no name has a line end.
        signed = f"{recording_id}\n{name}\n{expires}".encode()
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()

    @cached_property
    def _key(self) -> bytes:
        secret = self._secret or _secret(self._data)
        return hashlib.sha256(f"offhook recordings {secret}".encode()).digest()


def _secret(data: Path) -> str:
    """Read a data folder's secret, and make it first if there is none."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = data / "secret"
    part = data / f".secret-{secrets.token_hex(8)}"
    part.touch(mode=0o600)
    try:
        part.write_text(secrets.token_hex(32), "ascii")
        # All or nothing, and not twice, whoever else starts now.
        os.link(part, file)
    except FileExistsError:
        pass
    finally:
        part.unlink()
    return file.read_text("ascii")
