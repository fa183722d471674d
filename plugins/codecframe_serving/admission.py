"""Who is let in: by host, token, origin, number of clients and requests a second."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from codecframe import CodecframeError
from codecframe_serving.limits import Limits, RateLimiters

LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")


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
        hosts: names that the server is called by, besides those of the loopback interface and IP
            addresses. A page that gets here by another name got it by DNS rebinding.
    """

    def __init__(self, limits: Limits, token: str | None, hosts: Iterable[str] = ()) -> None:
        self._limits = limits
        self._token = None if token is None else token.encode()
        self._hosts = {_plain(name) for name in (*LOOPBACK_NAMES, *hosts)}
        self._paces = RateLimiters(limits.fps)
        self._by_address: Counter[str] = Counter()
        self.clients = 0
        self.closing = False

    def check(self, client: HTTPConnection) -> None:
        """Whether the client is who it must be.

        Raises:
            TurnedAwayError: if its token is absent or wrong, it calls the server by a name that is
                not allowed, or a web page of another site sent it.
        """
        self._check_host(client)
        if self._token is not None:
            scheme, _, given = client.headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode(), self._token)
            if scheme.lower() != "bearer" or not right:
                raise TurnedAwayError(401, "token", "this server wants its token: Bearer TOKEN")
        if _is_of_another_site(client):
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
        where = address(client)
        if self._by_address[where] >= self._limits.of_one_address:
            count = self._by_address[where]
            raise TurnedAwayError(
                503, "address", f"{count} clients of this address are served already"
            )
        self.clients += 1
        self._by_address[where] += 1
        try:
            yield
        finally:
            self.clients -= 1
            self._by_address[where] -= 1
            if not self._by_address[where]:
                del self._by_address[where]

    def count_request(self, client: HTTPConnection) -> None:
        """Count a request of the client's address.

        Raises:
            TurnedAwayError: if there were too many lately.
        """
        if not self._paces.allows(address(client), time.monotonic()):
            raise TurnedAwayError(
                429, "rate", f"over {self._limits.fps:g} requests a second are not served"
            )

    def _check_host(self, client: HTTPConnection) -> None:
        given = client.headers.get("host")
        name = "" if given is None else _name(given)
        if given is not None and name not in self._hosts and not _is_ip_address(name):
            raise TurnedAwayError(
                403, "host", f"this server is not known as {name[:80]!r}: see --allow-host"
            )


def address(client: HTTPConnection) -> str:
    """The network address of a client."""
    return client.client.host if client.client else "local"


def _is_of_another_site(client: HTTPConnection) -> bool:
    """Whether a browser says that a page of another site asks."""
    if client.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    origin = client.headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != client.headers.get("host")
    except ValueError:
        return True


def _name(host: str) -> str:
    """The name in a Host header, without its port; empty where there is none."""
    try:
        return _plain(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return ""


def _plain(name: str) -> str:
    return name.lower().strip("[]").rstrip(".")


def _is_ip_address(name: str) -> bool:
    """Whether it is an address, which no DNS server can point elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
