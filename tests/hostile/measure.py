"""A child process: how much memory windows and segments need, beside what their configs say.

One line of JSON for each: a name, the estimate and the measured peak, in bytes.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from soundsep import Classifier, ClassifierConfig, SeparatorConfig
from soundsep.devices import to_device
from soundsep.frontends import (
    FrontendConfig,
    GammatoneConfig,
    KaldiMelConfig,
    MelConfig,
    MFCCConfig,
    WaveformConfig,
)
from soundsep.models import NETWORKS, WAVEFORM_NETWORKS
from soundsep.models.separation import SEPARATION_NETWORKS, build_separation_network

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(field: str) -> int:
    return int(STATUS.read_text("ascii").split(f"{field}:")[1].split()[0]) * 1024


def peak(call: Callable[[], object]) -> int:
    """Bytes that a call needs beside what was there before."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    RESET.write_text("5", "ascii")
    before = resident("VmRSS")
    with torch.inference_mode():
        call()
    return resident("VmHWM") - before


def long(frontend: FrontendConfig, network: str) -> ClassifierConfig:
    """A config whose windows need about 256 MiB."""
    second = ClassifierConfig(
        labels=("a",), network=network, frontend=frontend, window_seconds=1.0, hop_seconds=1.0
    )
    seconds = float(round(2**28 / second.window_bytes))
    return second.replace(window_seconds=seconds, hop_seconds=seconds)


def configs() -> Iterator[ClassifierConfig]:
    for network in NETWORKS:
        if network in WAVEFORM_NETWORKS:
            yield long(WaveformConfig(), network)
        else:
            yield long(
                MelConfig(n_mels=128 if network.endswith(("bands", "frames", "context")) else 64),
                network,
            )
    for frontend in (
        MelConfig(n_fft=4_096, hop_length=80),
        MelConfig(hop_length=20, n_mels=16),
        KaldiMelConfig(hop_length=80),
        MFCCConfig(hop_length=40),
        GammatoneConfig(n_bands=8),
        GammatoneConfig(n_bands=64, hop_length=40),
    ):
        yield long(frontend, "cnn4")


def main() -> None:
    torch.set_num_threads(1)
    for config in configs():
        model = to_device(Classifier(config), "cpu").eval()
        model.predict(torch.zeros(1, model.sample_rate))  # what is loaded on first use
        waveform = torch.rand(1, round(config.window_seconds * model.sample_rate))
        measured = peak(lambda model=model, waveform=waveform: model.predict(waveform))
        print(json.dumps([str(config), config.window_bytes, measured]), flush=True)
    for name, n_sources in itertools.product(SEPARATION_NETWORKS, (2, 16)):
        config = SeparatorConfig(
            sources=tuple(f"s{i}" for i in range(n_sources)),
            network=name,
            sample_rate=16_000,
            n_channels=1,
            segment_seconds=40.0,
        )
        network = build_separation_network(name, n_sources=n_sources).eval()
        waveform = torch.rand(1, 1, config.segment_samples)
        measured = peak(lambda network=network, waveform=waveform: network(waveform))
        told = f"{name}, {n_sources} sources"
        print(json.dumps([told, config.segment_bytes, measured]), flush=True)


if __name__ == "__main__":
    main()
