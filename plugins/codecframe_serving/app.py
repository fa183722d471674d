"""The server's HTTP interface, as an ASGI application.

POST /v1/predict    an image file, or data or a payload of a codec; answered with JSON
WS   /v1/stream     a stream of frames, as `protocol` says
GET  /healthz       whether clients are let in; asks for no token
GET  /v1/picture    the picture of a frame of a stream, as PNG; the camera is asked for it
GET  /metrics       for Prometheus
GET  /              a page to watch the server; asks for no token, but what it shows does:
GET  /v1/watch      figures and pictures, as server-sent events
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.resources import files
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from codecframe import CodecframeError, LimitError, TaskPrediction
from codecframe_serving import answers, logs
from codecframe_serving.admission import TurnedAwayError, address
from codecframe_serving.dashboard import Answered
from codecframe_serving.decoding import file_of
from codecframe_serving.metrics import CONTENT_TYPE
from codecframe_serving.protocol import Status
from codecframe_serving.query import read_picture_query, read_query
from codecframe_serving.room import BusyError, Claim
from codecframe_serving.service import Service, status_of
from codecframe_serving.stream import Stream
from codecframe_serving.worker import Job

_HTTP_STATUS = {Status.BUSY: 503, Status.BAD: 400, Status.FAILED: 500}
_PICTURE_SECONDS = 15.0
"""In which a camera must send a picture that it is asked for."""
_LONGEST_SIDE = 1 << 16
"""Of a picture, which is not made smaller then."""
_LATER = {"Retry-After": "1"}
_PAGE = {"": "index.html", "page.css": "page.css", "page.js": "page.js"}
"""Files of the page, by the end of their path."""
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def make_app(service: Service) -> Starlette:
    """The application; it starts the service, and closes it when it is shut down itself."""
    api = _Api(service)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service:
            yield

    return Starlette(
        routes=[
            Route("/v1/predict", api.predict, methods=["POST"]),
            WebSocketRoute("/v1/stream", api.stream),
            Route("/healthz", api.health),
            Route("/metrics", api.metrics),
            Route("/v1/picture", api.picture),
            Route("/v1/watch", api.watch),
            *(Route(f"/{path}", _page_file(name)) for path, name in _PAGE.items()),
        ],
        exception_handlers={TurnedAwayError: cast(Any, api.turn_away)},
        lifespan=lifespan,
    )


class _Api:
    """What is done at each path."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._guard = service.guard

    async def predict(self, request: Request) -> Response:
        """Predict for one image."""
        with self._guard.admitted(request), self._service.room.claim() as claim:
            self._guard.count_request(request)
            arrived = time.monotonic()
            status, response = await self._answer(request, claim, arrived)
        seconds = time.monotonic() - arrived
        self._service.metrics.answered("http", status, seconds)
        logs.event(
            logging.DEBUG,
            "request answered",
            client=address(request),
            status=status.name.lower(),
            seconds=round(seconds, 4),
        )
        return response

    async def _answer(
        self, request: Request, claim: Claim, arrived: float
    ) -> tuple[Status, Response]:
        try:
            make_job, most = read_query(request.query_params.multi_items(), self._service.worker)
        except CodecframeError as error:
            return Status.BAD, _complaint(_code(error, Status.BAD), str(error))
        job = make_job(await self._body(request, claim))
        try:
            prediction = await self._service.predict(job, claim, address(request))
            seen = self._said(prediction, most)
        except Exception as error:  # of a stranger's head or codec
            status = status_of(error)
            self._note(request, job, status, arrived)
            return status, _complaint(_code(error, status), str(error))
        self._note(request, job, Status.OK, arrived, prediction)
        found = {
            "head": self._service.worker.head.name,
            **seen,
            "seconds": round(time.monotonic() - arrived, 6),
        }
        return Status.OK, JSONResponse(found)

    def _said(self, prediction: TaskPrediction, most: int) -> dict[str, Any]:
        """What is answered: classes, or what another task says."""
        worker = self._service.worker
        if worker.task == answers.CLASSES:
            return {"top": [asdict(entry) for entry in answers.top(prediction, most)]}
        return {"task": worker.task, "prediction": answers.said(worker.head, prediction)}

    def _note(
        self,
        request: Request,
        job: Job,
        status: Status,
        arrived: float,
        prediction: TaskPrediction | None = None,
    ) -> None:
        """Tell those who watch."""
        spent = time.monotonic() - arrived
        self._service.watch.add(Answered("http", address(request), job, status, spent, prediction))

    async def _body(self, request: Request, claim: Claim) -> bytes:
        """What was posted; `claim` grows with it.

        Raises:
            TurnedAwayError: if it is too large, comes too slowly, or not to its end, or there is
                no memory for it.
        """
        most, seconds = self._service.limits.message, self._service.limits.upload
        too_large = TurnedAwayError(413, "size", f"more than {most:,} bytes are not taken")
        declared = request.headers.get("content-length", "0")
        if len(declared) > 15 or int(declared) > most:
            raise too_large
        data = bytearray()
        try:
            async with asyncio.timeout(seconds):
                async for part in request.stream():
                    if len(data) + len(part) > most:
                        raise too_large
                    claim.grow(len(part))
                    data += part
        except BusyError as error:
            raise TurnedAwayError(503, "memory", str(error)) from None
        except TimeoutError:
            raise TurnedAwayError(408, "slow", f"not all came in {seconds:g} s") from None
        except ClientDisconnect:
            raise TurnedAwayError(408, "gone", "the client went away") from None
        return bytes(data)

    async def stream(self, socket: WebSocket) -> None:
        """Serve a stream of frames."""
        with self._guard.admitted(socket):
            stream = Stream(socket, self._service)
            self._service.on_drain.add(stream.stop)
            self._service.streams[stream.name] = stream
            try:
                await stream.run()
            finally:
                del self._service.streams[stream.name]
                self._service.on_drain.discard(stream.stop)

    async def picture(self, request: Request) -> Response:
        """The picture of a frame, which its camera is asked for where it has not come."""
        with self._guard.admitted(request):
            self._guard.count_request(request)
            try:
                name, sequence = read_picture_query(request.query_params.multi_items())
                stream = self._service.streams.get(name)
                if stream is None:
                    return _complaint(404, f"there is no stream {name!r}")
                seen = await stream.picture(sequence, _PICTURE_SECONDS)
                image, _ = await asyncio.to_thread(
                    self._service.worker.picture, seen.job, _LONGEST_SIDE
                )
            except CodecframeError as error:
                return _complaint(404, str(error))
            content = await asyncio.to_thread(file_of, image)
        return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})

    async def health(self, _: Request) -> Response:
        """Whether clients are let in."""
        closing = self._guard.closing
        return PlainTextResponse("closing" if closing else "ok", 503 if closing else 200)

    async def metrics(self, request: Request) -> Response:
        """What was counted."""
        self._guard.check(request)
        return Response(self._service.metrics.text(), media_type=CONTENT_TYPE)

    async def watch(self, request: Request) -> Response:
        """What the page shows, as it happens."""
        self._guard.check(request)
        if self._guard.closing:
            raise TurnedAwayError(503, "closing", "the server is shutting down")
        watcher = address(request)
        if not self._service.watch.has_place(watcher):
            raise TurnedAwayError(503, "watchers", "enough watch already")
        return StreamingResponse(
            self._views(watcher),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def _views(self, watcher: str) -> AsyncIterator[str]:
        ended = asyncio.Event()
        self._service.on_drain.add(ended.set)
        try:
            async for view in self._service.watch.views(watcher, ended):
                yield f"data: {json.dumps(view, separators=(',', ':'))}\n\n"
        finally:
            self._service.on_drain.discard(ended.set)

    async def turn_away(self, client: HTTPConnection, error: TurnedAwayError) -> Response | None:
        """The answer to a client that is not served; a stream gets it in place of its socket."""
        self._service.metrics.refused(error.reason)
        logs.event(logging.INFO, "turned away", client=address(client), reason=error.reason)
        response = _complaint(error.status, str(error))
        if isinstance(client, WebSocket):
            for name in ("content-length", "content-type"):  # uvicorn < 0.53 sends its own too
                del response.headers[name]
            await client.send_denial_response(response)
            return None
        return response


def _page_file(name: str) -> Any:
    """Serves a file of the page."""
    kind = {"html": "text/html", "css": "text/css", "js": "text/javascript"}[
        name.rpartition(".")[2]
    ]
    content = (files("codecframe_serving") / "page" / name).read_bytes()
    return lambda request: Response(content, media_type=kind, headers=_PAGE_HEADERS)


def _code(error: Exception, status: Status) -> int:
    """The HTTP status for an error."""
    return 413 if isinstance(error, LimitError) else _HTTP_STATUS[status]


def _complaint(status: int, message: str) -> Response:
    headers = _LATER if status in (429, 503) else {}
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return JSONResponse({"error": message}, status, headers)
