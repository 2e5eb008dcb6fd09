"""Events from a microphone, live."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio.checks import check_format
from soundsep.config import check_number
from soundsep.errors import AudioError, DependencyError
from soundsep.pipeline.beginnings import Beginnings
from soundsep.pipeline.long_recordings import Listener
from soundsep.pipeline.stream import Stream
from soundsep.pipeline.timeline import Event, Gap

__all__ = ["LiveInput", "Microphone", "listen"]

BLOCK_SECONDS = 0.1
POLL_SECONDS = 0.2


class LiveInput(Protocol):
    """What `listen` hears: a `Microphone`, or an input of one's own, such as a network stream."""

    @property
    def sample_rate(self) -> int:
        """Rate of the blocks, in Hz."""
        ...

    def blocks(self, stop: threading.Event) -> Iterator[tuple[int, Tensor]]:
        """Samples lost ahead of a block, 0 for none, and the block, (time,).

        Args:
            stop: Once set, the input ends. It also ends where the iterator does.

        Raises:
            AudioError: the input broke off; the events so far are given first.
            OSError: likewise, such as a connection that was lost.
        """
        ...

    def __enter__(self) -> object:
        """Start the input."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None:
        """Release the input."""
        ...


class Microphone:
    """Blocks of live sound, through a queue of limited length; used in a ``with`` statement.

    Samples that do not fit into the queue, because blocks are not taken out in time, are counted.

    Args:
        device: Number or name of the input, as for sounddevice; the system default by default.
        sample_rate: Rate of the recording in Hz; by default the device's own.
        queue_seconds: Length of the queue.

    Attributes:
        sample_rate: Rate of the recording, in Hz.

    Raises:
        DependencyError: sounddevice or PortAudio is missing.
        AudioError: the input does not exist, or does not support that rate.
        ConfigError: ``queue_seconds`` is out of range, or ``sample_rate`` is not a number.
    """

    def __init__(
        self,
        *,
        device: int | str | None = None,
        sample_rate: int | None = None,
        queue_seconds: float = 30.0,
    ) -> None:
        check_number("queue_seconds", queue_seconds, least=BLOCK_SECONDS, most=3_600)
        if sample_rate is not None:
            sample_rate = check_format("the microphone", 1, sample_rate)
        sounddevice = _sounddevice()
        n_blocks = math.ceil(queue_seconds / BLOCK_SECONDS)
        self._queue: queue.Queue[tuple[int, NDArray[np.float32]]] = queue.Queue(n_blocks)
        self._n_lost = 0  # samples since the last block that was queued
        self._n_seen = 0  # samples that the device gave or lost
        self._began: float | None = None  # on the device's clock
        try:
            known = sounddevice.query_devices(device, "input")
            self.sample_rate = int(sample_rate or known["default_samplerate"])
            self._input = sounddevice.InputStream(
                samplerate=self.sample_rate,
                blocksize=round(BLOCK_SECONDS * self.sample_rate),
                device=device,
                channels=1,
                dtype="float32",
                callback=self._take,
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            raise _refusal(error) from error

    def _take(self, data: NDArray[np.float32], n_frames: int, clock: Any, status: Any) -> None:
        """Called by the audio thread, which must not wait."""
        if self._began is None:
            self._began = clock.inputBufferAdcTime
        if status.input_overflow:  # lost before it arrived; only the clock tells how much
            elapsed = round((clock.inputBufferAdcTime - self._began) * self.sample_rate)
            n_missing = max(1, elapsed - self._n_seen)
            self._n_lost += n_missing
            self._n_seen += n_missing
        self._n_seen += n_frames
        try:
            self._queue.put_nowait((self._n_lost, data[:, 0].copy()))
            self._n_lost = 0
        except queue.Full:
            self._n_lost += n_frames

    def blocks(self, stop: threading.Event) -> Iterator[tuple[int, Tensor]]:
        """Samples lost ahead of a block, and the block, (time,), until ``stop`` is set.

        The blocks then in the queue are still yielded.

        Raises:
            AudioError: the device stopped.
        """
        while not stop.is_set():
            try:
                n_lost, block = self._queue.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if not self._input.active:
                    raise AudioError("the microphone stopped; was it unplugged?") from None
                continue
            yield n_lost, torch.from_numpy(block)
        self._input.stop()
        while not self._queue.empty():
            n_lost, block = self._queue.get_nowait()
            yield n_lost, torch.from_numpy(block)
        if self._n_lost:
            yield self._n_lost, torch.empty(0, device="cpu")

    def __enter__(self) -> Microphone:
        """Start recording.

        Raises:
            AudioError: the device does not start, for example because another program holds it.
        """
        try:
            self._input.start()
        except _sounddevice().PortAudioError as error:
            self._input.close()
            raise _refusal(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Release the device."""
        self._input.close()


