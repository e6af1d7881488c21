from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from offhook.errors import Forbidden
from offhook.relay.links import Links

NOW = 1000.0
NOWHERE = Path("nowhere")


def given(link: str) -> tuple[str, str]:
    query = parse_qs(urlsplit(link).query)
    return query["expires"][0], query["signature"][0]


def test_a_link_is_for_one_file_and_for_a_while() -> None:
    links = Links("0123456789abcdef", NOWHERE)
    link = links.sign("rec_1", "call.opus", NOW, 60)
    expires, signature = given(link)

    assert link.startswith("recordings/rec_1/call.opus?")
    links.check("rec_1", "call.opus", expires, signature, NOW)
    links.check("rec_1", "call.opus", expires, signature, NOW + 59.9)
    for recording, name, until, sign, now in (
        ("rec_2", "call.opus", expires, signature, NOW),
        ("rec_1", "call.wav", expires, signature, NOW),
        ("rec_1", "call.opus", "1061", signature, NOW),
        ("rec_1", "call.opus", "0" + expires, "0" * 64, NOW),
        ("rec_1", "call.opus", expires, signature.upper(), NOW),
        ("rec_1", "call.opus", expires, signature[:-1], NOW),
        ("rec_1", "call.opus", expires, "", NOW),
        ("rec_1", "call.opus", expires, "\N{SNOWMAN}\ud800", NOW),
        ("rec_1", "call.opus", "\N{ARABIC-INDIC DIGIT ONE}060", signature, NOW),
        ("rec_1", "call.opus", "-1", signature, NOW),
        ("rec_1", "call.opus", "9" * 5000, signature, NOW),
        ("rec_1", "call.opus", "", signature, NOW),
        ("rec_1", "call.opus", expires, signature, NOW + 60),
    ):
        with pytest.raises(Forbidden):
            links.check(recording, name, until, sign, now)


def test_another_secret_signs_otherwise() -> None:
    expires, signature = given(Links("a" * 16, NOWHERE).sign("rec_1", "call.opus", NOW))
    with pytest.raises(Forbidden):
        Links("b" * 16, NOWHERE).check("rec_1", "call.opus", expires, signature, NOW)


def test_processes_that_share_a_folder_share_its_secret(tmp_path: Path) -> None:
    data = tmp_path / "data"
    expires, signature = given(Links(None, data).sign("rec_1", "call.opus", NOW))

    Links(None, data).check("rec_1", "call.opus", expires, signature, NOW)
    assert [path.name for path in data.iterdir()] == ["secret"]
    assert (data / "secret").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700
