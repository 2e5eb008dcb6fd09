"""Many recordings, one after the other: progress bar, failures, summary and exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from soundsep.cli.console import note

__all__ = ["go_through", "groups_of"]


def go_through(
    recordings: Sequence[str],
    work: Callable[[list[str]], Iterable[str | None]],
    *,
    done: Mapping[str, bool] | None = None,
    group_size: int = 1,
    output: Path | None = None,
    can_resume: bool = False,
    always_sum_up: bool = False,
) -> int:
    """Work on all recordings that are not done yet.

    Args:
        recordings: Paths of all recordings.
        work: Processes a group of recordings and yields for each why it failed, or ``None``. It
            prints results and failures itself.
        done: Whether each recording of an earlier run failed.
        group_size: Recordings per call of ``work``.
        output: File of the results, if they are not on the screen.
        can_resume: Whether a later run can go on with the output.
        always_sum_up: Print the summary for a single recording too.

    Returns:
        The exit code, 1 if a recording failed, now or in an earlier run.
    """
    from soundsep.progress import progress_bar

    done = {} if done is None else done
    left = [path for path in recordings if path not in done]
    n_before = len(recordings) - len(left)
    n_failed = n_failed_before = sum(done.get(path, False) for path in recordings)
    n_done = n_before
    many = len(recordings) > 1
    try:
        with progress_bar(
            total=len(recordings), initial=n_before, unit="file", progress=many
        ) as bar:
            for group in groups_of(left, group_size):
                for error in work(group):
                    n_done += 1
                    n_failed += error is not None
                    sys.stdout.flush()  # whoever reads along has it now, or has seen enough
                bar.set_postfix(failed=n_failed, refresh=False)
                bar.update(len(group))
    except KeyboardInterrupt:
        if can_resume:
            counted = {0: "no results are", 1: "1 result is"}.get(n_done, f"{n_done} results are")
            yet = "" if n_done else " yet"
            note(f"{counted} in {output}{yet}; the same command with --resume continues")
        raise
    if many or n_before or always_sum_up:
        before = f", {n_before} done before" if n_before else ""
        where = f"; the results are in {output}" if output else ""
        again = "; --retry-failed tries those again that failed before" if n_failed_before else ""
        note(f"{_counted(len(recordings), n_failed)}{before}{where}{again}")
    return 1 if n_failed else 0


def _counted(n: int, n_failed: int) -> str:
    if n_failed:
        return f"{n_failed} of {n} recordings failed"
    return f"{n} recordings, none failed" if n > 1 else "1 recording, done"


def groups_of(paths: Sequence[str], size: int) -> Iterator[list[str]]:
    """So many recordings at a time, in order; the last group may be smaller."""
    iterator = iter(paths)
    while group := list(islice(iterator, size)):
        yield group
