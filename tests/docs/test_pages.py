"""What the pages show is true: files load, Python runs, commands print what is shown, links lead somewhere.

The convention, for all pages below: a block that begins with `# some/file.py` (or .yaml) is that file of an application
in an empty directory; a `console` block holds commands and what they print there; other `python` runs as it stands; other
`yaml` is a list of entries that fits into an application that has `memory`, `tasks`, `dead` and `handler`.
A line that is only `…` in an output says that lines were left out. Times and message IDs are masked.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from attrs import frozen

from noria.actors import Runtime

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "README.es.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(
        f"docs/{name}.md"
        for name in (
            "architecture",
            "queues",
            "handlers",
            "lua",
            "drivers",
            "events",
            "changes",
            "errors",
            "differences",
        )
    ),
]
FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|yaml))(?: .*)?\n")
READ_ONLY = {"text", "mermaid", "sh", "lua"}  # test_lua_page.py has what is Lua

MASKS = (
    (r"\d\d:\d\d:\d\d\.\d{3}", "TIME"),
    (r"[0-9a-f]{20}-[0-9a-f]{8}", "MESSAGE-ID"),
    (r"after \d+\.\d+ s", "after N s"),
    (r"in \d+\.\d\d s", "in N s"),
    (r"(delay|seconds)=\S+", r"\1=N"),
    (r"\(/\S*/", "(DIRECTORY/"),
)

BASE = """
namespace: app
entries:
  - {name: memory, kind: queue.driver.memory}
  - {name: tasks, kind: queue.queue, driver: memory}
  - {name: dead, kind: queue.queue, driver: memory}
  - {name: handler, kind: function.python, source: file://handlers.py}
"""


@frozen
class Block:
    """A fenced block: its language, its text, and the line of the page where it begins."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        named = FILE_NAME.match(self.text)
        return named and named.group(1)


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.finditer(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [
        Block(match[2], textwrap.dedent(match[3]), text[: match.start()].count("\n") + 1) for match in found
    ]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command with the output that is shown below it."""
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = piece.partition("\n")
        while command.endswith("\\"):
            more, _, output = output.partition("\n")
            command = f"{command[:-1]}{more.lstrip()}"
        yield command, output


def masked(text: str) -> Counter[str]:
    """The lines, in no order: standard output and standard error have none between them, nor have four workers."""
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return Counter(line.rstrip() for line in text.splitlines() if line.strip())


def executed(command: str, directory: Path) -> str:
    """What a shell prints; an exit code other than 0 is a last line in brackets."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Without a buffer, what a handler prints and what is logged are mixed within a line.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env={**kept, "PATH": path, "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    code = f"[exit code {done.returncode}]\n" if done.returncode else ""
    return f"{done.stdout}{code}"


def compare(command: str, shown: str, really: str) -> None:
    expected, found = masked(shown), masked(really)
    is_shortened = expected.pop("…", 0)
    assert expected - found == Counter(), f"{command}\nprints:\n{really}"
    assert is_shortened or found - expected == Counter(), f"{command}\nprints:\n{really}"


def load_fragment(text: str, directory: Path) -> None:
    """Entries of a page in a small application; those of the same name take the place of the base's."""
    entries = yaml.safe_load(text)
    names = {entry["name"] for entry in entries}
    base = yaml.safe_load(BASE)
    kept = [entry for entry in base["entries"] if entry["name"] not in names]
    fragment = directory / "fragment"
    fragment.mkdir(exist_ok=True)
    (fragment / "handlers.py").write_text("def handler(body): ...\n")
    (fragment / "app.yaml").write_text(yaml.safe_dump({**base, "entries": [*kept, *entries]}))
    registry = Runtime.load(fragment).registry
    assert {entry.id.name for entry in registry} == {entry["name"] for entry in (*kept, *entries)}


def run_block(block: Block, directory: Path, space: dict, place: str) -> None:
    if block.language in READ_ONLY:
        return
    if block.file is not None:
        path = directory / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        if path.suffix == ".yaml" and path.name != ".noria.yaml":
            assert yaml.safe_load(block.text)["entries"]
        return
    match block.language:
        case "console":
            for command, output in commands(block.text):
                compare(command, output, executed(command, directory))
        case "python":
            exec(compile(block.text, place, "exec"), space)
        case "yaml":
            load_fragment(block.text, directory)
        case _:
            pytest.fail(f"{place}: nobody tests a block in {block.language or 'no language'}")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_works_as_it_stands(page, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    space = {"__name__": "page"}

    for block in blocks(page):
        run_block(block, tmp_path, space, f"{page}:{block.line}")


def test_the_pages_have_blocks_of_every_sort():
    sorts = Counter(block.language for page in PAGES for block in blocks(page))

    assert min(sorts[language] for language in ("yaml", "python", "console", "mermaid")) >= 3


def test_a_block_that_is_wrong_is_noticed(tmp_path):
    wrong = [
        (Block("console", "$ echo yes\nno\n", 1), "prints"),
        (Block("console", "$ exit 3\n", 1), "exit code 3"),
        (Block("python", "assert False, 'untrue'", 1), "untrue"),
        (Block("yaml", "- {name: x, kind: queue.queue, driver: nowhere}", 1), "nowhere"),
        (Block("toml", "a = 1", 1), "nobody tests"),
    ]
    for block, told in wrong:
        with pytest.raises(BaseException, match=told):
            run_block(block, tmp_path, {}, "page:1")


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_that_a_page_names_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^|&& )make ([a-z]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert named <= targets


# ---- links -----------------------------------------------------------------------------------------------


def markdown_files() -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob("*.md"))
        if not any(part.startswith(".") or part in {"build", "dist"} for part in path.relative_to(ROOT).parts)
    ]


def prose(path: Path) -> str:
    """The page without its blocks and code spans, where a bracket is no link."""
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("[", "").replace("]", ""), text)


def anchors(path: Path) -> set[str]:
    """The headings as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {
        "".join(
            "-" if letter == " " else letter
            for letter in heading.lower()
            if letter in " -_" or unicodedata.category(letter)[0] in "LN"
        )
        for heading in headings
    }


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        found = path.parent / target if target else path
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page):
    named = set(re.findall(r"`(test_\w+)`", (ROOT / page).read_text(encoding="utf-8")))
    written = {
        name
        for path in (*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "actors" / "testing").glob("*.py"))
        for name in re.findall(r"^(?:    )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert named <= written


@pytest.mark.parametrize("page", ["README.md", "README.es.md"])
def test_the_tree_that_is_drawn_is_the_one_that_runs(page, tmp_path):
    found = blocks(page)
    for block in found:
        if block.file is not None and block.file.startswith("hello/"):
            run_block(block, tmp_path, {}, page)
    [drawn] = [block.text for block in found if block.text.startswith("runtime\n")]

    with Runtime.load(tmp_path / "hello") as runtime:
        children = runtime.tree()["children"]
        services = {child["id"] for child in children}
        needs = {entry.id: {str(id_) for id_ in entry.dependencies} & services for entry in runtime.registry}

    rows = [line.split() for line in drawn.splitlines() if re.match(r"[├└]─ app:", line)]
    assert [(row[1], row[2]) for row in rows] == [(child["id"], child["kind"]) for child in children]
    assert {row[1]: {word for word in row[3:] if ":" in word} for row in rows} == {
        str(id_): needed for id_, needed in needs.items() if str(id_) in services
    }
    assert [worker["id"] for worker in children[-1]["children"]] == [
        "worker-1",
        "worker-2",
        "worker-3",
        "worker-4",
    ]
