"""A screen of our own (Xvfb): programs are shown on it, typed into, and looked at pixel by pixel."""

import mmap
import os
import struct
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from . import wait
from .paths import tool


class Screen:
    """An X server without hardware. Leaving the `with` ends it."""

    def __init__(self, logs: Path, size: tuple[int, int] = (1024, 768)):
        self.size = size
        self._directory = tempfile.TemporaryDirectory(prefix="openrdms-screen-")
        reads_number, writes_number = os.pipe()
        # Without a pointer in the picture, so that pictures of the same screen are the same.
        command = [
            tool("Xvfb"),
            "-displayfd",
            str(writes_number),
            "-nolisten",
            "tcp",
            "-noreset",
            "-nocursor",
        ]
        command += ["-screen", "0", f"{size[0]}x{size[1]}x24", "-fbdir", self._directory.name]
        with os.fdopen(reads_number) as answer, (logs / "xvfb.log").open("ab") as log:
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=[writes_number],
                start_new_session=True,
            )
            os.close(writes_number)
            display = answer.readline().strip()
        if not display:
            raise RuntimeError(f"Xvfb did not start: {(logs / 'xvfb.log').read_text(errors='replace')}")
        self.display = f":{display}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.terminate()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._directory.cleanup()

    def picture(self) -> Image.Image:
        """What is on the screen now. Xvfb keeps its frame buffer in a file, in the form of an X window dump."""
        with open(f"{self._directory.name}/Xvfb_screen0", "rb") as file:
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as dump:
                header = struct.unpack(">25I", dump[:100])
                header_size, width, height = header[0], header[4], header[5]
                bytes_per_line, colours = header[12], header[19]
                start = header_size + 12 * colours
                pixels = dump[start : start + bytes_per_line * height]
        return Image.frombuffer("RGB", (width, height), pixels, "raw", "BGRX", bytes_per_line, 1).copy()

    def save(self, path: Path) -> Image.Image:
        picture = self.picture()
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
        return picture

    def share(self, colour: tuple[int, int, int]) -> float:
        """How much of the screen is of one colour (nearly: codecs may round), from 0 to 1."""
        return share(self.picture(), colour)

    def _xdotool(self, *words: str) -> None:
        subprocess.run(
            [tool("xdotool"), *words],
            env={**os.environ, "DISPLAY": self.display},
            check=True,
            timeout=30,
            capture_output=True,
        )

    def type(self, text: str) -> None:
        """Types a line and Enter, as a person would, into whatever has the focus."""
        self._xdotool("type", "--delay", "12", text)
        self._xdotool("key", "Return")

    def key(self, *keys: str) -> None:
        self._xdotool("key", *keys)

    def click(self, x: int, y: int) -> None:
        self._xdotool("mousemove", str(x), str(y), "click", "1")

    def wait_picture(self, what: str, good, limit: float = 20.0) -> Image.Image:
        """The first picture that `good` calls true."""

        def look():
            picture = self.picture()
            return picture if good(picture) else None

        return wait.until(f"on screen {self.display}: {what}", look, limit)

    def wait_change(self, what: str, limit: float = 20.0) -> Image.Image:
        """The first picture that is not the one of now."""
        now = self.picture().tobytes()
        return self.wait_picture(what, lambda picture: picture.tobytes() != now, limit)


def share(picture: Image.Image, colour: tuple[int, int, int]) -> float:
    """How much of a picture is of one colour, give or take a rounding codec."""
    near = 0
    for count, seen in picture.getcolors(1 << 24):
        if all(abs(a - b) <= 12 for a, b in zip(seen, colour, strict=True)):
            near += count
    return near / (picture.width * picture.height)


def is_desktop(picture: Image.Image) -> bool:
    """Whether a desktop is painted: neither Xvfb's black nor one colour, but text in many shades on it."""
    colours = picture.getcolors(1 << 24)
    most = max(count for count, _ in colours)
    black = sum(count for count, colour in colours if colour == (0, 0, 0))
    everything = picture.width * picture.height
    return len(colours) >= 16 and most < 0.995 * everything and black < 0.9 * everything
