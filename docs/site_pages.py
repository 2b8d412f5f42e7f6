"""Hook of mkdocs: the repository's own pages, and the files that they link to, as one site.

A page keeps its path below the repository's root, so that a relative link means the same in a
checkout and on the site. A link to a folder leads to its README; source files that pages link to
are copied beside them.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(\]\()([^)\s]+)(\))|((?:src|href|srcset)=\")([^\"]+)(\")")
_FENCE = re.compile(r"(^ {0,3}```.*?^ {0,3}```|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def pages() -> list[str]:
    """Markdown files that git tracks or could, below the root, without the site's own folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [
        p for p in found.split("\n") if p and not p.startswith("docs/site/") and "/tests/" not in p
    ]


def targets(text: str) -> list[str]:
    """Relative link targets of a page, without anchors and outside of code."""
    prose = _FENCE.sub("", text)
    found = [m[2] or m[5] for m in _LINK.finditer(prose)]
    return [t.split("#")[0] for t in found if "://" not in t and not t.startswith(("#", "mailto:"))]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every page, and what pages link to."""
    wanted = set(pages())
    for page in sorted(wanted):
        for target in targets((ROOT / page).read_text(encoding="utf-8")):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
            if (ROOT / path).is_file():
                wanted.add(path)
    for path in sorted(wanted):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lead links to folders to their README."""
    folder = posixpath.dirname(page.file.src_uri)

    def lead(match: re.Match[str]) -> str:
        before, target, after = (match[1], match[2], match[3]) if match[2] else match.groups()[3:]
        path, anchor = (*target.split("#", 1), "")[:2]
        place = ROOT / folder / path
        if path and "://" not in target and place.is_dir():
            path = posixpath.join(path.rstrip("/"), "README.md")
        return f"{before}{path}{'#' + anchor if anchor else ''}{after}"

    parts = _FENCE.split(markdown)
    return "".join(p if _FENCE.fullmatch(p) else _LINK.sub(lead, p) for p in parts)
