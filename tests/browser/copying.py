"""What the dashboard prints to be copied: found in its pages and its templates, and run as whoever copied it would.

Laws: a command runs in a real shell, Python in a real Python, both as they stand, but for what a page cannot know and
leaves open: a token (``…``) and a name (``USER``). What is long, or a bare value beside its copy button, is no command.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path

TEMPLATES = Path(__file__).parents[2] / "hub/web/templates"
_BLOCK = re.compile(r'<(pre|code) id="([a-z-]+?)-?[\d-]*"([^>]*)>(.*?)</\1>', re.DOTALL)
_INLINE = re.compile(r"<code>(hub [^<]+)</code>")
_MACRO = re.compile(r'\bcommand\("([a-z-]+?)-?"')


@dataclass(frozen=True, slots=True)
class Copied:
    """A piece of code that somebody copies.

    Attributes:
        kind: Which one of those that pages print: its id there without numbers, or a command's name in a sentence.
        text: What is copied.
    """

    kind: str
    text: str


def copied_from(page: str) -> Iterator[Copied]:
    """Everything that a page prints to be copied."""
    for _, kind, attributes, text in _BLOCK.findall(page):
        if "data-copied" not in attributes:
            yield Copied(kind, unescape(text))
    for text in _INLINE.findall(page):
        yield Copied(_words(text), unescape(text))


def printed_kinds() -> set[str]:
    """The kinds that the templates can print; of those with more in their id (``code-pull``) the beginning."""
    sources = [path.read_text() for path in TEMPLATES.glob("*.html")]
    return {kind for text in sources for kind in _MACRO.findall(text)} | {
        _words(command) for text in sources for command in _INLINE.findall(text)
    }


def _words(command: str) -> str:
    """A command's name: its words before what it is given."""
    words = re.match(r"[a-z]+(?: [a-z]+(?=\s|$))*", command)
    assert words is not None, command
    return words[0]


def run_copied(text: str, folder: Path, environment: Mapping[str, str], *, stdin: str = "") -> str:
    """Run what was copied, in a folder; gives what it answered, or said where it has no answer."""
    is_python = text.startswith(("import ", "# Once"))
    done = subprocess.run(
        [sys.executable, "-c", text] if is_python else ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**environment, "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout or done.stderr
