"""Cut a recording into segments of one speaker, at pauses."""

from __future__ import annotations

import numpy as np

from mingtok_audio.curation.interfaces import FileStage
from mingtok_audio.curation.recording import FRAME, Recording, Segment, Turn


class Segments(FileStage):
    """Segments of `shortest` to `longest` seconds that cover the speech; what lies between them is
    kept as dropped rows, so that the rows of a recording add up to its length.

    Args:
        shortest: seconds; shorter ones are dropped (`too_short`).
        longest: seconds; longer speech is cut at its quietest places.
        pause: seconds without speech at which a segment ends once it has `shortest` seconds.
        bridge: seconds without speech over which a segment never reaches.
    """

    columns = {"pause_before": "float"}
    writes_core = ("speaker",)

    def __init__(
        self,
        shortest: float = 3.0,
        longest: float = 30.0,
        pause: float = 0.4,
        bridge: float = 1.5,
    ) -> None:
        if not 0 < shortest < longest:
            raise ValueError(f"0 < shortest < longest, not {shortest} and {longest}")
        self.shortest, self.longest, self.pause, self.bridge = shortest, longest, pause, bridge

    def run(self, recording: Recording) -> None:
        """Fill `segments`."""
        turns = recording.turns or [Turn(a, b, "") for a, b in recording.speech]
        groups: list[Turn] = []
        for turn in turns:
            for start, end in self._halved(recording, turn.start, turn.end):
                last = groups[-1] if groups else None
                if (
                    last is not None
                    and last.speaker == turn.speaker
                    and end - last.start <= self.longest
                    and start - last.end < self.bridge
                    and (
                        start - last.end < self.pause
                        or last.end - last.start < self.shortest
                        or end - start < self.shortest
                    )
                ):
                    groups[-1] = Turn(last.start, end, turn.speaker)
                else:
                    groups.append(Turn(start, end, turn.speaker))
        recording.segments = self._covered(recording, groups)

    def _halved(self, recording: Recording, start: float, end: float) -> list[tuple[float, float]]:
        """[start, end) cut at its quietest places into parts of at most `longest` seconds."""
        parts: list[tuple[float, float]] = []
        while end - start > self.longest:
            # The last two parts share what is left, so that none is too short.
            most = min(self.longest, max(self.shortest, (end - start) - self.shortest))
            begin = start + max(self.shortest, 0.6 * most)
            level = recording.track("level", begin, start + most)
            if len(level):
                smooth = np.convolve(level, np.ones(7) / 7, mode="same")
                cut = begin + (int(smooth.argmin()) + 0.5) * FRAME
            else:
                cut = start + most
            parts.append((start, min(cut, start + most)))
            start = parts[-1][1]
        return [*parts, (start, end)]

    def _covered(self, recording: Recording, groups: list[Turn]) -> list[Segment]:
        out: list[Segment] = []
        at = 0.0
        for group in groups:
            start, end = max(at, round(group.start, 3)), round(group.end, 3)
            if end <= start:
                continue
            if start > at:
                out.append(_silence(at, start))
            segment = Segment(start, end, {"pause_before": round(start - at, 3)})
            segment.values["speaker"] = group.speaker or None
            if segment.seconds < self.shortest:
                segment.drop("too_short", f"{segment.seconds:.2f} s of speech between pauses")
            out.append(segment)
            at = end
        if recording.seconds - at > 0.0005:
            out.append(_silence(at, round(recording.seconds, 3)))
        return out


def _silence(start: float, end: float) -> Segment:
    segment = Segment(start, end)
    segment.drop("no_speech", "nobody speaks here")
    return segment
