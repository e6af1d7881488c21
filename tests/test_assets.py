from __future__ import annotations

import pytest

from offhook.assets import folder


def test_the_folders_are_found() -> None:
    assert (folder("static") / "offhook.js").is_file()
    assert (folder("templates") / "page.html").is_file()


def test_a_folder_that_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="nothing/ is missing"):
        folder("nothing")
