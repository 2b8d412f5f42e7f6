"""`uniaudio ask`: free questions about recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.core.jobs import Advance, Job, Result, Work, done, failed
from uniaudio_lm.commands.asr import answer, rendered
from uniaudio_lm.commands.batch import RECORD_NAME, make_folder
from uniaudio_lm.commands.models import ModelChoice
from uniaudio_lm.config import check_task

if TYPE_CHECKING:
    from uniaudio_lm.engine import UniAudio


@dataclass(frozen=True)
class Questions(Work):
    """`Work`: the same questions about each recording, one turn after the other."""

    record_name = RECORD_NAME

    choice: ModelChoice
    prompts: tuple[str | None, ...]
    max_tokens: int
    format: str

    @property
    def device(self) -> str:
        """See `Work.device`."""
        return self.choice.device

    def load(self) -> UniAudio:
        """See `Work.load`."""
        return self.choice.load()

    def identity(self) -> dict[str, Any]:
        """See `Work.identity`."""
        rest = {k: v for k, v in asdict(self).items() if k != "choice"}
        return {"command": "ask", **rest, **self.choice.identity()}

    def run(self, model: UniAudio, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """See `Work.run`."""
        results = []
        for job in jobs:
            try:
                results.append(self._ask(model, job))
            except (UserError, OSError) as error:
                results.append(failed(job, error))
        return results

    def _ask(self, model: UniAudio, job: Job) -> Result:
        assert job.source is not None
        wav, rate = load_audio(job.source)
        turns: list[dict[str, Any]] = []
        history: list[tuple[str | None, str]] = []
        warnings = []
        for prompt in self.prompts:
            found = model.ask(wav, rate, prompt, history=history, max_tokens=self.max_tokens)
            history.append((prompt, found.text))
            turns.append({"prompt": prompt, "answer": found.text, "truncated": found.truncated})
            if found.truncated:
                asked = "the recording" if prompt is None else repr(prompt[:40])
                warnings.append(f"the answer to {asked} was ended by the token limit")
        fields = {
            "prompt": self.prompts[-1],
            "text": "\n".join(turn["answer"] for turn in turns),
            "turns": turns,
            "model": model.model_id,
        }
        result = done(job, fields) | {"warnings": warnings}
        if job.output is not None:
            make_folder(job.output.parent)
            atomic_write_text(job.output, rendered(result, self.format))
        return result


def run(
    given: Sequence[str],
    output: str | None,
    choice: ModelChoice,
    *,
    spoken: bool,
    follow_ups: Sequence[str],
    max_tokens: int,
    format: str,
    as_json: bool,
    workers: int | None,
    ray: str | None,
    force: bool,
) -> None:
    """Ask about each input; see the command's help.

    Raises:
        UserError: wrong options, or a model that cannot be loaded.
        typer.Exit: with code 1 where some inputs failed.
    """
    inputs = list(given)
    prompt = None if spoken else inputs.pop()
    if not inputs:
        raise UserError("give the recordings first and the prompt last: uniaudio ask IN... PROMPT")
    if format not in ("text", "json"):
        raise UserError(f"--format is text or json, not '{format}'")
    prompts = (prompt, *follow_ups)
    if not all(p is None or p.strip() for p in prompts):
        raise UserError("the prompt is empty: ask something about the recording")
    config = choice.about().config
    if config is not None:
        check_task("questions", config, choice.model)
    work = Questions(choice, prompts, max_tokens, format)
    answer(work, inputs, output, format, as_json, workers=workers, ray=ray, batch=1, force=force)
