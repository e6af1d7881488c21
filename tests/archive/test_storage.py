from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from offhook.archive.storage import Storage
from offhook.errors import MissingExtra, ServerError, SettingsError
from tests.extras import without

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return Storage.at(str(tmp_path / "kept"))
    return Storage.at(request.getfixturevalue("s3_url"))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    spool = tmp_path / "spool"
    spool.mkdir()
    sound = spool / "call.opus"
    # More than the pieces in which it is read.
    sound.write_bytes(bytes(range(256)) * 10_000)
    text = spool / "transcript.txt"
    text.write_text("Hello.")
    text.chmod(0o644)
    return [sound, text]


async def read(storage: Storage, name: str, begin: int, end: int) -> bytes:
    return b"".join([part async for part in storage.read("rec_1", name, begin, end)])


async def test_files_are_read_as_they_were_put(
    storage: Storage, files: list[Path]
) -> None:
    await storage.put("rec_1", files)

    sound = files[0].read_bytes()
    size = len(sound)
    assert await read(storage, "call.opus", 0, size) == sound
    assert (
        await read(storage, "call.opus", 1_048_570, 1_048_580)
        == sound[1_048_570:1_048_580]
    )
    assert await read(storage, "call.opus", size - 1, size) == sound[-1:]
    assert await read(storage, "call.opus", 5, 5) == b""
    assert await read(storage, "transcript.txt", 0, 6) == b"Hello."
    with pytest.raises(ServerError):
        await read(storage, "transcript.txt", 0, 7)
    with pytest.raises(ServerError):
        await read(storage, "nothing.txt", 0, 7)


async def test_they_can_be_put_again_and_deleted_twice(
    storage: Storage, files: list[Path]
) -> None:
    await storage.delete("rec_1")
    await storage.put("rec_1", files)
    files[1].write_text("Hello again.")
    await storage.put("rec_1", files)
    await storage.put("rec_2", files)
    assert await read(storage, "transcript.txt", 0, 12) == b"Hello again."

    await storage.delete("rec_1")
    await storage.delete("rec_1")
    with pytest.raises(ServerError):
        await read(storage, "transcript.txt", 0, 12)
    assert [part async for part in storage.read("rec_2", "transcript.txt", 0, 5)]


async def test_only_its_owner_reads_a_folder(tmp_path: Path, files: list[Path]) -> None:
    await Storage.at(str(tmp_path / "a/kept")).put("rec_1", files)
    kept = tmp_path / "a/kept"
    assert sorted(path.name for path in kept.rglob("*")) == [
        "call.opus",
        "rec_1",
        "transcript.txt",
    ]
    for path in kept.rglob("*.*"):
        assert path.stat().st_mode & 0o777 == 0o600
    for folder in (kept, kept / "rec_1"):
        assert folder.stat().st_mode & 0o777 == 0o700


async def test_half_a_recording_is_none(tmp_path: Path, files: list[Path]) -> None:
    storage = Storage.at(str(tmp_path / "kept"))
    with pytest.raises(ServerError, match="storage of recordings failed"):
        await storage.put("rec_1", [*files, files[0].with_name("gone.txt")])
    assert list((tmp_path / "kept").iterdir()) == []
    # What a dead process left is no hindrance.
    shutil.copytree(tmp_path / "spool", tmp_path / "kept/.rec_1.part")
    await storage.put("rec_1", files)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["rec_1"]


def test_unknown_kinds_of_storage_are_refused() -> None:
    with pytest.raises(SettingsError, match="OFFHOOK_RECORDINGS"):
        Storage.at("nowhere://bucket")


def test_without_the_extra_it_says_so() -> None:
    line = "from offhook.archive.storage import Storage; Storage.at({!r})"
    name = MissingExtra.__name__
    said = without("fsspec.core")(line.format("kept"))
    assert name in said
    assert "offhook[store]" in said
    assert "offhook[s3]" in without("s3fs")(line.format("s3://bucket/kept"))
