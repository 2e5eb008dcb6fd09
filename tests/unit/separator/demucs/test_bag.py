from __future__ import annotations

from pathlib import Path

import pytest

from soundsep import Separator, WeightsError
from soundsep.separator.demucs.bag import read_bag


def test_bags_of_demucs_are_read():
    import demucs
    import yaml

    paths = [*(Path(demucs.__file__).parent / "remote").glob("*.yaml")]
    assert len(paths) > 5
    for path in paths:
        bag, expected = read_bag(path), yaml.safe_load(path.read_text())
        assert list(bag.signatures) == expected["models"]
        assert bag.weights == expected.get("weights")
        assert bag.segment == expected.get("segment")


# A few lines that would be printed as a billion words.
BOMB = "weights: &a0 [x, x]\nsegment:\n" + "".join(
    f"  - &a{i + 1} [*a{i}, *a{i}, *a{i}, *a{i}, *a{i}, *a{i}, *a{i}, *a{i}]\n" for i in range(10)
)
BOMB += "models: [*a10]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: ['../../etc/passwd']", "is not a model"),
        ("models: ['0123abcd/../x']", "is not a model"),
        ("models: [12345678]", "is not a model"),
        ("models: []", "1 to 16 models"),
        ("models: '0123abcd'", "1 to 16 models"),
        ("models: !!python/object/apply:os.system ['touch trace']", "cannot be read"),
        ("models: ['0123abcd']\nplanted: 1", "nothing else"),
        ("models: ['0123abcd']\nweights: [[1, 1], [1, 1]]", "row of non-negative weights"),
        ("models: ['0123abcd']\nweights: [[1, .nan]]", "row of non-negative weights"),
        ("models: ['0123abcd']\nweights: [[1, 0]]", "row of non-negative weights"),
        (f"models: ['0123abcd']\nweights: [[{10**400}]]", "row of non-negative weights"),
        ("models: ['0123abcd']\nsegment: -1", "segment is not above 0"),
        *(
            (f"models: ['0123abcd']\nsegment: {wrong}", "segment is not above 0")
            for wrong in (10**400, ".nan", ".inf", "true", "'8'")
        ),
        (BOMB, "a list is not a model"),
        ("models: ['0123abcd']\n#" + "x" * 100_000, "too large"),
        ("\x00", "cannot be read"),
    ],
)
def test_planted_bags_are_refused(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(WeightsError, match=message):
        Separator.from_pretrained(tmp_path)
    assert not (tmp_path / "trace").exists()
