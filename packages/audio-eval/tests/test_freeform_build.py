"""Building whole sets from a small manifest: counts, layout, reasons, determinism, slots."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from audio_eval.build import BuildOptions, Cell, balanced, build, interpret, preset
from audio_eval.build.presets import parse_counts, scaled
from audio_eval.scoring.manifest import parse_parameters, read_manifest
from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.cli import make_app
from mingtok_audio.core.errors import UserError

ENGLISH = """Please enter your password followed by the pound key.
The conference is currently locked and cannot be joined.
Press one to record your message, press two to hear it again.
My brother works for a bank in the old city.
She keeps a small garden behind her white house.
Our teacher asked us to read the third chapter today.
All of the students finished their tests early on Monday.
The train from the north was late again this morning.
We could see the river from the top of the hill.
Nobody knows why the old clock stopped at noon.
Several people called about the lost dog last week.
The new road will open at the end of the year.
He said that they couldn't find the keys anywhere.
Snow covered the mountains for most of the winter.
You should never feed the birds near the lake.
It was the best soup that I had ever tasted.
They don't want to sell the farm to strangers.
The committee will meet again in two weeks.
Most of the work was done before the storm arrived.
Please send the final report to the office by Friday.
The second half of the film was far too long.
A man wearing a jacket and a hat waits at the market.
Her father drove the small red car to the station.
I was happy to see your friend at the school.""".splitlines()
CHINESE = """比如当有人替受伤的小鸟包扎时
明天可能会下雨请记得带雨伞
今天下午我们一起去图书馆看书
我的朋友在一家银行工作了十年
春天来了山上的桃花都开了
他每天早上都要喝一杯热牛奶
这座城市的地铁非常方便快捷
爷爷喜欢在院子里种花养鱼
老师让大家认真完成今天的作业
夏天的酷热过去了冬天的寒冷还早呢
公司决定下个月搬到新的大楼
孩子们在公园里高兴地放风筝
当我们做体验时我们到底在做什么
这家餐厅的菜又便宜又好吃""".splitlines()
RATE = 8000


def _write_manifest(folder, rows, seconds=0.4):
    """Rows of (id, text, language) with a short tone each."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for place, (name, text, language) in enumerate(rows):
        time = np.arange(int(seconds * RATE)) / RATE
        tone = (0.3 * np.sin(2 * np.pi * (200 + 5 * place) * time)).astype(np.float32)
        save_audio(folder / f"{name}.wav", tone, RATE)
        row = {"id": name, "audio": f"{name}.wav", "text": text, "language": language}
        lines.append(json.dumps({**row, "speaker": "one"}, ensure_ascii=False))
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rows = [(f"en{k:02d}", text, "en") for k, text in enumerate(ENGLISH)]
    rows += [(f"zh{k:02d}", text, "zh") for k, text in enumerate(CHINESE)]
    return _write_manifest(tmp_path_factory.mktemp("corpus"), rows)


def _digest(folder):
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def test_the_presets_are_the_tables_of_the_paper():
    basic, full = preset("paper-basic"), preset("paper-full")
    totals = {
        (p, lang, task): sum(n for c, n in cells.items() if (c.language, c.task) == (lang, task))
        for p, cells in (("basic", basic), ("full", full))
        for lang in ("zh", "en")
        for task in ("deletion", "insertion", "substitution")
    }
    assert [totals["basic", "zh", t] for t in ("deletion", "insertion", "substitution")] == [
        170,
        170,
        159,
    ]
    assert [totals["basic", "en", t] for t in ("deletion", "insertion", "substitution")] == [
        180,
        160,
        179,
    ]
    assert [totals["full", "zh", t] for t in ("deletion", "insertion", "substitution")] == [
        281,
        290,
        325,
    ]
    assert [totals["full", "en", t] for t in ("deletion", "insertion", "substitution")] == [
        200,
        199,
        256,
    ]
    assert full[Cell("zh", "substitution", "full", "index")] == 36
    acoustic = preset("paper-acoustic")
    assert acoustic[Cell("zh", "dialect")] == 250 and acoustic[Cell("en", "emotion")] == 72
    assert sum(acoustic.values()) == 84 + 72 + 6 * 50 + 250


