"""The README and the changelog say what is there, and nothing else."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.routing import Mount, Route, WebSocketRoute

import offhook
from offhook.cli import main
from offhook.errors import InvalidRequest
from offhook.local.app import create_app as create_local_app
from offhook.local.faults import HEADER, Fault
from offhook.relay.agents import Agents
from offhook.relay.app import create_app
from offhook.relay.cues import CueTable
from offhook.settings import CallSettings, LocalSettings, RecordSettings, Settings
from offhook.speech import VOICES
from tests.phone import Handset
from tests.waves import read, written
from tests.words import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from starlette.applications import Starlette

    from offhook.speech import Engines

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
NOTHING = "\N{EN DASH}"


def section(title: str) -> str:
    """The text under a heading, up to the next one of the same depth."""
    marks = title.partition(" ")[0]
    found = re.search(rf"^{title}\n(.*?)(?=^{marks} |\Z)", README, re.M | re.S)
    assert found, title
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    ruled = [at for at, row in enumerate(cells) if set("".join(row)) == {"-"}]
    return [r for at, r in enumerate(cells) if not {at, at + 1} & set(ruled)]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_the_two_commands_stand_first() -> None:
    title, _, sentence, _, fence, run, test = README.splitlines()[:7]
    assert title == "# Offhook"
    assert sentence.endswith(".")
    assert fence == "```sh"
    assert re.match(r"make run +# .*URL", run)
    assert re.match(r"make test +# ", test)


@pytest.mark.parametrize(
    ("command", "model"),
    [
        ("serve", Settings),
        ("local", LocalSettings),
        ("call", CallSettings),
        ("record", RecordSettings),
    ],
)
def test_every_setting_has_its_row(
    command: str, model: type[Settings | LocalSettings | CallSettings]
) -> None:
    [table] = re.findall(
        rf"^`offhook {command}`.*\n\n((?:\|.*\n)+)", section("## Settings"), re.M
    )
    others = CallSettings.model_fields if command == "record" else {}
    wanted = [
        [
            f"`{model.flag(name)}`",
            ", ".join(f"`{variable}`" for variable in model.variables(name)),
            f"`{field.default}`" if field.default else NOTHING,
            field.description,
        ]
        for name, field in model.model_fields.items()
        if name not in others
    ]
    assert rows(table) == wanted


def test_every_route_has_its_row() -> None:
    relay, endpoint = (
        set(routes(app))
        for app in (create_app(), create_local_app(LocalSettings.load()))
    )
    wanted = {
        f"`{route}`": (route in relay, route in endpoint) for route in relay | endpoint
    }
    documented = {
        route: (ours != NOTHING, theirs != NOTHING)
        for route, ours, theirs in rows(section("## Routes"))
    }
    assert documented == wanted


def routes(app: Starlette) -> Iterator[str]:
    for route in app.routes:
        if isinstance(route, Route):
            for method in (route.methods or set()) - {"HEAD"}:
                yield f"{method} {route.path}"
        elif isinstance(route, WebSocketRoute):
            yield f"WS {route.path}"
        else:
            assert isinstance(route, Mount)
            yield f"GET {route.path}"


def test_every_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.M)
    assert len(commands) == 4
    for command in commands:
        assert f"`offhook {command}`" in README


def test_every_part_of_a_fault_has_its_row() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Fault.parse("what=?")
    grammar = str(caught.value).partition("combination: ")[2]
    text = section("### Test against it").partition("\n## ")[0]
    firsts = [words(row[0])[0] for row in rows(text)]
    parts = [first for first in firsts if re.match(r"\w+=", first)]
    assert [part.partition("=")[0] for part in parts] == re.findall(r"(\w+)=", grammar)
    assert Fault.parse("; ".join(parts)).status == 429
    assert f"`{HEADER}`" in text


def test_every_make_target_has_its_row() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^\.PHONY: (.*)$", makefile, re.M)[0].split()
    documented = [command for command, _ in rows(section("## Development"))]
    assert sorted(documented) == sorted(f"`make {target}`" for target in targets)


def test_every_code_of_the_relay_is_listed() -> None:
    package = ROOT / "server/offhook"
    files = [
        package / "errors.py",
        *(package / "protocol" / name for name in ("consent.py", "sdp.py")),
        *(
            path
            for name in ("relay", "archive", "http", "upstream")
            for path in named(name)
        ),
    ]
    code = re.compile(r'(?:\bcode=|\b40\d: )"([a-z_]+)"')
    raised = {c for path in files for c in code.findall(path.read_text("utf-8"))}
    listed = {c for row in rows(section("## Errors")) for c in words(row[2])}
    assert len(raised) > 25
    assert listed == raised


def words(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def named(package: str) -> Iterator[Path]:
    return (ROOT / "server/offhook" / package).glob("*.py")


def test_everything_that_styles_the_element_is_named() -> None:
    text = section("## On your page")
    source = "".join(p.read_text("utf-8") for p in (ROOT / "static").glob("*.js"))
    properties = set(re.findall(r"var\((--offhook-[a-z-]+)", source))
    parts = re.findall(r'part: ["`]([^"`]+)', source)
    names = {name for part in parts for name in part.split() if "$" not in name}
    assert len(properties) > 10
    assert len(names) > 15
    assert set(re.findall(r"`(--offhook-[a-z-]+)`", text)) == properties
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_every_voice_is_named() -> None:
    voices = section("## The local endpoint").partition("Ten voices")[2]
    assert len(VOICES) == 10
    assert [voice for voice in VOICES if f"`{voice}`" not in voices] == []


def test_the_example_of_an_agents_file_is_one(tmp_path: Path) -> None:
    example, _ = blocks("toml")
    file = tmp_path / "agents.toml"
    file.write_text(example, "utf-8")
    agents = Agents.read(file)
    assert agents.names == ["support", "reception"]
    session = agents.find("support").session
    assert session["audio"]["output"]["voice"] == "cedar"


def test_the_example_of_an_agents_sounds_is_one(tmp_path: Path) -> None:
    _, example = blocks("toml")
    for name in re.findall('^file = "(.*)"$', example, re.M):
        written(tmp_path / name, bytes(4800))
    file = tmp_path / "agents.toml"
    file.write_text(example, "utf-8")
    cues = Agents.read(file).find("support").cues
    text = section("### Sounds").partition("\n## ")[0]
    assert list(cues) == ["greeting", "hold", "music"]
    keys = [words(key)[0] for key, _ in rows(text)]
    assert keys == [name for name in CueTable.model_fields if name != "sound"]


def test_the_example_of_a_host_application_runs() -> None:
    mount, client, *_ = blocks("python")  # the tests are run in test_pytest_plugin.py
    names: dict[str, Any] = {}
    exec(compile(mount, "README.md", "exec"), names)
    assert "/voice" in [getattr(r, "path", "") for r in names["app"].routes]
    ast.parse(client)


@pytest.mark.anyio
async def test_the_example_of_a_python_client_runs(local_url: str) -> None:
    [example] = [block for block in blocks("python") if '"voice"' in block]
    example = example.replace("asyncio.run(main())", "")
    example = example.replace("ws://127.0.0.1:8041/v1", local_url.replace("http", "ws"))
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as written:
        exec(compile(example, "README.md", "exec"), names)
        async with asyncio.timeout(20):
            await names["main"]()
    assert written.getvalue().startswith("7 times 8 is 56.")
    assert "input_tokens=" in written.getvalue()


@pytest.mark.anyio
async def test_the_example_of_a_call_runs(
    local_url: str, engines: Engines, speak: Callable[[str], Awaitable[bytes]]
) -> None:
    [example] = [block for block in blocks("python") if "MediaRecorder(" in block]
    example = example.replace("asyncio.run(main())", "")
    example = example.replace("http://127.0.0.1:8041/v1", local_url)
    written("caller.wav", await speak("What is seven times eight?"))
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    async with asyncio.timeout(20):
        await names["main"]()
    assert "56" in plain(await engines.recognise(read("answer.wav")))


@pytest.mark.anyio
async def test_the_example_of_agents_runs(local_url: str) -> None:
    [example] = [block for block in blocks("python") if '"agent_end"' in block]
    example = example.replace("asyncio.run(main())", "")
    example = example.replace("ws://127.0.0.1:8041/v1", local_url.replace("http", "ws"))
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as written:
        exec(compile(example, "README.md", "exec"), names)
        async with asyncio.timeout(20):
            await names["main"]()
    *lengths, said = written.getvalue().splitlines()
    assert said == "Greeter: It is sunny in Paris."
    assert all(int(length) > 0 for length in lengths)
    assert lengths


@pytest.mark.anyio
async def test_the_example_of_a_scripted_transport_runs() -> None:
    [example] = [b for b in blocks("python") if "import ScriptedRealtime" in b]
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    await names["test_a_greeting"]()


def test_every_name_for_those_who_come_from_javascript_is_there() -> None:
    table = section("### Coming from JavaScript").partition("\n\n")[0]
    homes = (offhook, offhook.RealtimeSession, offhook.OpenAIRealtimeWebRTC)
    written = " ".join(row[1] for row in rows(table))
    called = set(re.findall(r"([A-Za-z_]\w+)\(", written))
    listed = set(re.findall(r"`\.?([a-z]+(?:_[a-z]+)+)`", written))
    assert len(called | listed) > 25
    names = called | listed - {"connection_change", "audio_interrupted", "turn_done"}
    missing = {n for n in names if not any(hasattr(home, n) for home in homes)}
    assert missing == set()


def test_every_event_of_a_session_has_its_row() -> None:
    source = (ROOT / "server/offhook/agent/run.py").read_text("utf-8")
    told = set(re.findall(r'\b_?(?:emit|tell)\(\s*"([a-z_]+)"', source))
    assert len(told) == 17
    documented = [words(row[0])[0] for row in rows(section("### With agents"))]
    assert sorted(documented) == sorted(told)


def test_the_example_of_a_model_for_the_runner_runs() -> None:
    [example] = [block for block in blocks("python") if "TransportModel(" in block]
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert isinstance(names["model"], offhook.TransportModel)
    assert names["runner"]


def test_the_example_of_a_telephone_agent_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [example] = [block for block in blocks("python") if "twilio_routes(" in block]
    for name in ("TWILIO_AUTH_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "any")
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    documented = {route for route, _ in rows(section("## On the telephone"))}
    assert documented == {f"`{route}`" for route in routes(names["app"])}
    session = names["answer"](offhook.PhoneCall(Handset(), "CA1", {}))
    assert isinstance(session, offhook.RealtimeSession)


def test_the_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    heads = re.findall(r"^## \[(.+?)\] - \d{4}-\d\d-\d\d$", changelog, re.M)
    assert heads[0] == offhook.__version__
