"""Questions about speech: rows with `question` and `answer`, and what a trained model refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_training_data import make_config, make_corpus, make_tokenizer

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.config import from_dict, to_dict
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.models.hub import write_json
from uniaudio_lm import UniAudio
from uniaudio_lm.model import prompts
from uniaudio_lm.training.joint import JointTask
from uniaudio_lm.training.run import train
from uniaudio_lm.training.settings import JointConfig

pytest.importorskip("accelerate")
HIGH, LOW = "the high one", "the low one"
QUESTION = "Which tone is it?"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings; each has a question with its answer, and a transcript in another row."""
    folder = tmp_path_factory.mktemp("questions")
    make_tokenizer(folder / "tokenizer")
    rows = [json.loads(line) for line in make_corpus(folder).read_text().splitlines()][:5:4]
    lines = []
    for row, answer in zip(rows, (LOW, HIGH), strict=True):
        lines.append({**row, "text": f"tone {answer[4:6]}"})
        asked = {key: row[key] for key in ("audio", "seconds")}
        lines += [
            {**asked, "id": f"{row['id']}-q", "question": QUESTION, "answer": answer},
            {**asked, "id": f"{row['id']}-s", "question": "", "answer": f"yes, {answer}"},
        ]
    write(folder, lines)
    return folder


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def config(folder: Path, *overrides: str) -> JointConfig:
    return make_config(
        folder,
        "data.latents.draw=mean",
        "data.ratio=[1,0]",
        "data.understanding.max_tokens=600",
        *overrides,
    )


def test_a_question_is_learned_as_it_is_asked(corpus: Path) -> None:
    task = JointTask(config(corpus))
    understood = task.corpora.train["understanding"]
    assert understood.tasks == {"recognition", "questions"}
    batch = understood.batch(0)
    lm, found = task.model.lm, {}
    for row in range(len(batch.ids)):
        ids = batch.ids[row][: batch.lengths[row]].tolist()
        at = next(i for i, label in enumerate(batch.labels[row].tolist()) if label != -100)
        answer = lm.text_tokenizer.decode(ids[at:-1])
        found[answer] = ids[:at], int(batch.counts[row])
    assert {LOW, HIGH, f"yes, {HIGH}", "en\ttone hi"} <= set(found)
    for answer, text in ((HIGH, QUESTION), (f"yes, {HIGH}", "")):
        ids, patches = found[answer]
        parts = [{"type": "text", "text": text}] if text else []
        message = {"role": prompts.HUMAN, "content": [*parts, {"type": "audio"}]}
        wanted = prompts.encode(lm.text_tokenizer, prompts.chat([message], [patches]))
        assert ids == wanted.ids


def test_a_trained_model_answers_and_one_without_questions_refuses(
    corpus: Path, tmp_path: Path, uniaudio: Callable[..., Any]
) -> None:
    settings = ("trainer.max_steps=80", "optim.lr=0.01", "trainer.ema_decay=0")
    train(config(corpus, *settings), tmp_path / "run")
    model = UniAudio.from_pretrained(tmp_path / "run" / "model")
    assert model.config.tasks == ["recognition", "questions"]
    for name, answer in (("0", LOW), ("4", HIGH)):
        wav, rate = load_audio(corpus / f"{name}.wav")
        assert model.ask(wav, rate, QUESTION).text == answer
        assert model.ask(wav, rate, None).text == f"yes, {answer}"
        assert model.transcribe(wav, rate).text == f"tone {answer[4:6]}"
    files = [corpus / "0.wav", corpus / "4.wav"]
    said = uniaudio("ask", *files, "--spoken", "--model", tmp_path / "run" / "model", "--json")
    assert [item["text"] for item in said.json] == [f"yes, {LOW}", f"yes, {HIGH}"]
    assert said.code == 0 and said.json[0]["prompt"] is None
    with pytest.raises(UserError, match="not trained to speak"):
        model.synthesize("one")
    # A run without questions: recognition, then speech on top of it.
    heard = tmp_path / "heard"
    heard.mkdir()
    rows = [json.loads(line) for line in (corpus / "manifest.jsonl").read_text().splitlines()]
    write(heard, [{**r, "audio": str(corpus / r["audio"])} for r in rows if "text" in r])
    changed = to_dict(config(heard, f"model.tokenizer={corpus / 'tokenizer'}"))
    changed["trainer"]["max_steps"] = 1
    train(from_dict(JointConfig, changed, where="test"), heard / "run")
    changed |= {"init": str(heard / "run" / "model"), "model": None}
    changed["data"]["ratio"] = [0, 1]
    train(from_dict(JointConfig, changed, where="test"), heard / "more")
    folder = heard / "more" / "model"
    assert UniAudio.from_pretrained(folder).config.tasks == ["recognition", "speech"]
    bad = uniaudio("ask", corpus / "0.wav", QUESTION, "--model", folder)
    assert bad.code == 2 and "was not trained to answer questions" in bad.err
    assert bad.err.count("\n") == 1 and not bad.out


@pytest.mark.parametrize(
    "fields",
    [
        {"question": "why?"},
        {"answer": "because"},
        {"question": "why?", "answer": ""},
        {"question": "why?", "answer": "  "},
        {"question": 3, "answer": "because"},
        {"question": "why?", "answer": ["because"]},
        {"question": None, "answer": "because"},
    ],
)
def test_half_a_question_is_refused(
    fields: dict[str, Any], corpus: Path, tmp_path: Path, uniaudio: Callable[..., Any]
) -> None:
    row = {"audio": str(corpus / "0.wav"), "seconds": 0.5, "text": "one", "id": "asked", **fields}
    write(tmp_path, [row])
    values = to_dict(config(tmp_path, f"model.tokenizer={corpus / 'tokenizer'}"))
    write_json(tmp_path / "run.yaml", values)
    bad = uniaudio("train", tmp_path / "run.yaml", "-o", tmp_path / "run", "--dry-run")
    assert bad.code == 2 and "item asked: question and answer go together" in bad.err, bad.err
    assert bad.err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_speech_needs_a_text_and_no_answer_is_spoken(corpus: Path) -> None:
    task = JointTask(config(corpus, "data.ratio=[1,1]"))
    spoken = task.corpora.train["generation"]
    assert [item.text for item in spoken.items] == ["tone lo", "tone hi"]
    assert len(task.corpora.train["understanding"].items) == 6
    assert sorted(task.model.lm.config.tasks or ()) == ["questions", "recognition", "speech"]
