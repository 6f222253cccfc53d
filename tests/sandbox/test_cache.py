"""Native code is loaded only from a folder that nobody else can write to."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from bluecode.sandbox.cache import IMAGE, KEPT, Cache, default_folder
from bluecode.sandbox.outcome import SandboxUnavailable


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new" / "folder")

    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_a_relative_folder_is_meant_from_where_the_service_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert Cache(Path("guests")).path("key").parent == tmp_path / "guests"


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o702])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)

    with pytest.raises(SandboxUnavailable, match="can be written by others"):
        Cache(tmp_path)


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)

    with pytest.raises(SandboxUnavailable, match="is a link"):
        Cache(tmp_path / "link")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SandboxUnavailable, match="cannot be used"):
        Cache(tmp_path / "file" / "folder")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_belongs_to_another_user_is_refused(tmp_path: Path, what: str) -> None:
    path = Cache(tmp_path).put("key", b"code") if what == "file" else tmp_path
    os.chown(path, 12345, 12345)

    with pytest.raises(SandboxUnavailable, match="belongs to another user"):
        Cache(tmp_path).find("key")


def test_a_file_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    Cache(tmp_path).put("key", b"code").chmod(0o666)

    with pytest.raises(SandboxUnavailable, match="can be written by others"):
        Cache(tmp_path).find("key")


def test_a_memory_is_kept_beside_its_code(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = cache.put("key", b"code", b"memory")

    assert path.with_suffix(IMAGE).read_bytes() == b"memory"
    assert cache.find("key") == path
    path.with_suffix(IMAGE).chmod(0o666)
    with pytest.raises(SandboxUnavailable, match="can be written by others"):
        cache.find("key")


def test_a_memory_goes_with_its_code(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for age in range(KEPT + 1):
        os.utime(cache.put(f"key{age}", b"code", b"memory"), (age, age))
    cache.put("newest", b"code")

    assert not cache.path("key0").with_suffix(IMAGE).exists()
    assert cache.path(f"key{KEPT}").with_suffix(IMAGE).exists()


def test_what_was_put_is_found_and_nothing_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = cache.put("key", b"code")

    assert cache.find("key") == path
    assert path.read_bytes() == b"code"
    assert cache.find("other") is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for age in range(KEPT + 2):
        os.utime(cache.put(f"key{age}", b"code"), (age, age))
    cache.put("newest", b"code")

    assert cache.find("key0") is None and cache.find("key1") is None
    assert cache.find("newest") is not None


def test_what_is_used_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for age in range(KEPT):
        os.utime(cache.put(f"key{age}", b"code"), (age, age))
    cache.find("key0")
    cache.put("newest", b"code")

    assert cache.find("key0") is not None
    assert cache.find("key1") is None


def test_leftovers_of_a_build_that_was_killed_are_removed(tmp_path: Path) -> None:
    (tmp_path / "x.part").touch()

    with Cache(tmp_path).building():
        assert not (tmp_path / "x.part").exists()


def test_only_one_builds_at_a_time(tmp_path: Path) -> None:
    inside = 0
    most = 0

    def build() -> None:
        nonlocal inside, most
        with Cache(tmp_path).building():
            inside += 1
            most = max(most, inside)
            threading.Event().wait(0.01)
            inside -= 1

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == 1


def test_the_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_folder() == Path("/somewhere/bluecode")

    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder() == Path.home() / ".cache" / "bluecode"
