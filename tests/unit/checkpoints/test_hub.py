"""Models pushed to a hub and pulled from it, by the real client and by a stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_hub import COMMIT, fake_hub

from soundsep import Classifier, ClassifierConfig
from soundsep.checkpoints.hub import is_repository, push_folder
from soundsep.cli import main
from soundsep.errors import ConfigError, WeightsError

TOKEN = "hf_ThisOpensEveryDoor123"  # of nobody

SCRIPT = """
import sys
from soundsep import Classifier
from soundsep.cli import main

model, half = sys.argv[1:]
assert main(["push", model, "me/bees", "--licence", "cc-by-4.0", "--private"]) == 0
assert main(["push", model, "me/bees", "--half"]) == 0  # the card that is there stays
Classifier.from_pretrained("me/bees").save_pretrained(half)
"""


@pytest.fixture
def model() -> Classifier:
    return Classifier(ClassifierConfig(labels=("bee", "fly`s", "#wasp"), network="cnn4"))


def client(hub: Any, home: Path) -> dict[str, str]:
    """The environment of a process whose hub is that one."""
    own = {"HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HOME": str(home)}
    dropped = ("SOUNDSEP_OFFLINE", "HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy")
    rest = {name: value for name, value in os.environ.items() if name not in dropped}
    return rest | own | {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}


def test_a_model_is_pushed_with_its_card_and_pulled_as_it_was(model, tmp_path):
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    report = {"accuracy": 0.9, "interval_95": [0.8, 0.95], "mode": "probe", "n_clips": 20}
    report |= {"skipped": [{"path": "/home/ann/secret.wav"}], "noise_named": 0.01, "learnt": "ab"}
    report["backbone"] = "/home/ann/backbone"
    (folder / "fit_report.json").write_text(json.dumps(report))
    with fake_hub() as hub:
        run = [sys.executable, "-c", SCRIPT, str(folder), str(tmp_path / "pulled")]
        done = subprocess.run(
            run, env=client(hub, tmp_path / "home"), capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert f"{hub.address}/me/bees/commit/{COMMIT}" in done.stdout
    assert f"Bearer {TOKEN}" in hub.tokens  # it was used
    assert hub.created[0]["name"] == "bees"
    assert "private" in str(hub.created[0])
    files = hub.repositories["me/bees"]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    card = files["README.md"].decode()
    assert card.startswith("---\nlicense: cc-by-4.0\nlibrary_name: soundsep\n")
    assert 'Pipeline.from_pretrained("me/bees")' in card
    assert "```text\nbee\nfly`s\n#wasp\n```" in card
    assert "| accuracy | 90.0% (95 % interval 80% to 95%) |" in card
    assert "| noise that gets a label | 1.0% |" in card
    assert "ann" not in card
    pulled = Classifier.from_pretrained(tmp_path / "pulled")
    assert pulled.config == model.config
    for one, other in zip(model.parameters(), pulled.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-2)  # by way of float16


def test_a_refusal_tells_no_token(model, tmp_path):
    """The server sends the token back in its message."""
    model.save_pretrained(tmp_path / "model")
    with fake_hub() as hub:
        hub.refuses = True
        run = [sys.executable, "-m", "soundsep", "push", str(tmp_path / "model"), "me/bees"]
        done = subprocess.run(
            run, env=client(hub, tmp_path / "home"), capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 2
    assert f"Bearer {TOKEN}" in hub.tokens
    assert "cannot push to 'me/bees'" in done.stderr
    assert "403" in done.stderr
    assert "no right to write" in done.stderr
    assert "hf auth login, or HF_TOKEN" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


class Stub(types.ModuleType):
    """Stands in for huggingface_hub."""

    def __init__(self, *, error: Exception | None = None, has_card: bool = False) -> None:
        super().__init__("huggingface_hub")
        self.calls: list[tuple[str, Any]] = []
        stub = self

        class HfApi:
            def __init__(self, **options: Any) -> None:
                stub.calls.append(("api", options))

            def create_repo(self, repository: str, **options: Any) -> None:
                stub.calls.append(("create", (repository, options)))
                if error is not None:
                    raise error

            def file_exists(self, *names: str) -> bool:
                return has_card

            def upload_folder(self, **options: Any) -> str:
                sent = {path.name for path in Path(options["folder_path"]).iterdir()}
                stub.calls.append(("upload", (options, sent)))
                return "https://example.invalid/commit"

        self.HfApi = HfApi


def pushed(monkeypatch: pytest.MonkeyPatch, stub: Stub) -> Stub:
    monkeypatch.setitem(sys.modules, "huggingface_hub", stub)
    return stub


def test_only_the_files_of_a_model_are_sent(model, monkeypatch):
    stub = pushed(monkeypatch, Stub())
    assert model.push_to_hub("me/bees", token=TOKEN) == "https://example.invalid/commit"
    (_, options), (_, (name, created)), (_, (upload, sent)) = stub.calls
    assert options["token"] == TOKEN
    assert (name, created) == ("me/bees", {"private": False, "exist_ok": True})
    assert upload["repo_id"] == name
    assert sorted(upload["allow_patterns"]) == ["README.md", "config.json", "model.safetensors"]
    assert set(upload["allow_patterns"]) == sent


@pytest.mark.parametrize(("card", "sends"), [(None, False), ("# Mine", True)])
def test_a_card_that_is_there_is_replaced_by_a_given_one_alone(model, monkeypatch, card, sends):
    stub = pushed(monkeypatch, Stub(has_card=True))
    model.push_to_hub("me/bees", card=card)
    assert ("README.md" in stub.calls[-1][1][0]["allow_patterns"]) is sends


@pytest.mark.parametrize(
    "message", [f"header {TOKEN}", "Authorization: Bearer abc.def", "hf_AnotherOneOfNobody"]
)
def test_errors_of_the_client_tell_no_token(model, monkeypatch, message):
    pushed(monkeypatch, Stub(error=RuntimeError(message)))
    with pytest.raises(
        WeightsError, match=r"cannot push to 'me/bees'.*RuntimeError: .*\*\*\*"
    ) as e:
        model.push_to_hub("me/bees", token=TOKEN)
    assert e.value.__cause__ is None
    assert e.value.__suppress_context__
    assert not {TOKEN, "abc.def", "hf_AnotherOneOfNobody"} & set(str(e.value).split())


def test_a_given_token_of_any_form_is_not_told(model, monkeypatch):
    token = "of-another-hub+1"
    pushed(monkeypatch, Stub(error=RuntimeError(f"no right to write with {token}.")))
    with pytest.raises(WeightsError, match=r"no right to write with \*\*\*\.") as caught:
        model.push_to_hub("me/bees", token=token)
    assert token not in str(caught.value)


@pytest.mark.parametrize("n_org", [96, 97])
@pytest.mark.parametrize("n_name", [96, 97])
def test_names_of_repositories_have_96_characters_at_most(n_org, n_name):
    assert is_repository(f"{'o' * n_org}/{'n' * n_name}") == (n_org == n_name == 96)


@pytest.mark.parametrize("name", ["bees", "a/b/c", "../bees", "me/..", "", "me/be--es", 5])
def test_what_is_no_repository_is_refused_before_anything_is_sent(model, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # importing it raises
    with pytest.raises(ConfigError, match="expected org/repo"):
        model.push_to_hub(name)
    with pytest.raises(ConfigError, match="a licence such as"):
        model.push_to_hub("me/bees", licence="MIT\nname: x")


def test_nothing_is_sent_offline(model, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    with pytest.raises(ConfigError, match="nothing can be pushed"):
        push_folder(tmp_path, "me/bees")


def test_the_command_takes_the_card_of_the_folder(model, monkeypatch, tmp_path, capsys):
    stub = pushed(monkeypatch, Stub(has_card=True))
    model.save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text("# Mine", encoding="utf-8")
    assert main(["push", str(tmp_path), "me/bees"]) == 0
    assert "README.md" in stub.calls[-1][1][0]["allow_patterns"]
    assert "soundsep classify --model me/bees FILE" in capsys.readouterr().out
    (tmp_path / "fit_report.json").write_text("{")
    assert main(["push", str(tmp_path), "me/bees"]) == 2
    assert "fit_report.json is not JSON" in capsys.readouterr().err
