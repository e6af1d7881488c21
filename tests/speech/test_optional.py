from __future__ import annotations

import pytest

from offhook.errors import MissingExtra
from offhook.speech.optional import require


def test_what_is_missing_says_how_to_install_it() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'offhook\[local\]'"):
        require("no_such_module", "no-such-package")


def test_what_is_there_is_imported() -> None:
    assert require("json", "json").loads("1") == 1