def test_balanced_counts_add_up_and_differ_by_one_at_most():
    for items in (1, 6, 13, 60):
        counts = balanced(items, ["en", "zh"], ["basic", "full"])
        assert sum(counts.values()) == items
        assert max(counts.values()) - min(counts.values()) <= 1
    few = balanced(3, ["en"], ["full"])
    assert {cell.task for cell in few} == {"deletion", "insertion", "substitution"}
    with pytest.raises(UserError, match="nothing to build"):
        balanced(3, [], ["full"])
    assert (
        scaled(preset("paper-full", ["zh"]), 0.01)[Cell("zh", "deletion", "full", "content")] == 1
    )


def test_a_whole_set_in_the_published_layout(corpus, tmp_path):
    out = tmp_path / "set"
    counts = balanced(24, ["en", "zh"], ["basic", "full"])
    report = build(BuildOptions(corpus, out, counts, seed=3))
    assert report.missing == {}
    assert report.written == {str(cell): n for cell, n in counts.items()}
    assert json.loads((out / "build_report.json").read_text("utf-8"))["items"] == 24
    metas = sorted(p.relative_to(out).as_posix() for p in out.glob("meta/*/*.csv"))
    assert metas == report.metas
    assert "meta/del/meta_zh_deletion_basic.csv" in metas
    assert "meta/sub/meta_en_substitution.csv" in metas
    everything = {item.id: item for item in read_manifest(out / "items.jsonl")}
    assert len(everything) == 24
    for meta in metas:
        assert (
            (out / meta)
            .read_text("utf-8")
            .startswith("file_name|path|instruction|original_text|edited_text\n")
        )
        for item in read_manifest(out / meta):
            twin = everything[item.id]
            assert (item.language, item.task, item.mode) == (twin.language, twin.task, twin.mode)
            assert item.source is not None and item.source.is_file()
            assert item.text == twin.text != item.original_text
            assert item.instruction is not None and item.original_text is not None
            found = interpret(item.instruction, item.original_text, item.language)
            assert [r.casefold() for r in found.readings] == [item.text.casefold()]
            if item.mode == "basic":
                assert item.instruction.split()[0] in ("delete", "insert", "substitute")
    recordings = [item.parameters["recording"] for item in everything.values()]
    assert len(set(recordings)) == 24  # each recording once


def test_recordings_are_copied_sample_for_sample(corpus, tmp_path):
    build(BuildOptions(corpus, tmp_path / "set", balanced(2, ["en"], ["full"]), seed=1))
    for item in read_manifest(tmp_path / "set" / "items.jsonl"):
        original, rate = load_audio(corpus.parent / f"{item.parameters['recording']}.wav")
        copy, copied_rate = load_audio(item.source)
        assert rate == copied_rate
        np.testing.assert_array_equal(original, copy)


def test_the_same_seed_gives_the_same_bytes(corpus, tmp_path):
    counts = balanced(8, ["en", "zh"], ["full"])
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        build(BuildOptions(corpus, tmp_path / name, counts, seed=seed))
    assert _digest(tmp_path / "a") == _digest(tmp_path / "b") != _digest(tmp_path / "c")


def test_everything_turned_away_has_a_reason(tmp_path):
    rows = [
        ("good", "Please enter your new password now.", "en"),
        ("twin", "please enter your NEW password, now", "en"),
        ("short", "Yes please.", "en"),
        ("marks", "Press # to stop it now please.", "en"),
        ("gone", "Nobody knows why the old clock stopped.", "en"),
        ("broken", "We could see the river from here.", "en"),
        ("mixed", "我用iPhone打了三个电话", "zh"),
    ]
    manifest = _write_manifest(tmp_path / "in", rows)
    (tmp_path / "in" / "gone.wav").unlink()
    (tmp_path / "in" / "broken.wav").write_bytes(b"not a recording")
    counts = {
        Cell("en", "deletion", "full", "index"): 3,
        Cell("zh", "deletion", "full", "index"): 1,
    }
    report = build(BuildOptions(manifest, tmp_path / "set", counts))
    assert report.written == {"en/deletion/full/index": 1}
    assert report.missing == {"en/deletion/full/index": 2, "zh/deletion/full/index": 1}
    reasons = {row["id"]: row["reason"] for row in report.rejections.examples}
    assert reasons == {
        "twin": "duplicate_text",
        "short": "text_too_short",
        "marks": "text_symbols",
        "gone": "missing_audio",
        "broken": "unreadable_audio",
        "mixed": "text_mixed_script",
    }
    meanings = report.to_dict()["rejected"]["reasons"]
    assert all(row["meaning"] for row in meanings.values())


