"""The training text: the Python standard library's own source, which every machine that runs this already has.

Files are split by module, not by line, so no held-out function has a twin in the training text. Tests, encodings and
generated tables are left out of both sides. A manifest lists every file with its hash, so a model card can say exactly what
was read.
"""

from __future__ import annotations

import hashlib
import lzma
import platform
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from minillm.errors import FileProblem

# Folders that hold tests, demonstrations of encodings, or other people's packages.
SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idle_test", "site-packages", "encodings", "__pycache__", "dist-packages"}
)
# Generated tables, and files that differ between two installations of one Python version.
SKIPPED_FILES = frozenset(
    {
        "pydoc_data/topics.py",
        "html/entities.py",
        "token.py",
        "keyword.py",
        "stringprep.py",
        "sre_constants.py",
        "lib2to3/pgen2/token.py",
    }
)
SKIPPED_PREFIXES = ("_sysconfigdata", "config-", "this.py", "__phello__", "__hello__", "sitecustomize", "usercustomize")
HELD_OUT_SHARE = 16  # one top-level module in so many, chosen by the hash of its name


@dataclass(frozen=True)
class SourceFile:
    """One file of the library: path inside it, text, and which side of the split its module is on."""

    path: str
    text: str
    held_out: bool


@dataclass(frozen=True)
class Corpus:
    """The whole library as two lists of files, and where they came from."""

    files: tuple[SourceFile, ...]
    python_version: str

    def texts(self, *, held_out: bool) -> list[str]:
        """The files of one side, in the order of their paths."""
        return [f.text for f in self.files if f.held_out is held_out]

    def manifest(self) -> dict[str, object]:
        """What was read: the Python version, each file's path, side, bytes and SHA-256, and one hash over them all."""
        rows = [
            {
                "path": f.path,
                "held_out": f.held_out,
                "bytes": len(f.text.encode()),
                "sha256": hashlib.sha256(f.text.encode()).hexdigest(),
            }
            for f in self.files
        ]
        whole = hashlib.sha256("".join(f"{r['path']}{r['sha256']}{r['held_out']}" for r in rows).encode()).hexdigest()
        return {"python": self.python_version, "licence": "PSF-2.0", "sha256": whole, "files": rows}


def load_corpus(root: Path | None = None) -> Corpus:
    """Read the standard library under `root` (default: the running Python's own). Raises FileProblem when there is none."""
    root = root or Path(sysconfig.get_paths()["stdlib"])
    files = tuple(_read(path, root) for path in sorted(root.rglob("*.py")) if _wanted(path.relative_to(root)))
    files = tuple(f for f in files if f.text.strip())
    if not files:
        raise FileProblem(f"no Python source under {root}; install Python with its standard library.")
    return Corpus(files, platform.python_version())


def xz_bits_per_byte(texts: list[str]) -> float:
    """What `xz -9e` needs for these texts, joined, in bits per byte: the yardstick for a model of them."""
    joined = "".join(texts).encode()
    return 8 * len(lzma.compress(joined, preset=9 | lzma.PRESET_EXTREME)) / len(joined)


def unread_texts(root: Path | None = None, *, at_most: int = 200_000) -> list[str]:
    """Some of the library's own tests, which neither side of the split holds: up to `at_most` bytes, chosen by hash of name.

    For setting a finished model's confidence without looking at the held-out text. Empty where Python came without them.
    """
    root = root or Path(sysconfig.get_paths()["stdlib"])
    paths = sorted((root / "test").glob("test_*.py"), key=lambda p: hashlib.sha256(p.name.encode()).hexdigest())
    texts: list[str] = []
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace")
        if 2_000 < len(text) < 40_000 and sum(map(len, texts)) + len(text) <= at_most:
            texts.append(text)
    return texts


def is_held_out(module: str) -> bool:
    """Whether a top-level module is kept for measuring. A function of its name alone."""
    return int(hashlib.sha256(module.encode()).hexdigest(), 16) % HELD_OUT_SHARE == 0


def _wanted(relative: Path) -> bool:
    if SKIPPED_FOLDERS.intersection(relative.parts) or relative.as_posix() in SKIPPED_FILES:
        return False
    return not any(part.startswith(SKIPPED_PREFIXES) for part in relative.parts)


def _read(path: Path, root: Path) -> SourceFile:
    relative = path.relative_to(root)
    module = relative.parts[0].removesuffix(".py")
    text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    return SourceFile(relative.as_posix(), text, is_held_out(module))
