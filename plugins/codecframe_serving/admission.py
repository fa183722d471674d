"""Who is let in: by token, origin, number of clients and requests a second."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from codecframe import CodecframeError
from codecframe_serving.limits import Limits, RateLimiters


class TurnedAwayError(CodecframeError):
    """A client is not served.

    Attributes:
        status: of the HTTP answer.
        reason: one word for metrics and logs.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Admission:
    """Lets clients in.

    Args:
        limits: how many, how often.
        token: what they must bring as `Authorization: Bearer TOKEN`; None asks for nothing.
    """

    def __init__(self, limits: Limits, token: str | None) -> None:
        self._limits = limits
        self._token = None if token is None else token.encode()
        self._paces = RateLimiters(limits.fps)
        self.clients = 0
        self.closing = False

    def check(self, client: HTTPConnection) -> None:
        """Whether the client is who it must be.

        Raises:
            TurnedAwayError: if its token is absent or wrong, or a web page of another site sent it.
        """
        if self._token is not None:
            scheme, _, given = client.headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode(), self._token)
            if scheme.lower() != "bearer" or not right:
                raise TurnedAwayError(401, "token", "this server wants its token: Bearer TOKEN")
        origin = client.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != client.headers.get("host"):
            raise TurnedAwayError(403, "origin", "pages of other sites are not served")

    @contextmanager
    def admitted(self, client: HTTPConnection) -> Iterator[None]:
        """A place among those that are served, for the `with` block.

        Raises:
            TurnedAwayError: as `check`, or if there is no place.
        """
        self.check(client)
        if self.closing:
            raise TurnedAwayError(503, "closing", "the server is shutting down")
        if self.clients >= self._limits.clients:
            raise TurnedAwayError(503, "clients", f"{self.clients} clients are served already")
        self.clients += 1
        try:
            yield
        finally:
            self.clients -= 1

    def count_request(self, client: HTTPConnection) -> None:
        """Count a request of the client's address.

        Raises:
            TurnedAwayError: if there were too many lately.
        """
        if not self._paces.allows(address(client), time.monotonic()):
            raise TurnedAwayError(
                429, "rate", f"over {self._limits.fps:g} requests a second are not served"
            )


def address(client: HTTPConnection) -> str:
    """The network address of a client."""
    return client.client.host if client.client else "local"
