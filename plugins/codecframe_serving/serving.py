"""Serving a classifier: what `codecframe serve` does, as a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import codecframe
from codecframe import UsageError

EXTRA = "codecframe[serve]"


def serve(
    head: str,
    *,
    codecs: Sequence[str] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: Path | None = None,
    no_token: bool = False,
    hosts: Sequence[str] = (),
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    batch: int = 32,
    delay: float = 2,
    queue: int = 512,
    max_message: int = 8 << 20,
    max_pixels: int = 1 << 24,
    max_clients: int = 256,
    max_per_address: int | None = None,
    max_memory: int = 1024,
    idle: float = 60,
    sandbox: bool | None = None,
    decode_timeout: float = 5,
    max_fps: float = 120,
    grace: float = 30,
    ask: Sequence[str] = (),
    engine: str = "local",
    ray_address: str | None = None,
    replicas: int = 2,
    log: str = "text",
    log_level: str = "info",
    ready: Callable[[str], None] | None = None,
) -> None:
    """Classify for cameras and others: HTTP requests and WebSocket streams, in batches.

    Returns when Ctrl-C or SIGTERM has ended the server, and everything that had come was answered.

    Args:
        head: a head's name, a model file, a description, or `module:function`.
        codecs: codecs to decode for; empty: all installed ones that fit the head.
        host: address to listen at; `0.0.0.0` is any.
        port: 0 chooses a free one.
        token_file: file with the token that clients must bring; else that of `CODECFRAME_TOKEN`.
        no_token: let anyone in who reaches `host`.
        hosts: names by which clients may call the server, besides localhost, `host` and IP
            addresses.
        tls_cert, tls_key: PEM files with the TLS certificate chain and its private key.
        batch: images of one call of the head, at most.
        delay: milliseconds that an image waits for others.
        queue: images that may wait; more are refused.
        max_message: bytes of an image or a message, at most.
        max_pixels: of an image.
        max_clients: streams and requests at a time, at most.
        max_per_address: the same of one address; None: half of them, or 16.
        max_memory: MiB for images under way, besides decoding processes.
        idle: seconds without a message after which a stream is closed.
        sandbox: decode in processes of their own, with limits on memory, time and files; None:
            where the system has such limits.
        decode_timeout: seconds after which decoding an image is ended, in the sandbox.
        max_fps: frames a second of a stream, or requests of an address, at most.
        grace: seconds to answer what is under way when the server is ended.
        ask: when cameras that send pictures if asked are asked for that of a frame:
            `probability < 0.6`, `label in cat, dog`.
        engine: `local` or `ray`.
        ray_address: the Ray cluster; None: the one that `RAY_ADDRESS` names, else one is started.
        replicas: workers on a Ray cluster.
        log: `text` for people, or `json` for JSON lines, on stderr.
        log_level: the least that is logged: `debug`, `info`, `warning` or `error`.
        ready: called with the server's URL when it listens.

    Raises:
        UsageError: for arguments that do not go together, or a host that others reach, without a
            token.
        DependencyError: if a package is missing.
        UnknownNameError: if there is no such head or codec.
        DataError: if a file cannot be read, or nothing can listen at that address.
    """
    if no_token and token_file:
        raise UsageError("{no_token} and {token_file} say the opposite")
    if tls_key and not tls_cert:
        raise UsageError("{tls_key} needs {tls_cert}")
    for package in ("prometheus_client", "starlette", "uvicorn", "websockets"):
        codecframe.require(package, EXTRA)
    from codecframe_serving.asking import Rule
    from codecframe_serving.batcher import Batching
    from codecframe_serving.confine import can_confine
    from codecframe_serving.limits import Limits
    from codecframe_serving.logs import start_logging
    from codecframe_serving.replicas import Recipe, Replicas
    from codecframe_serving.server import Address
    from codecframe_serving.server import serve as run
    from codecframe_serving.service import Service
    from codecframe_serving.tokens import find_token

    address = Address(host, port, tls_cert, tls_key)
    token = None if no_token else find_token(token_file)
    if token is None and not no_token and not address.is_loopback:
        raise UsageError(
            f"{{host}} {host} is reached by others: set a token "
            "({token_file}, CODECFRAME_TOKEN), or say {no_token}"
        )
    limits = Limits(
        max_message, max_pixels, max_clients, max_fps,
        per_address=max_per_address, idle=idle, memory=max_memory << 20,
    )  # fmt: skip
    recipe = Recipe(head, tuple(codecs), limits.pixels)
    confined = can_confine() if sandbox is None else sandbox
    worker = recipe.worker(decode_timeout if confined else None)
    start_logging(log_level, as_json=log == "json")
    batching = Batching(batch, delay / 1000, queue)
    spread = None
    if engine == "ray":
        spread = Replicas(recipe, replicas, batching, ray_address)
    rules = [Rule.parse(text, worker.head.labels) for text in ask]
    service = Service(worker, limits, batching, token, spread, (*address.names, *hosts), rules)
    run(service, address, grace=grace, ready=ready or (lambda url: None))
