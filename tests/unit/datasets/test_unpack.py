"""Archives that are not what they should be."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from soundsep.datasets.unpack import unpack
from soundsep.errors import DatasetError

FILES = {"top/a.txt": b"a", "top/deep/b.bin": b"b" * 5_000, "top/.hidden": b"x", "top/d/.c": b"x"}


def packed(folder: Path, kind: str, files: dict[str, bytes]) -> Path:
    archive = folder / f"archive.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, data in files.items():
                zipped.writestr(name, data)
    else:
        with tarfile.open(archive, "w:gz") as tarred:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tarred.addfile(member, io.BytesIO(data))
    return archive


def run(archive: Path, *, max_files: int = 10, max_bytes: int = 10_000) -> dict[str, bytes]:
    folder = archive.parent / "out"
    unpack(archive, folder, max_files=max_files, max_bytes=max_bytes)
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


both = pytest.mark.parametrize("kind", ["zip", "tar.gz"])


@both
def test_files_are_unpacked_without_their_folder_and_without_hidden_ones(tmp_path, kind):
    assert run(packed(tmp_path, kind, FILES)) == {"a.txt": b"a", "deep/b.bin": b"b" * 5_000}


@both
@pytest.mark.parametrize(
    "name",
    ["../out.txt", "top/../../out.txt", "/abs.txt", "top/c:x.txt", "top\\..\\x", "loose.txt"],
)
def test_a_name_that_leads_out_is_refused(tmp_path, kind, name):
    with pytest.raises(DatasetError, match="leads out"):
        run(packed(tmp_path, kind, {"top/good.txt": b"a", name: b"evil"}))
    assert {path.name for path in tmp_path.rglob("*.txt")} <= {"good.txt"}


@both
def test_no_more_is_unpacked_than_was_agreed(tmp_path, kind):
    archive = packed(tmp_path, kind, {"top/zeros": bytes(50_000_000)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(DatasetError, match="more than 10000 bytes"):
        run(archive)
    written = tmp_path / "out" / "zeros"
    assert not written.exists() or written.stat().st_size <= 10_000


@both
def test_no_more_files_are_unpacked_than_were_agreed(tmp_path, kind):
    with pytest.raises(DatasetError, match="more than 3 files"):
        run(packed(tmp_path, kind, {f"top/{i}": b"" for i in range(4)}), max_files=3)
    assert len(list((tmp_path / "out").iterdir())) == 3


@both
def test_what_is_cut_off_is_damaged(tmp_path, kind):
    archive = packed(tmp_path, kind, {f"top/{i}": bytes(range(256)) * 9 for i in range(4)})
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(DatasetError, match="is damaged"):
        run(archive)


@both
def test_a_file_that_is_no_archive_is_damaged(tmp_path, kind):
    archive = tmp_path / f"archive.{kind}"
    archive.write_bytes(b"<html>not found</html>")
    with pytest.raises(DatasetError, match="is damaged"):
        run(archive)


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as tarred:
        for _ in range(2):
            tarred.addfile(tarfile.TarInfo("top/a"))
    with pytest.raises(DatasetError, match="holds top/a twice"):
        run(archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as tarred:
        member = tarfile.TarInfo("top/link")
        member.type, member.linkname = kind, "/etc/passwd"
        tarred.addfile(member)
    with pytest.raises(DatasetError, match="top/link is a link or a device"):
        run(archive)


def test_a_link_in_a_zip_is_refused(tmp_path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        member = zipfile.ZipInfo("top/link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(member, "/etc/passwd")
    with pytest.raises(DatasetError, match="top/link is a link or a device"):
        run(archive)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_another_compression_is_refused(tmp_path, method):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w", method) as zipped:
        zipped.writestr("top/a.txt", b"a" * 1_000)
    with pytest.raises(DatasetError, match=r"archive\.zip: top/a\.txt is compressed by method"):
        run(archive)
