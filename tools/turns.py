"""What trainings that take turns on one device share: arguments, clips, the clock, the turns."""

from __future__ import annotations

import argparse
import json
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch

from soundsep.datasets import Clip, load_examples
from soundsep.training import Example
from soundsep.training.pace import Pace

RATE = 16_000
K = TypeVar("K", bound=Hashable)


class Member(ABC):
    """One of the trainings.

    Attributes:
        name: For messages.
        rows: Points of the learning curve.
    """

    name: str
    rows: list[dict[str, Any]]

    @property
    @abstractmethod
    def n_heard(self) -> int:
        """Clips or mixtures so far."""

    @property
    @abstractmethod
    def n_steps(self) -> int:
        """Steps so far."""

    @abstractmethod
    def is_over(self, share: float) -> bool:
        """Whether it is trained, so much of the run being over."""

    @abstractmethod
    def step(self, share: float) -> None:
        """Take one step."""

    @abstractmethod
    def report(self, share: float, seconds: float, per_second: float) -> bool:
        """Add a row to the learning curve; says whether the training is still one."""


def take_turns(members: Mapping[K, Member], turns: Sequence[K], pace: Pace, n_reports: int) -> None:
    """Let all learn in turns until their schedules are over; one that fails leaves the others."""
    active = dict(members)
    n_before = sum(member.n_heard for member in members.values())
    while active:
        for key in turns:
            member = active.get(key)
            if member is None:
                continue
            share = pace.share(member.n_steps)
            if is_over := member.is_over(share):
                del active[key]
            else:
                try:
                    member.step(share)
                except RuntimeError:
                    traceback.print_exc()
                    del active[key]
                    continue
            if is_over or (share < 1 and len(member.rows) < int(share * n_reports + 1e-9)):
                heard = sum(member.n_heard for member in members.values()) - n_before
                if not member.report(share, pace.elapsed, heard / pace.elapsed):
                    print(f"{member.name} diverged; lower learning_rate", flush=True)
                    active.pop(key, None)


def add_arguments(parser: argparse.ArgumentParser, *, n_threads: int) -> None:
    """Those of every such tool."""
    parser.add_argument("--esc50", required=True, metavar="ROOT")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--minutes", type=float, help="from the start of the program to its end")
    parser.add_argument("--recipe", type=Path, help="JSON of settings that differ")
    parser.add_argument("--batch-size", type=int, help="instead of the recipe's")
    parser.add_argument("--reports", type=int, default=20, help="points of the learning curve")
    parser.add_argument("--limit", type=int, help="so many clips of each side only")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--threads", type=int, default=n_threads)
    parser.add_argument("--seed", type=int, default=0)


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """What ``--recipe`` holds."""
    settings: dict[str, Any] = json.loads(args.recipe.read_text()) if args.recipe else {}
    return settings


def pace_of(args: argparse.Namespace, n_steps: int, *, began: float, end_seconds: float) -> Pace:
    """The pace of the steps, so that with the end of the program the time is over."""
    spent, seconds = time.monotonic() - began, None
    if args.minutes:
        whole = 60 * args.minutes
        seconds = max(whole - spent - end_seconds, 0.3 * whole)
    planned = "" if seconds is None else f", {seconds:.0f} s"
    print(f"{spent:.1f} s: at most {n_steps} steps{planned}", flush=True)
    return Pace(n_steps, seconds)


def load(clips: Sequence[Clip], n_threads: int) -> list[Example]:
    """Clips in memory, decoded by a few threads."""
    parts = [clips[i : i + 50] for i in range(0, len(clips), 50)]
    with ThreadPoolExecutor(n_threads) as pool:
        loaded = pool.map(lambda p: load_examples(p, sample_rate=RATE, progress=False), parts)
        return [example for part in loaded for example in part]


def wait(device: torch.device) -> None:
    """Until the device has done what it was told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def name_of(device: torch.device) -> str:
    """The accelerator's model, or what kind of device it is."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
