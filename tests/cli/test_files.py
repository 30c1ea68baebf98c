from __future__ import annotations

import os

import pytest

from webhook.cli.files import replace_file


def test_replace_file_keeps_mode_and_owner(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(path, 1, 2)
    before = path.stat()
    with replace_file(path) as file:
        file.write(b"new")
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_replace_file_keeps_the_old_content_on_an_error(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(TypeError), replace_file(path) as file:
        file.write(None)
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_replace_file_lets_nobody_else_read_what_it_writes(tmp_path):
    path = tmp_path / "a"
    path.touch(0o600)
    with replace_file(path) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
