from __future__ import annotations

import numpy as np
import soundfile

from soundsep.separator import wav


def test_files_larger_than_a_wav_header_can_say(separator, recording, tmp_path, monkeypatch):
    expected = separator(recording)
    monkeypatch.setattr(wav, "MAX_SIZE", 10_000)
    path = expected.save(tmp_path / "out")["a"]
    assert soundfile.info(path).format == "RF64"
    assert path.read_bytes()[:4] == b"RF64"
    np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0].T, expected["a"])
