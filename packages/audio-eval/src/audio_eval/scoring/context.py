"""What metrics work with: decoded audio, judges with a cache, the run's settings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ItemFailedError, Judge, JudgeUnavailableError
from audio_eval.scoring.cache import FileHashes, JsonlCache, digest
from mingtok_audio.core.errors import UserError, one_line

if TYPE_CHECKING:
    import numpy as np

_KEPT_RECORDINGS = 8


@dataclass(frozen=True)
class JudgeChoice:
    """A judge by name with its options, for a role and (or for any) language."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


class JudgePool:
    """The judges of a run: role (and language) to judge, made when first asked for.

    Args:
        choices: ``"asr"`` or ``"asr:zh"`` (for one language) to a choice or a ready judge.
    """

    def __init__(self, choices: Mapping[str, JudgeChoice | Judge]) -> None:
        self._choices = dict(choices)
        self._made: dict[str, Judge | str] = {}
        self._elsewhere: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Each process makes its own judges.
        return {"_choices": self._choices, "_made": {}, "_elsewhere": {}}

    def get(self, role: str, language: str = "") -> Judge:
        """The judge of a role, checked.

        Raises:
            JudgeUnavailableError: none is chosen, or it cannot run here.
        """
        language = language.split("-", maxsplit=1)[0].lower()
        key = f"{role}:{language}" if f"{role}:{language}" in self._choices else role
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(key, role)
        if isinstance(made, str):
            raise JudgeUnavailableError(made)
        return made

    def _make(self, key: str, role: str) -> Judge | str:
        choice = self._choices.get(key)
        if choice is None:
            return f"no judge for {role} is chosen"
        try:
            if isinstance(choice, JudgeChoice):
                from audio_eval.plugins import create_judge

                judge = create_judge(choice.name, **choice.options)
            else:
                judge = choice
            judge.check()
            judge.identity()
        except (JudgeUnavailableError, UserError, ImportError, OSError) as error:
            name = choice.name if isinstance(choice, JudgeChoice) else choice.info.name
            return one_line(f"judge {name}: {error}")
        return judge

    def identities(self, roles: tuple[str, ...], language: str) -> list[str]:
        """Identities of the judges that roles would use; the reason where one cannot run."""
        out = []
        for role in roles:
            try:
                out.append(self.get(role, language).identity())
            except JudgeUnavailableError as error:
                out.append(f"unavailable: {error}")
        return out

    def used(self) -> dict[str, str]:
        """What was made so far: role to identity, or to the reason that it cannot run."""
        here = {
            key: made.identity() if isinstance(made, Judge) else f"unavailable: {made}"
            for key, made in self._made.items()
        }
        return dict(sorted({**self._elsewhere, **here}.items()))

    def used_elsewhere(self, judges: Mapping[str, str]) -> None:
        """Add what `used` of another process says."""
        self._elsewhere.update(judges)


class Context:
    """The ``ScoringContext`` of a run.

    A copy in another process makes judges of its own and knows what the cache's file held then.
    What its judges say goes back with the results (`news`, `learn`): one process writes the cache.

    Args:
        judges: roles to judges.
        cache: of what judges said.
        seed: for anything drawn.
        compat: ``none`` or ``ming``.
    """

    def __init__(
        self,
        judges: JudgePool,
        cache: JsonlCache | None = None,
        *,
        seed: int = 0,
        compat: str = "none",
    ) -> None:
        self.judges = judges
        self.seed = seed
        self.compat = compat
        self.hashes = FileHashes()
        self.judge_calls = 0
        self._cache = cache if cache is not None else JsonlCache(None)
        self._audio: OrderedDict[tuple[str, int | None], tuple[np.ndarray, int]] = OrderedDict()
        self._news: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {
            "judges": self.judges,
            "seed": self.seed,
            "compat": self.compat,
            "path": self._cache.path,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        cache = JsonlCache.copy_of(state["path"])
        self.__init__(state["judges"], cache, seed=state["seed"], compat=state["compat"])

    def news(self) -> dict[str, Any]:
        """What judges said since the last call, and which there are, for `learn`."""
        news, self._news = self._news, {}
        return {"answers": news, "judges": self.judges.used()}

    def learn(self, news: Mapping[str, Any]) -> None:
        """Keep the `news` of a copy, or of this context itself."""
        answers = news["answers"]
        self._cache.put({k: v for k, v in answers.items() if self._cache.get(k) is None})
        self.judges.used_elsewhere(news["judges"])

    def audio(self, path: Path, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
        """Mono float32 (T,) and its rate; see ``ScoringContext``."""
        from mingtok_audio.core.audio import load_audio

        key = (f"{path} {self.hashes.of(path)}", sample_rate)
        if key in self._audio:
            self._audio.move_to_end(key)
            return self._audio[key]
        if not path.exists():
            raise ItemFailedError(f"{path} is not there")
        try:
            loaded = load_audio(path, sample_rate)
        except UserError as error:
            raise ItemFailedError(str(error)) from None
        self._audio[key] = loaded
        while len(self._audio) > _KEPT_RECORDINGS:
            self._audio.popitem(last=False)
        return loaded

    def judge(self, role: str, path: Path, **request: Any) -> Mapping[str, Any]:
        """What the judge of ``role`` says about a file; see ``ScoringContext``."""
        judge = self.judges.get(role, str(request.get("language", "")))
        key = digest(self.hashes.of(path), judge.identity(), request)
        known = self._cache.get(key)
        if known is not None:
            return known
        wav, rate = self.audio(path, judge.sample_rate)
        self.judge_calls += 1
        answer = dict(judge.evaluate(wav, rate, **request))
        self._cache.put({key: answer})
        self._news[key] = answer
        return answer

    def judge_name(self, role: str) -> str:
        """Identity of the judge that fills a role, "" for none."""
        try:
            return self.judges.get(role).identity()
        except JudgeUnavailableError:
            return ""

    def transcribe(self, path: Path, language: str) -> str:
        """The ASR judge's text."""
        return str(self.judge("asr", path, language=language)["text"])
