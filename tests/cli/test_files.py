from __future__ import annotations

import os

import pytest

from webhook.cli.files import replace_file


def test_a_file_is_replaced_and_its_mode_and_owner_stay(tmp_path):
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


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(TypeError), replace_file(path) as file:
        file.write(None)
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]
