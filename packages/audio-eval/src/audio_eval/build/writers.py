"""The optional model slots of the builder: a writer that rewords instructions, a judge of them.

Both are plain callables (dict -> str). From the command line they are commands: any program that
reads one JSON object from its standard input and prints the answer, so that any language model can
use it.

writer: gets `task`, `language`, `instruction`, `original_text`, `edited_text`; prints a rewording
of the instruction. judge: gets `instruction`, `original_text`, `language`; prints the edited text.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from typing import Any

from mingtok_audio.core.errors import UserError


class CommandSlot:
    """Runs a command per request.

    Args:
        command: as typed in a shell (split, not run by one).
        timeout: seconds for one answer.
    """

    def __init__(self, command: str, timeout: float = 120.0) -> None:
        self._words = shlex.split(command)
        self._timeout = timeout
        if not self._words or shutil.which(self._words[0]) is None:
            raise UserError(f"cannot run {command!r}: no such program")

    def __call__(self, request: dict[str, Any]) -> str:
        """The answer to one request, without surrounding space.

        Raises:
            UserError: the command failed, took too long or printed something that is not text.
        """
        data = json.dumps(request, ensure_ascii=False).encode()
        try:
            done = subprocess.run(
                self._words, input=data, capture_output=True, timeout=self._timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"{self._words[0]} took more than {self._timeout:g} s") from None
        except OSError as error:
            raise UserError(f"cannot run {self._words[0]}: {error.strerror or error}") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            why = said[-1] if said else "it said nothing"
            raise UserError(f"{self._words[0]} ended with status {done.returncode}: {why}")
        try:
            return done.stdout.decode().strip()
        except UnicodeDecodeError:
            raise UserError(f"{self._words[0]} printed something that is not UTF-8") from None
