"""Running the server: its socket, its signals, and an end at which everyone is answered."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvicorn

from codecframe import as_data_error
from codecframe_serving import logs
from codecframe_serving.app import make_app
from codecframe_serving.connections import Connections
from codecframe_serving.service import Service
from codecframe_serving.tokens import check_pem

_FAREWELL = 2.0
"""Seconds for clients to read their last answers after the end was said to them."""
_BESIDE_CLIENTS = 64
"""Connections for health checks, metrics, watchers and refusals, besides those of clients."""
_HANDSHAKE_SECONDS = 10.0
"""For a TLS handshake; asyncio's own limit is a minute."""
_KEEPALIVE = 20.0
"""Seconds between pings of a stream; one that does not answer for as long is closed."""


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: name or address of the network interface; the loopback one by default.
        port: 0 lets the system choose.
        certificate: PEM file with the chain of TLS certificates; None serves plain HTTP.
        key: PEM file with its private key; None where the certificate's file has it.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def names(self) -> tuple[str, ...]:
        """What clients may call it without being told: its own name, if it has one, and the
        machine's where others reach it."""
        if self.is_loopback:
            return (self.host,)
        machine = socket.gethostname()
        return self.host, machine, machine.partition(".")[0], f"{machine.partition('.')[0]}.local"

    def url(self, port: int) -> str:
        """The address as clients write it."""
        scheme = "http" if self.certificate is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{port}"


def serve(
    service: Service,
    address: Address | None = None,
    *,
    grace: float = 30.0,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM; then everything that was read is answered.

    Args:
        service: what is served.
        address: where.
        grace: seconds to answer what is under way; a second SIGINT does not wait for it.
        ready: called with the server's URL once it listens.

    Raises:
        DataError: if the address cannot be listened at, or the certificate not be read.
        CodecframeError: if the head fails.
    """
    address = address or Address()
    config = _config(service, address, grace)
    listener = _listen(address)
    with listener:
        service.warm_up()
        url = address.url(listener.getsockname()[1])
        server = _Server(config, service, lambda: ready(url))
        logs.event(logging.INFO, "serving", url=url, head=service.worker.head.name)
        asyncio.run(server.serve([listener]))
        logs.event(logging.INFO, "ended")


class _Server(uvicorn.Server):
    """Answers what is under way before it closes connections."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self.config.is_ssl:
            _limit_handshakes(asyncio.get_running_loop())
        await super().startup(sockets)
        _end_quietly(self)  # now, since a Ray cluster that was joined has set handlers of its own
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logs.event(logging.INFO, "ending", clients=self._service.guard.clients)
        draining = asyncio.create_task(self._service.drain())
        await self._wait(draining.done, self.config.timeout_graceful_shutdown or 0.0)
        draining.cancel()
        await self._wait(lambda: not self.server_state.connections, _FAREWELL)
        await super().shutdown(sockets)

    async def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not (condition() or self.force_exit) and loop.time() < deadline:
            await asyncio.sleep(0.01)


def _limit_handshakes(loop: asyncio.AbstractEventLoop) -> None:
    """uvicorn has no setting for it, and a connection counts only when its handshake is done."""
    create = functools.partial(loop.create_server, ssl_handshake_timeout=_HANDSHAKE_SECONDS)
    cast("Any", loop).create_server = create


def _end_quietly(server: uvicorn.Server) -> None:
    """uvicorn raises the signal that ended it once more at its end: then nothing shall happen."""

    def end(*_: object) -> None:
        server.should_exit = True

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)


def _config(service: Service, address: Address, grace: float) -> uvicorn.Config:
    """How uvicorn serves: nothing is compressed (payloads are already), nothing else is logged."""
    limits = service.limits
    connections = Connections(
        limits.clients + _BESIDE_CLIENTS, limits.of_one_address + _BESIDE_CLIENTS // 2
    )
    config = uvicorn.Config(
        make_app(service),
        http=cast("type[asyncio.Protocol]", connections.protocol),
        ws="websockets-sansio",
        ws_max_size=service.limits.message,
        ws_per_message_deflate=False,
        ws_ping_interval=_KEEPALIVE,
        ws_ping_timeout=_KEEPALIVE,
        timeout_graceful_shutdown=max(round(grace), 1),
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    for file in (address.certificate, address.key):
        if file is not None:
            check_pem(file)
    with as_data_error(address.certificate, OSError, ssl.SSLError):
        config.load()
    return config


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with as_data_error(f"{address.host}:{address.port}", OSError, OverflowError):
        return socket.create_server((address.host, address.port), family=family, backlog=1024)
