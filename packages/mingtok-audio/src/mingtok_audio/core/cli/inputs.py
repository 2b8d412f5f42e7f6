"""Which files a command works on, and where each result goes."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import os_reason
from mingtok_audio.core.names import files_below


@dataclass(frozen=True)
class Item:
    """One input.

    Attributes:
        path: the file; None is standard input.
        relative: its path under the folder that was given, or its name: where its result goes
            under an output folder.
    """

    path: Path | None
    relative: PurePosixPath

    @property
    def is_stdin(self) -> bool:
        """Whether the input is standard input."""
        return self.path is None

    @property
    def name(self) -> str:
        """How to call the input in messages and JSON: its path as given, or "-"."""
        return "-" if self.path is None else str(self.path)


def collect_inputs(inputs: Sequence[str | os.PathLike[str]], suffixes: Iterable[str]) -> list[Item]:
    """The files that `inputs` (files, folders, "-") stand for, in order, each once.

    A folder gives the files below it with one of `suffixes`, sorted, without hidden ones (see
    `files_below`); a file that is named is taken whatever its suffix.

    Raises:
        UserError: a name that does not exist, a folder without such files, "-" beside others.
    """
    wanted = tuple(s.lower() for s in suffixes)
    if not inputs:
        raise UserError("no input given; name files, a folder, or - for standard input")
    found: dict[Path, Item] = {}
    for given in inputs:
        text = os.fspath(given)
        if text == "-":
            if len(inputs) > 1:
                raise UserError("- (standard input) must be the only input")
            return [Item(None, PurePosixPath("stdin"))]
        path = Path(text)
        try:
            if text and path.is_dir():
                members = files_below(path, wanted)
                if not members:
                    raise UserError(f"{path} holds no files of the kind {', '.join(wanted)}")
                for member in members:
                    relative = PurePosixPath(member.relative_to(path).as_posix())
                    found.setdefault(member.resolve(), Item(member, relative))
            elif text and path.exists():
                found.setdefault(path.resolve(), Item(path, PurePosixPath(path.name)))
            else:
                raise UserError(f"there is no file or folder '{text}'")
        except (OSError, ValueError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            raise UserError(f"cannot read '{text}': {reason}") from error
    return list(found.values())


def output_paths(
    items: Sequence[Item],
    output: str | os.PathLike[str] | None,
    suffix: str,
    folder: bool | None = None,
) -> list[Path]:
    """Where the result of each item goes.

    Args:
        output: a file for one item, a folder for several (made when a result is written), or None
            for beside each input.
        suffix: of the results, with its dot.
        folder: whether `output` is a folder; None decides: there are several items, or it is one
            already, or it ends in a separator, or it has no suffix.

    Raises:
        UserError: a result that would overwrite its input, two results of one name, or a file
            name given for several results.
    """
    if output is None:
        if any(item.path is None for item in items):
            raise UserError("standard input needs an output: give -o FILE")
        targets = [item.path.with_suffix(suffix) for item in items if item.path is not None]
    else:
        text = os.fspath(output)
        target = Path(text)
        if folder is None:
            folder = (
                len(items) > 1
                or target.is_dir()
                or text.endswith(("/", os.sep))
                or not target.suffix
            )
        if not folder and len(items) > 1:
            raise UserError(f"{len(items)} inputs cannot go into the one file {target}")
        if folder and target.exists() and not target.is_dir():
            raise UserError(f"the output {target} must be a folder, and is a file")
        targets = (
            [target / Path(item.relative).with_suffix(suffix) for item in items]
            if folder
            else [target]
        )
    _check_targets(items, targets)
    return targets


def _check_targets(items: Sequence[Item], targets: Sequence[Path]) -> None:
    inputs = {item.path.resolve() for item in items if item.path is not None}
    seen: dict[Path, Item] = {}
    for item, target in zip(items, targets, strict=True):
        place = target.resolve()
        if place in inputs:
            raise UserError(f"the output {target} would overwrite an input; give another name")
        if place in seen:
            raise UserError(
                f"{seen[place].name} and {item.name} would both be written to {target}; "
                "put them into different folders or give different names"
            )
        seen[place] = item


def spooled_stdin(stack: ExitStack) -> Path:
    """Standard input as a file: it can be long, and audio containers need seeking."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    path = folder / "stdin"
    if sys.stdin is None:
        raise UserError("standard input is closed: give a file, or pipe one in")
    try:
        with path.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream, 1 << 20)
    except OSError as error:
        raise UserError(f"standard input cannot be kept in {folder}: {os_reason(error)}") from error
    return path
