"""Demucs' files: read like demucs reads them, and nothing in them is run."""

from __future__ import annotations

import hashlib
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from soundsep import ConfigError, Separator, WeightsError
from soundsep.separator.demucs.files import read_network
from soundsep.separator.demucs.models import DEMUCS_MODELS

SOURCES = ["drums", "vocals"]
HT = {
    "sources": SOURCES,
    "channels": 8,
    "depth": 3,
    "nfft": 512,
    "t_layers": 1,
    "t_heads": 2,
    "samplerate": 8_000,
    "segment": Fraction(39, 50),
}
H = {"sources": SOURCES, "channels": 8, "samplerate": 8_000}


def build(klass: str, kwargs: dict[str, Any]) -> nn.Module:
    from demucs.hdemucs import HDemucs
    from demucs.htdemucs import HTDemucs

    torch.manual_seed(0)
    return {"HTDemucs": HTDemucs, "HDemucs": HDemucs}[klass](**kwargs).eval()


def described(value: Any) -> Any:
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    return value


def write(path: Path, network: nn.Module, options: dict[str, Any], **metadata: str) -> Path:
    """A file as demucs' tools/export_hf.py describes the format."""
    kind = type(network)
    content = {
        "klass": f"{kind.__module__}.{kind.__qualname__}",
        "args": "[]",
        "kwargs": json.dumps(options, default=described),
    }
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, metadata={**content, **metadata})
    return path


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    return {"0123abcd": build("HTDemucs", HT), "89ab4567": build("HDemucs", H)}


@pytest.fixture(scope="module")
def published(tmp_path_factory, networks) -> Path:
    """What a mirror of two models holds."""
    folder = tmp_path_factory.mktemp("mirror")
    write(folder / "htdemucs" / "0123abcd.safetensors", networks["0123abcd"], HT)
    (folder / "htdemucs" / "htdemucs.yaml").write_text("models: ['0123abcd']\n")
    write(folder / "mdx" / "89ab4567.safetensors", networks["89ab4567"], H)
    (folder / "mdx" / "mdx.yaml").write_text("models: ['89ab4567']\nsegment: 1\n")
    return folder


