"""`Classifier`: a frontend, a network and the names of its outputs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from soundsep.audio.level import without_offset
from soundsep.checkpoints.files import WEIGHTS_NAME, read_weights, write_checkpoint
from soundsep.checkpoints.hub import CARD_NAME, push_folder
from soundsep.checkpoints.resolve import resolve
from soundsep.classifier.card import model_card
from soundsep.classifier.config import ClassifierConfig
from soundsep.classifier.saved import checked_config, readable_state, written_config
from soundsep.config import check_kind
from soundsep.devices import forked_rng
from soundsep.errors import ConfigError
from soundsep.frontends import build_frontend
from soundsep.models import FrameNetwork, build_network

__all__ = ["Classifier"]


class Classifier(nn.Module):
    """Waveform in, one logit per label out; some networks give one per label and frame too.

    Args:
        config: Settings; the network starts with random weights.

    Raises:
        ConfigError: ``config`` is not a `ClassifierConfig`, or a window is shorter than an analysis
            frame or a frame of the network.

    Shape:
        waveform: (batch, time), mono, at `sample_rate`. Returns logits (batch, n_labels).

    Examples:
        >>> import torch
        >>> model = Classifier(ClassifierConfig(labels=("dog", "rain"), network="resnet18"))
        >>> model(torch.zeros(3, 16_000)).shape
        torch.Size([3, 2])
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        check_kind("Classifier", config, ClassifierConfig)
        self.config = config
        self.frontend = build_frontend(config.frontend)
        window = config.window_samples
        if window < self.frontend.min_samples:
            raise ConfigError(
                f"ClassifierConfig.window_seconds is {config.window_seconds}, {window} samples; "
                f"{type(self.frontend).__name__} needs at least {self.frontend.min_samples}"
            )
        self.network = build_network(config.network, len(config.labels))
        self.float()  # as the features are, whatever torch's default is
        if (frame := self.frame_length) is not None and window < frame:
            raise ConfigError(
                f"ClassifierConfig.window_seconds is {config.window_seconds}, {window} samples; a "
                f"frame of network {config.network!r} has {frame}"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return self.config.labels

    @property
    def sample_rate(self) -> int:
        """Rate the waveform must have, in Hz."""
        return self.config.frontend.sample_rate

    @property
    def frame_length(self) -> int | None:
        """Step between the network's frames, in samples; ``None`` if it has none."""
        if not isinstance(self.network, FrameNetwork):
            return None
        return int(self.network.frame_stride * getattr(self.config.frontend, "hop_length", 1))

    @property
    def frame_seconds(self) -> float | None:
        """Step between the network's frames; ``None`` if it has none."""
        return None if self.frame_length is None else self.frame_length / self.sample_rate

    def forward(self, waveform: Tensor) -> Tensor:
        """Logits, (batch, n_labels)."""
        return self.network(self.features(waveform))

    def features(self, waveform: Tensor) -> Tensor:
        """What the network gets: the frontend's features, without a constant offset.

        Shape:
            waveform: (batch, time). Returns (batch, ...), as the frontend does.
        """
        if isinstance(waveform, Tensor) and waveform.is_floating_point():
            waveform = without_offset(waveform)
        return self.frontend(waveform)  # which refuses all else

    if TYPE_CHECKING:  # nn.Module's own takes and returns Any

        def __call__(self, waveform: Tensor) -> Tensor:
            """As `forward`."""
            ...

    def embed(self, waveform: Tensor) -> Tensor:
        """Embeddings: the input of the final layer, (batch, embedding_dim)."""
        return self.network.embed(self.features(waveform))

    def frame_logits(self, waveform: Tensor) -> Tensor:
        """Logits of every frame; the middle of frame ``i`` is ``i`` times `frame_seconds`.

        Shape:
            waveform: (batch, time). Returns (batch, n_frames, n_labels), with one frame per
            `frame_length` samples or part of them.

        Raises:
            ConfigError: the network has no frames; `frame_seconds` is ``None``.
        """
        return self._frames_and_whole(waveform)[0]

    def frame_scores(self, waveform: Tensor) -> Tensor:
        """Scores from 0 to 1 of every frame; shapes as in `frame_logits`.

        Each is the geometric mean of what the frame alone says and what `predict` says of the
        whole: what is not in the whole is not in its frames.
        """
        return self.predict_with_frames(waveform)[1]

    def predict_with_frames(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """What `predict` and `frame_scores` give, in one pass.

        Raises:
            ConfigError: the network has no frames.
        """
        frames, whole = map(self.probabilities, self._frames_and_whole(waveform))
        return whole, (frames * whole.unsqueeze(1)).sqrt()

    def _frames_and_whole(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the frames and of the waveform."""
        if not isinstance(self.network, FrameNetwork):
            raise ConfigError(
                f"network {self.config.network!r} scores whole windows, not frames; "
                "mn04-frames does"
            )
        return self.network.pooled(self.network.embed_frames(self.features(waveform)))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Scores from 0 to 1 by the config's temperature and activation, in the same shape."""
        temperature = self.config.temperature
        logits = logits / (
            logits.new_tensor(temperature) if isinstance(temperature, tuple) else temperature
        )
        return logits.softmax(dim=-1) if self.config.activation == "softmax" else logits.sigmoid()

    def predict(self, waveform: Tensor) -> Tensor:
        """Scores from 0 to 1, (batch, n_labels); for audio files see `soundsep.Pipeline`."""
        return self.probabilities(self(waveform))

    def save_pretrained(self, folder: str | Path, *, half: bool = False) -> None:
        """Write ``config.json`` and ``model.safetensors``, as `from_pretrained` reads them.

        Args:
            folder: Created if it does not exist.
            half: Store weights as float16: half the size; they are float32 again when loaded.

        Raises:
            ConfigError: the network is not the one that the config names, so that the files could
                not be read; one that `torch.compile` or ``DataParallel`` wraps is.
            WeightsError: a weight is NaN or infinite, or too large for float16, or writing failed.
        """
        state = self.state_dict()
        if type(self) is Classifier:  # a subclass may have weights of its own
            with forked_rng():
                like = Classifier(self.config).state_dict()
            state = readable_state(state, like, self.config)
        write_checkpoint(folder, written_config(self.config), state, half=half)

    def push_to_hub(
        self,
        repository: str,
        *,
        licence: str | None = None,
        card: str | None = None,
        report: Mapping[str, Any] | None = None,
        private: bool = False,
        half: bool = False,
        token: str | None = None,
    ) -> str:
        """Put the model into a repository on the Hugging Face Hub, as `from_pretrained` reads it.

        Args:
            repository: ``org/repo``; created if it does not exist.
            licence: Identifier for the card, such as ``"cc-by-4.0"``.
            card: Text of ``README.md``. By default one with labels, use and figures, unless the
                repository has one.
            report: Figures for the card: what `soundsep.FitReport.to_dict` gives.
            private: Create the repository so that only its owners see it.
            half: Store weights as float16.
            token: Access token; by default that of ``hf auth login`` or of ``HF_TOKEN``. It is
                never shown.

        Returns:
            The address of the commit.

        Raises:
            ConfigError: the name or the licence is none, or the environment forbids the network.
            WeightsError: the weights cannot be stored, or the Hub refuses or cannot be reached.
        """
        text = model_card(self.config, str(repository), licence=licence, report=report)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, half=half)
            Path(folder, CARD_NAME).write_text(card or text, encoding="utf-8")
            return push_folder(
                Path(folder), repository, private=private, token=token, keep_card=card is None
            )

    @classmethod
    def from_pretrained(cls, name_or_dir: str | Path) -> Classifier:
        """Load a published model, a folder, or a model of the Hugging Face Hub.

        Published models are fetched once, verified and cached; see `soundsep.checkpoints.resolve`.

        Args:
            name_or_dir: A published name (``soundsep models`` lists them), a folder written by
                `save_pretrained`, or ``org/repo`` on the Hub.

        Returns:
            The model on the CPU, in evaluation mode.

        Raises:
            ConfigError: the name or a setting in the config is unknown.
            WeightsError: a file is not available, is damaged, or does not fit the config.
        """
        folder = resolve(name_or_dir)
        config = checked_config(folder)
        with forked_rng():  # the weights drawn here are replaced
            model = cls(config)
        weights = read_weights(folder / WEIGHTS_NAME, like=model.state_dict())
        model.load_state_dict(weights)
        return model.eval()
