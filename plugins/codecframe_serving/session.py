"""The server's side of one stream: what was agreed, and frames to jobs. No input or output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codecframe import (
    ClassifierHead,
    Codec,
    CodecframeError,
    DataError,
    LayeredSettings,
    MismatchError,
    Settings,
    TaskHead,
    TaskPrediction,
)
from codecframe_serving import answers
from codecframe_serving.answers import CLASSES
from codecframe_serving.limits import Limits
from codecframe_serving.protocol import (
    MAX_HELLO,
    Answer,
    Frame,
    Hello,
    Label,
    Ready,
    Refused,
    Status,
    Welcome,
    read_object,
    read_text,
)
from codecframe_serving.worker import Job, Worker


@dataclass(frozen=True)
class _Agreed:
    codec: Codec[Any]
    settings: Settings
    hello: Hello


class Session:
    """One stream of a client."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._agreed: _Agreed | None = None

    def hello(self, message: str) -> Ready | Refused:
        """Take what the client says of the frames that follow."""
        self._agreed = None
        try:
            hello = read_text(message, Hello, most=MAX_HELLO)
            if hello.head is not None and hello.head != self._worker.head.name:
                raise MismatchError(
                    f"this server has head {self._worker.head.name!r}, not {hello.head!r}"
                )
            if self._worker.task != CLASSES and not hello.says:
                raise MismatchError(
                    f"head {self._worker.head.name!r} does {self._worker.task}; this client reads "
                    "answers of classifiers alone"
                )
            codec = self._worker.find(hello.codec, hello.emits)
            settings = codec.settings_type.from_dict(hello.settings)
            if isinstance(settings, LayeredSettings):
                settings = settings.task_alone
        except CodecframeError as error:
            return Refused(str(error)[:1000])
        self._agreed = _Agreed(codec, settings, hello)
        return Ready()

    @property
    def keeps_pictures(self) -> bool:
        """Whether the client can be asked for the pictures of its frames."""
        return self._agreed is not None and self._agreed.hello.pictures

    def job(self, frame: Frame) -> Job:
        """What a frame asks for.

        Raises:
            DataError: if it belongs to no accepted stream, or says no shape where it must.
            SettingsError: if the codec has no such knob level.
        """
        agreed = self._agreed
        if agreed is None:
            raise DataError("link", "no hello was accepted")
        shape = frame.shape or agreed.hello.shape
        if shape is None:
            raise DataError("link", "neither the hello nor the frame says the shape")
        settings = agreed.settings.at_level(frame.level)
        return Job(frame.payload, agreed.codec, settings, shape)

    @property
    def audits(self) -> bool:
        """Whether the frames that come now are there to audit others."""
        return self._agreed is not None and self._agreed.hello.audits

    @property
    def promised(self) -> float | None:
        """The share of them that agrees, at least, as the client was promised."""
        return self._agreed.hello.promised if self._agreed else None

    def check_label(self, label: Label) -> None:
        """Whether what a camera's own head says could be this head's answer.

        Raises:
            DataError: if it is not of the head's task, or of no class of it.
        """
        head = self._worker.head
        if bool(label.said) == (self._worker.task == CLASSES):
            raise DataError("link", f"a label is not an answer of the task {self._worker.task}")
        if label.said:
            head.task.words(read_object(label.said))
        if any(head.labels and index >= len(head.labels) for index, _ in label.top):
            raise DataError("link", f"head {head.name!r} has {len(head.labels)} classes")

    def answer(self, sequence: int, prediction: TaskPrediction, seconds: float) -> Answer:
        """The answer: the classes that were asked for, or what another task says.

        Raises:
            MismatchError: if the head does not say what its task does, or too much.
        """
        if self._worker.task != CLASSES:
            found = answers.packed(answers.said(self._worker.head, prediction))
            return Answer(sequence, Status.OK, seconds, said=found)
        most = self._agreed.hello.top if self._agreed else 1
        seen = tuple((one.index, one.probability) for one in answers.top(prediction, most))
        return Answer(sequence, Status.OK, seconds, seen)


def welcome(worker: Worker, limits: Limits) -> Welcome:
    """What a server says first."""
    head = worker.head
    preprocess = _geometry(head)
    return Welcome(
        head=head.name,
        labels=tuple(head.labels),
        representation=str(head.accepts),
        codecs=tuple(worker.codecs),
        preprocess=preprocess,
        max_message=limits.message,
        max_pixels=worker.max_pixels,
        max_fps=limits.fps,
        pictures=True,
        task=worker.task,
        cascades=True,
    )


def _geometry(head: TaskHead) -> dict[str, Any] | None:
    """How cameras bring images to the head's size, as plain data."""
    if isinstance(head, ClassifierHead):
        return head.preprocess.changed()
    if head.input_shape is None or head.task.name != CLASSES:
        return None  # places are said in pixels of the image as it is
    return {"resize": min(head.input_shape), "crop": list(head.input_shape)}