@pytest.fixture
def server(published) -> Iterator[tuple[str, list[str]]]:
    """Serves the mirror, and the same files as the Hub does; notes what it is asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.reply()

        def do_GET(self) -> None:
            asked.append(self.path)
            self.wfile.write(self.reply())

        def reply(self) -> bytes:
            *_, model, file = self.path.replace("/resolve/main", "").split("/")
            model = {"HTDemucs": "htdemucs", "Demucs-mdx": "mdx"}.get(model, model)
            path = published / model / file
            body = path.read_bytes() if path.is_file() else b"no"
            self.send_response(200 if path.is_file() else 404)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", "1" * 40)
            self.end_headers()
            return body

        def log_message(self, *args: object) -> None:
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", asked
    running.shutdown()
    running.server_close()
    thread.join()


def same(separator: Separator, network: nn.Module) -> bool:
    (loaded,) = separator.network.models
    pairs = zip(loaded.state_dict().items(), network.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_names_and_places_are_those_of_demucs():
    import demucs
    from demucs.hf import DEFAULT_NAMESPACE, hf_repo_name

    bags = (Path(demucs.__file__).parent / "remote").glob("*.yaml")
    names = sorted(path.stem for path in bags)
    assert {n: f"{DEFAULT_NAMESPACE}/{hf_repo_name(n)}" for n in names} == DEMUCS_MODELS


@pytest.mark.parametrize(("name", "signature"), [("htdemucs", "0123abcd"), ("mdx", "89ab4567")])
def test_a_name_from_a_mirror(name, signature, published, server, networks, monkeypatch):
    url, asked = server
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for place in (str(published), url, url):
        monkeypatch.setenv("SOUNDSEP_WEIGHTS", place)
        assert same(Separator.from_pretrained(name), networks[signature])
    assert asked == [f"/{name}/{name}.yaml", f"/{name}/{signature}.safetensors"]
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    assert (
        Separator.from_pretrained(name).config.segment_seconds == {"htdemucs": 0.78, "mdx": 1}[name]
    )
    assert len(asked) == 2
    with pytest.raises(WeightsError, match=r"SOUNDSEP_OFFLINE.*htdemucs_6s\.yaml"):
        Separator.from_pretrained("htdemucs_6s")


def test_a_name_from_the_hub(server, networks, tmp_path, monkeypatch):
    import huggingface_hub.constants as constants

    url, asked = server
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    assert same(Separator.from_pretrained("htdemucs"), networks["0123abcd"])
    monkeypatch.setenv("SOUNDSEP_OFFLINE", "1")
    del asked[:]
    assert same(Separator.from_pretrained("htdemucs"), networks["0123abcd"])
    with pytest.raises(WeightsError, match="SOUNDSEP_OFFLINE"):
        Separator.from_pretrained("htdemucs_6s")
    assert asked == []
    (blob,) = (p for p in tmp_path.glob("**/blobs/*") if p.stat().st_size > 10_000)
    body = bytearray(blob.read_bytes())
    body[-1] ^= 1
    blob.write_bytes(body)
    with pytest.raises(WeightsError, match="sha256"):
        Separator.from_pretrained("htdemucs")


def test_a_mirror_without_the_file_or_with_half_of_it(server, monkeypatch, published):
    url, _ = server
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", url)
    with pytest.raises(WeightsError, match=r"htdemucs_6s\.yaml.*404"):
        Separator.from_pretrained("htdemucs_6s")
    monkeypatch.setenv("SOUNDSEP_WEIGHTS", str(published / "gone"))
    with pytest.raises(ConfigError, match="SOUNDSEP_WEIGHTS"):
        Separator.from_pretrained("htdemucs")


def test_a_folder_with_weights_of_half_precision(tmp_path, networks):
    half = build("HDemucs", H).half()
    for signature in ("0000aaaa", "0000bbbb"):
        write(tmp_path / f"{signature}.safetensors", half, H)
    (tmp_path / "mine.yaml").write_text(
        "models: ['0000aaaa', '0000bbbb']\nweights: [[1, 0], [3.0, 1]]\nsegment: 2\n"
    )
    separator = Separator.from_pretrained(tmp_path)
    loaded = separator.network.models[0].state_dict()
    assert all(torch.equal(loaded[name], t.float()) for name, t in half.state_dict().items())
    assert separator.config.segment_seconds == 2
    assert [member.shares.tolist() for member in separator._members] == [[0.25, 0.0], [0.75, 1.0]]
    assert separator(torch.ones(100)).audio.dtype == torch.float32


@pytest.fixture
def planted(tmp_path, monkeypatch) -> Iterator[str]:
    """The name of a class in a module that leaves a trace when it is imported."""
    trace = tmp_path / "trace"
    (tmp_path / "planted.py").write_text(
        f"open({str(trace)!r}, 'w').close()\nclass HTDemucs:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "planted.HTDemucs"
    assert not trace.exists()
    assert "planted" not in sys.modules


STRUCTURE = json.dumps({"_dict": [["__quantized", {"_class": "planted.HTDemucs"}]]})


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"klass": "planted.HTDemucs"}, "names the class 'planted.HTDemucs', which is not loaded"),
        ({"klass": "os.system", "args": '["touch trace"]', "kwargs": "{}"}, "not loaded"),
        ({"klass": "subprocess.Popen", "args": '[["touch", "trace"]]'}, "not loaded"),
        ({"klass": "demucs.htdemucs.CrossTransformerEncoder"}, "not loaded"),
        ({"structure": STRUCTURE}, "diffq"),
        ({"kwargs": '{"sources": {"_class": "planted.HTDemucs"}}'}, "not a fraction"),
        (
            {"kwargs": '{"segment": {"_type": "fraction", "numerator": 1, "denominator": 0}}'},
            "not a fraction",
        ),
        ({"kwargs": '{"segment": Infinity}'}, "not a JSON number"),
        ({"kwargs": '{"segment": 1e99}'}, "out of range"),
        ({"kwargs": "[]"}, "kwargs an object"),
        ({"kwargs": "{"}, "cannot take kwargs"),
        ({"kwargs": "[" * 50_000}, "cannot take kwargs"),
        ({"kwargs": '{"planted": 1}'}, "does not take its arguments"),
        ({"kwargs": json.dumps({"sources": SOURCES, "t_layers": 10**6})}, "t_layers is 1000000"),
        ({"kwargs": json.dumps({"sources": SOURCES, "depth": 31, "growth": 1e6})}, "cannot be bu"),
        (
            {"kwargs": json.dumps({"sources": SOURCES, "channels": 10**5})},
            "larger than the weights",
        ),
        (
            {"kwargs": json.dumps(HT | {"samplerate": "x", "segment": 1})},
            "must be numbers",
        ),
    ],
)
def test_planted_metadata_is_refused_and_nothing_run(
    metadata, message, planted, tmp_path, networks, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "0123abcd.safetensors", networks["0123abcd"], HT, **metadata)
    with pytest.raises(WeightsError, match=message):
        read_network(path)


def test_weights_must_fit_and_be_numbers(tmp_path, networks):
    path = tmp_path / "0123abcd.safetensors"
    write(path, build("HTDemucs", HT | {"channels": 16}), HT)
    with pytest.raises(WeightsError, match=r"does not hold.*more differ"):
        read_network(path)
    broken = build("HTDemucs", HT)
    next(broken.parameters()).data[0] = float("nan")
    write(path, broken, HT)
    with pytest.raises(WeightsError, match="NaN"):
        read_network(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="metadata lack"):
        read_network(path)
    path.write_bytes(b"\x80\x04\x95")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_network(path)
    with pytest.raises(WeightsError, match="missing"):
        read_network(tmp_path / "89ab4567.safetensors")


def test_bags_that_do_not_fit_their_models(tmp_path, networks):
    write(tmp_path / "0123abcd.safetensors", networks["0123abcd"], HT)
    other = H | {"sources": ["a"]}
    write(tmp_path / "89ab4567.safetensors", build("HDemucs", other), other)
    bag = tmp_path / "mine.yaml"
    for text, message in (
        ("models: ['0123abcd']\nweights: [[1, 1, 1]]", "3 weights per model"),
        ("models: ['0123abcd', '89ab4567']", "differ in sources"),
        ("models: ['ffffffff']", "missing"),
    ):
        bag.write_text(text)
        with pytest.raises(WeightsError, match=message):
            Separator.from_pretrained(tmp_path)


def test_pickles_are_never_read(tmp_path):
    (tmp_path / "955717e8-8726e21a.th").write_bytes(b"cos\nsystem\n(S'touch trace'\ntR.")
    with pytest.raises(WeightsError, match=r"pickled models \(.th\), which are never read"):
        Separator.from_pretrained(tmp_path)