def listen(
    pipe: Listener,
    microphone: LiveInput,
    *,
    stop: threading.Event | None = None,
    threshold: float | Mapping[str, float] | None = None,
    hop_seconds: float | None = None,
    min_duration_seconds: float = 0.0,
    merge_gap_seconds: float = 1.0,
    labels: Collection[str] | None = None,
    min_score: float = 0.0,
    batch_size: int = 16,
    began: Callable[[Event], object] | None = None,
) -> Iterator[Event | Gap]:
    """Events of a live recording, as they become certain, and the gaps in it.

    Args:
        pipe: Names the sounds.
        microphone: The input, a `Microphone` or any other `LiveInput`.
        stop: Once set, the recording ends and the last events are yielded.
        threshold: Score at which an event begins; one for all labels, or by label.
        hop_seconds: Step between windows.
        min_duration_seconds: Drop shorter events.
        merge_gap_seconds: Merge events of one label that are at most this far apart.
        labels: Find events of these labels only; all by default.
        min_score: Drop events with a lower score.
        batch_size: Windows per forward pass.
        began: Called with each event that is not over yet, once, as soon as it is known. Its end
            and its score are those so far.

    Returns:
        Events, with times from the start. A `Gap` stands for sound that arrived faster than the
        model could process it; no event spans it.

    Raises:
        AudioError: the device does not start, or stopped (raised after the last events).
        ConfigError: an option is out of range.
    """
    stream = pipe.stream(
        sample_rate=microphone.sample_rate,
        threshold=threshold,
        hop_seconds=hop_seconds,
        min_duration_seconds=min_duration_seconds,
        merge_gap_seconds=merge_gap_seconds,
        labels=labels,
        min_score=min_score,
        batch_size=batch_size,
    )
    beginnings = None if began is None else Beginnings(began)
    return _heard(stream, microphone, stop or threading.Event(), beginnings)


def _heard(
    stream: Stream, microphone: LiveInput, stop: threading.Event, beginnings: Beginnings | None
) -> Iterator[Event | Gap]:
    with microphone:
        try:
            for n_lost, block in microphone.blocks(stop):
                if n_lost:
                    at = stream.duration_seconds
                    events = stream.skip(n_lost)
                    if beginnings is not None:
                        beginnings.follow(events, ())
                    yield from events
                    yield Gap(at, stream.duration_seconds)
                events = stream.push(block)
                yield from events
                if beginnings is not None:
                    beginnings.follow(events, stream.unfinished())
        except (AudioError, OSError):  # of an input of one's own, such as a lost connection
            yield from stream.flush()
            raise
    yield from stream.flush()


def _refusal(error: Exception) -> AudioError:
    return AudioError(
        f"the microphone cannot be opened: {error}; `python -m sounddevice` lists the inputs"
    )


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise DependencyError(
            f"listening needs sounddevice, which cannot be imported: {error}; "
            'install it with: pip install "soundsep[live]"'
        ) from error
    except OSError as error:  # raised for a missing PortAudio
        raise DependencyError(
            f"listening needs the library PortAudio, which sounddevice does not find: {error}; "
            "install it with: apt install libportaudio2, or brew install portaudio"
        ) from error
    return sounddevice
