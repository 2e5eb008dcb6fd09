"""The tool that makes computed machines."""

from __future__ import annotations

import numpy as np
import soundfile

import make_machines


def test_a_number_is_a_sound_that_stays_the_same(tmp_path, monkeypatch):
    for folder in ("once", "again"):
        monkeypatch.setattr(
            "sys.argv",
            ["make_machines", str(tmp_path / folder), "--n", str(len(make_machines.KINDS))],
        )
        make_machines.main()
    names = sorted(path.name for path in (tmp_path / "once").iterdir())
    assert len(names) == len(make_machines.KINDS)
    sounds = [soundfile.read(tmp_path / "once" / name)[0] for name in names]
    for name, sound in zip(names, sounds, strict=True):
        assert (soundfile.read(tmp_path / "again" / name)[0] == sound).all()
        assert len(sound) == make_machines.N
        np.testing.assert_allclose(np.abs(sound).max(), make_machines.PEAK, atol=1e-3)
    assert len({sound.tobytes() for sound in sounds}) == len(sounds)