def test_paths_that_disagree_are_turned_away(corpus, tmp_path, monkeypatch):
    from audio_eval.build import semantic

    real = semantic.edited_text
    monkeypatch.setattr(semantic, "edited_text", lambda *a: real(*a) + " oops")
    with pytest.raises(UserError, match="paths_disagree"):
        build(BuildOptions(corpus, tmp_path / "set", balanced(2, ["en"], ["basic"])))
    assert not list(tmp_path.iterdir())  # nothing half-written is left


def test_a_set_is_replaced_only_with_force_and_only_if_it_is_one(corpus, tmp_path):
    counts = balanced(1, ["en"], ["full"])
    build(BuildOptions(corpus, tmp_path / "set", counts))
    with pytest.raises(UserError, match="exists already"):
        build(BuildOptions(corpus, tmp_path / "set", counts))
    build(BuildOptions(corpus, tmp_path / "set", counts, force=True))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(UserError, match="leaves it alone"):
        build(BuildOptions(corpus, tmp_path / "mine", counts, force=True))
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "dear"


def test_the_prefix_goes_before_every_instruction(corpus, tmp_path):
    prefix = "Please recognize the language of this speech and transcribe it. And "
    build(BuildOptions(corpus, tmp_path / "set", balanced(3, ["en"], ["basic"]), prefix=prefix))
    for item in read_manifest(tmp_path / "set" / "items.jsonl"):
        assert item.instruction.startswith(prefix)


def test_a_writer_rewords_and_is_verified(corpus, tmp_path):
    requests = []

    def polite(request):
        requests.append(request)
        return "Kindly " + request["instruction"]

    counts = {Cell("en", "deletion", "basic", "content"): 3}
    build(BuildOptions(corpus, tmp_path / "a", counts, writer=polite))
    items = read_manifest(tmp_path / "a" / "items.jsonl")
    assert all(item.instruction.startswith("Kindly delete") for item in items)
    assert set(requests[0]) == {"task", "language", "instruction", "original_text", "edited_text"}
    with pytest.raises(UserError, match="writer_failed"):
        build(BuildOptions(corpus, tmp_path / "b", counts, writer=lambda _: " "))
    with pytest.raises(UserError, match="not_understood"):
        build(BuildOptions(corpus, tmp_path / "c", counts, writer=lambda _: "do your best"))

    def liar(request):
        return request["instruction"].replace("delete", "delete the word before")

    with pytest.raises(UserError, match=r"paths_disagree|index_out_of_range"):
        build(BuildOptions(corpus, tmp_path / "d", counts, writer=liar))


def test_a_judge_must_agree_and_can_read_what_the_grammar_cannot(corpus, tmp_path):
    counts = {Cell("en", "deletion", "basic", "content"): 2}
    with pytest.raises(UserError, match="judge_disagrees"):
        build(BuildOptions(corpus, tmp_path / "a", counts, judge=lambda _: "something else"))
    truth = {}

    def free(request):
        truth[request["original_text"]] = request["edited_text"]
        return "be a dear and lose that bit"

    def knows(request):
        return truth[request["original_text"]].upper()

    build(BuildOptions(corpus, tmp_path / "b", counts, writer=free, judge=knows))
    items = read_manifest(tmp_path / "b" / "items.jsonl")
    assert {item.parameters["verified_by"] for item in items} == {"judge"}


def test_command_slots(tmp_path):
    from audio_eval.build.writers import CommandSlot

    code = "import json,sys; print('Kindly ' + json.load(sys.stdin)['instruction'])"
    script = tmp_path / "writer.py"
    script.write_text(code)
    slot = CommandSlot(f"{sys.executable} {script}")
    assert slot({"instruction": "删除“天”"}) == "Kindly 删除“天”"
    script.write_text("import sys; sys.exit('no credit left')")
    with pytest.raises(UserError, match="no credit left"):
        slot({"instruction": "x"})
    with pytest.raises(UserError, match="no such program"):
        CommandSlot("no-such-program-here")


