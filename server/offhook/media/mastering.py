"""What people listen to and read, made of a recording after its call.

It takes a processor for half a minute where the call took an hour, and much of that
holds Python's lock: in a process of its own, with a low priority, it takes little from
the calls that go on. That process reads and writes in pieces of a second, so that its
memory is that of a short call however long the call was.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import offhook
from offhook.errors import InvalidRequest, OffhookError, ServerError
from offhook.media.recovery import recovered
from offhook.media.sheets import Sheets
from offhook.media.spool import ABOUT, EVENTS, TRACKS, lock
from offhook.media.stereo import Stereo, master_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from offhook.media.spool import About, Format

# Of what the process says when it fails.
_MOST_ERROR = 1000
_PROGRESS = re.compile(rb"[01]\.\d\d\n")
_NICE = 10


async def master(
    folder: Path, progress: Callable[[float], None] | None = None
) -> tuple[float, list[Path]]:
    """Make all files of a recording, in a process of its own.

    Cancelled, it leaves what a `Recorder` made, and can be begun again; so it can when
    it fails, or is killed.

    Args:
        folder: What a `Recorder` has made; a dead one's is mended before.
        progress: Told now and then how much is done, 0 to 1.

    Returns:
        How many seconds it lasts, and its files.

    Raises:
        ServerError: It cannot be made; the message says why.
    """
    path = os.pathsep.join(
        (str(Path(offhook.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "offhook.media.mastering", str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
    )
    assert process.stdout
    said = b"it was killed"
    try:
        async for line in process.stdout:
            if done := _PROGRESS.fullmatch(line):
                if progress:
                    progress(float(done[0]))
            else:
                said = line
        if await process.wait():
            why = said.decode(errors="replace").strip()[-_MOST_ERROR:]
            raise ServerError(f"The recording cannot be made: {why}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
            _tidy(folder)
    made = json.loads(said)
    return made["seconds"], [folder / name for name in made["files"]]


def run(folder: Path, progress: Callable[[float], None]) -> tuple[float, list[str]]:
    """Make all files of a recording, here and now.

    Args:
        folder: As above.
        progress: Likewise.

    Returns:
        How many seconds it lasts, and the names of its files.

    Raises:
        InvalidRequest: There is no recording in it, or it is not over.
        OSError: A file cannot be read or written.
    """
    about = recovered(folder)
    if about is None:
        raise InvalidRequest("It is being recorded: wait for its end.")
    formats: list[Format] = ["opus", *about.formats]
    with (folder / TRACKS[0]).open("rb") as file:
        if not lock(file.fileno()):
            raise InvalidRequest("It is being made already: wait for that.")
        try:
            sheets = _heard(folder, about, formats, progress)
            sheets.read_events(folder / EVENTS)
            sheets.write(folder)
        finally:
            _tidy(folder)
    progress(1.0)
    masters = [master_name(form) for form in formats]
    return sheets.heard_ms / 1000, [*masters, *TRACKS, *sheets.names, EVENTS, ABOUT]


def _heard(
    folder: Path,
    about: About,
    formats: Sequence[Format],
    progress: Callable[[float], None],
) -> Sheets:
    """Make the stereo files, and hear what is in them."""
    sheets, told, length = Sheets(about), 0.0, about.length_ms or 1
    with Stereo(folder, formats) as stereo:
        for block in stereo.blocks():
            sheets.hear(block)
            done = min(0.99, sheets.heard_ms / length)
            if done - told >= 0.01:
                progress(done)
                told = done
    return sheets


def main(arguments: Sequence[str]) -> int:
    """Make the files of one folder; tell the progress, and in the end what there is."""
    with suppress(AttributeError):  # Windows has none
        os.nice(_NICE)
    try:
        seconds, files = run(Path(arguments[0]), _tell)
    except OffhookError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}.\n")
        return 1
    sys.stdout.write(f"{json.dumps({'seconds': seconds, 'files': files})}\n")
    return 0


def _tidy(folder: Path) -> None:
    """Delete what was not written to its end."""
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def _tell(done: float) -> None:
    sys.stdout.write(f"{done:.2f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
