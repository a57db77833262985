import os

import pytest

from dropsmith.errors import DataError
from dropsmith.tasks.images.folders import display_path, picture_folder


def test_what_is_no_folder_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    for name in ("gone", "loop", "file"):
        with pytest.raises(DataError, match=f"no folder .*{name}"):
            picture_folder(tmp_path / name)
    with pytest.raises(DataError, match="cannot read the folder"):
        picture_folder(tmp_path / ("x" * 5000))


def test_a_path_is_shown_on_one_line():
    assert display_path(os.path.join("a", "[b] ü.png")) == os.path.join("a", "[b] ü.png")
    for name in ("a\nb", "\udcff", "a\x1b[31m", "a\u202eb"):
        assert display_path(name).isprintable()