@pytest.fixture(scope="module")
def app():
    from audio_eval.build.cli import register

    made = make_app("audio-eval", "test", "audio-eval")
    register(made)
    return made


def test_the_command(app, corpus, tmp_path):
    out = tmp_path / "set"
    args = ["build", str(corpus), "-o", str(out), "--items", "6", "--language", "en", "--json"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["items"] == 6
    count = "en/deletion/full/index=500"
    args = ["build", str(corpus), "-o", str(tmp_path / "big"), "--count", count]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 1  # not enough recordings, but what there is was written
    assert "lacks" in done.stderr
    assert (tmp_path / "big" / "items.jsonl").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give one of --preset, --items and --count"),
        (["--items", "3", "--preset", "paper-full"], "give one of"),
        (["--preset", "paper"], "unknown preset"),
        (["--count", "en/deletion=3"], "write LANGUAGE/TASK/WORDING/KIND=N"),
        (["--count", "en/speed=0"], "whole number above 0"),
        (["--items", "3", "--wording", "fancy"], "must be one of basic, full, both"),
        (["--items", "3", "--targets", "recorded"], "need word times"),
        (["--items", "3", "--aligner", "nowhere"], "holds no model.bin"),
        (["--items", "3", "--task", "singing"], "--task singing"),
    ],
)
def test_wrong_usage_is_one_line(app, corpus, tmp_path, arguments, said):
    done = CliRunner().invoke(app, ["build", str(corpus), "-o", str(tmp_path / "x"), *arguments])
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


def test_counts_in_words():
    counts = parse_counts(["en/deletion/full/index=10", "zh/speed=5"])
    assert counts == {Cell("en", "deletion", "full", "index"): 10, Cell("zh", "speed"): 5}
    with pytest.raises(UserError, match="given twice"):
        parse_counts(["zh/speed=5", "zh/speed=6"])


def test_ids_never_clash_and_text_edits_share_their_recording(tmp_path):
    rows = [
        ("a b", ENGLISH[0], "en"),
        ("a_b", ENGLISH[1], "en"),
        ("a_b__2", ENGLISH[2], "en"),
        ("c/d", ENGLISH[3], "en"),
    ]
    rows = [(name.replace("/", "-"), text, language) for name, text, language in rows]
    manifest = _write_manifest(tmp_path / "in", rows)
    counts = balanced(8, ["en"], ["full"])
    build(BuildOptions(manifest, tmp_path / "set", counts, per_recording=2))
    items = read_manifest(tmp_path / "set" / "items.jsonl")
    assert len({item.id for item in items}) == 8
    assert len(list((tmp_path / "set" / "wavs").iterdir())) == 4
    for item in items:
        original, _ = load_audio(tmp_path / "in" / f"{item.parameters['recording']}.wav")
        np.testing.assert_array_equal(original, load_audio(item.source)[0])


SHIPPED = Path(__file__).parents[3] / "examples" / "edit_set"


@pytest.mark.skipif(not SHIPPED.is_dir(), reason="the examples are not in a source distribution")
def test_the_shipped_set_is_sound():
    items = read_manifest(SHIPPED / "items.jsonl")
    assert len(items) == 8
    for item in items:
        assert item.source.is_file()
        if item.task in ("speed", "volume"):
            assert item.reference.is_file()
            assert parse_parameters(item.task, item.instruction)
        else:
            found = interpret(item.instruction, item.original_text, item.language)
            assert [r.casefold() for r in found.readings] == [item.text.casefold()]
    from_metas = [i for meta in SHIPPED.glob("meta/*/*.csv") for i in read_manifest(meta)]
    assert {i.id: i.instruction for i in from_metas} == {i.id: i.instruction for i in items}
    parts = [read_manifest(SHIPPED / f"{kind}.jsonl") for kind in ("semantic", "acoustic")]
    assert [len(part) for part in parts] == [6, 2]
    assert {i.id for part in parts for i in part} == {i.id for i in items}
