"""What every command line shares: exit codes, one line per error, JSON, inputs and outputs."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from mingtok_audio.core.cli import collect_inputs, emit_json, output_paths, progress, setup_logging
from mingtok_audio.core.cli.doctor import doctor_report
from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.files import atomic_write, atomic_write_bytes, atomic_write_text

APP = textwrap.dedent('''
    """A script as our packages write them."""
    from __future__ import annotations
    import sys
    import warnings
    import typer
    from mingtok_audio.core.cli import emit_json, make_app, make_group, progress, run
    from mingtok_audio.core.errors import UserError

    app = make_app("demo", "A demonstration.", "mingtok-audio")
    group = make_group("sub", "A group.")
    app.add_typer(group)

    @group.command()
    def inner() -> None:
        """Say hello."""
        typer.echo("hello")

    @app.command()
    def do(what: str, number: int = 3) -> None:
        """Do it."""
        if what == "warn":
            warnings.warn("take\\ncare")
            warnings.warn("old", DeprecationWarning)
        elif what == "user":
            raise UserError("bad\\ninput\\x1b[31m")
        elif what == "bug":
            raise RuntimeError("boom")
        elif what == "os":
            open("/no/such/file")
        elif what == "memory":
            raise MemoryError
        elif what == "interrupt":
            raise KeyboardInterrupt
        elif what == "some":
            raise typer.Exit(1)
        elif what == "json":
            emit_json({"text": "\\u4f60\\u597d", "nan": float("nan")})
        elif what == "many":
            for i in range(200_000):
                print(i)
        elif what == "progress":
            with progress("working", 3, "files") as bar:
                bar.describe("still working")
                bar.advance(3)
        else:
            typer.echo(what)

    def main() -> None:
        run(app)

    if __name__ == "__main__":
        main()
''')


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("app") / "demo.py"
    path.write_text(APP)
    return path


def call(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["do", "fine"], 0, ""),
        (["do", "warn"], 0, "warning: take care\n"),
        (["do", "some"], 1, ""),
        (["do", "user"], 2, "error: bad input [31m\n"),
        (["do"], 2, "error: Missing argument '"),
        (["nope"], 2, "error: No such command 'nope'; see demo --help\n"),
        (["do", "x", "--number", "y"], 2, "error: Invalid value for '--number'"),
        (["do", "x", "--nope"], 2, "error: No such option: --nope"),
        (["do", "os"], 2, "error: /no/such/file: no such file or directory\n"),
        (["do", "memory"], 2, "error: not enough memory for this input\n"),
        (["do", "bug"], 2, "error: internal error: RuntimeError: boom (this is a bug;"),
        (["do", "interrupt"], 130, ""),
        (["do", "progress"], 0, ""),
        (["do", "--", "--debug"], 0, ""),
    ],
)
def test_exit_codes_and_one_line(script: Path, arguments: list[str], code: int, error: str) -> None:
    done = call(script, *arguments)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(error) and done.stderr.count("\n") == (1 if error else 0)
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(script: Path) -> None:
    for arguments in (
        ["do", "bug", "--debug"],
        ["--debug", "do", "bug"],
        ["do", "user", "--debug"],
    ):
        done = call(script, *arguments)
        assert done.returncode != 0 and "Traceback" in done.stderr


def test_help_version_and_no_command(script: Path) -> None:
    assert call(script, "-h").stdout == call(script, "--help").stdout
    done = call(script, "--help")
    assert done.returncode == 0 and "Do it." in done.stdout and done.stderr == ""
    assert call(script, "--version").stdout.startswith("demo 0.")
    bare = call(script)
    assert bare.returncode == 2 and bare.stdout == "" and bare.stderr == done.stdout
    assert call(script, "sub", "inner").stdout == "hello\n"
    bare = call(script, "sub")
    assert bare.returncode == 2 and bare.stderr == call(script, "sub", "--help").stdout


def test_json_logs(script: Path) -> None:
    done = call(script, "do", "user", "--log-json")
    entry = json.loads(done.stderr)
    assert entry["level"] == "error" and entry["message"] == "bad input [31m"
    assert entry["time"].endswith("Z") and done.returncode == 2


def test_json_output_is_utf8_whatever_the_locale(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script), "do", "json"],
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    )
    assert json.loads(done.stdout.decode("utf-8")) == {"text": "你好", "nan": None}
    assert "你好".encode() in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of a Unix shell")
def test_a_closed_pipe_is_quiet(script: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' '{script}' do many | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n141\n" and done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])  # the error comes from the buffer, or at once
def test_a_full_disk_behind_stdout(script: Path, unbuffered: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, str(script), "do", "json"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2 and "no space left" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a Unix process")
def test_a_terminated_command_leaves_no_temporary_file(tmp_path: Path) -> None:
    code = """
import sys, time
from mingtok_audio.core.cli import make_app, run
from mingtok_audio.core.files import atomic_write
app = make_app("demo", "A demonstration.")
@app.command()
def wait(path: str):
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        print("ready", flush=True)
        time.sleep(60)
run(app)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "wait", str(tmp_path / "a.bin")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    assert len(names(tmp_path)) == 1
    process.terminate()
    assert process.wait(timeout=30) == 143
    assert names(tmp_path) == [] and process.communicate()[1] == ""


def test_emit_json_converts(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    @dataclass
    class Row:
        path: Path
        values: np.ndarray
        flag: np.bool_

    emit_json(
        [Row(Path("a/b"), np.array([1.0, np.inf]), np.bool_(True)), torch.tensor(2), {3: (4,)}]
    )
    expected = [{"path": "a/b", "values": [1.0, None], "flag": True}, 2, {"3": [4]}]
    assert json.loads(capsysbinary.readouterr().out) == expected


def test_progress_without_a_terminal_is_plain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup_logging()
    clock = iter(range(0, 1000, 6))
    monkeypatch.setattr("mingtok_audio.core.cli.output.time.monotonic", lambda: float(next(clock)))
    with progress("encoding", 4, "files") as bar:
        for _ in range(4):
            bar.advance()
    out = capsys.readouterr()
    assert out.out == "" and out.err == "encoding: 2/4 files\nencoding: 4/4 files\n"
    with progress("encoding", 4, enabled=False) as bar:
        bar.advance(4)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    from mingtok_audio.core.cli import logs

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(logs.state, "console", None)
    monkeypatch.setenv("TERM", "xterm")
    with progress("encoding", 4, "files") as bar:
        bar.advance(2)
        bar.describe("still encoding")
    assert "encoding" in terminal.getvalue() and "\x1b[" in terminal.getvalue()


def test_warnings_become_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("two\nlines", UserWarning, "x.py", 3)
        warnings.showwarning("for developers", FutureWarning, "x.py", 3)
    assert capsys.readouterr().err == "warning: two lines\n"


def test_one_line() -> None:
    assert one_line("a\n\tb\x1b[0m  c\u2028d") == "a b [0m c d"
    assert len(one_line("x" * 5000)) == 2000


# ---------------------------------------------------------------------------------------------
# files


def test_atomic_write(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".bin"
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new" and names(tmp_path) == ["a.bin"]
    path.chmod(0o600)
    atomic_write_text(path, "ü")
    assert path.read_bytes() == b"\xc3\xbc" and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
        raise KeyError("x")
    with (
        pytest.raises(UserError, match=r"cannot write .*a.bin: no such file"),
        atomic_write(path) as temporary,
    ):
        temporary.unlink()
    with pytest.raises(FileNotFoundError), atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
        Path(tmp_path / "input").read_bytes()  # not about the output
    with pytest.raises(UserError, match=r"no space left"), atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
        raise OSError(28, "No space left on device")
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a.bin"]


def test_atomic_write_refuses_what_is_no_file_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for bad, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "x", "does not exist"),
        (tmp_path / "file" / "x", "is not a folder"),
        ("a\0b", "not a file name"),
    ):
        with pytest.raises(UserError, match=message):
            atomic_write_bytes(bad, b"x")


@pytest.mark.skipif(sys.platform == "win32", reason="Unix links and devices")
def test_atomic_write_follows_links_and_spares_devices(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "a.txt")
    atomic_write_bytes(tmp_path / "link.txt", b"x")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_bytes() == b"x"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE)
    atomic_write_bytes(fifo, b"through")
    assert reader.communicate(timeout=10)[0] == b"through" and fifo.is_fifo()
    atomic_write_bytes("/dev/null", b"gone")
    assert Path("/dev/null").is_char_device()


# ---------------------------------------------------------------------------------------------
# inputs and outputs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.wav", "a.FLAC", "sub/c.wav", ".hidden.wav", ".git/x.wav", "note.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "void").mkdir()
    return tmp_path


def test_inputs(tree: Path) -> None:
    suffixes = (".wav", ".flac")
    items = collect_inputs([str(tree)], suffixes)
    assert [str(i.relative) for i in items] == ["a.FLAC", "b.wav", "sub/c.wav"]
    named = collect_inputs([str(tree / "note.txt"), str(tree / "b.wav")], suffixes)
    assert [i.name for i in named] == [str(tree / "note.txt"), str(tree / "b.wav")]
    twice = collect_inputs(
        [str(tree / "b.wav"), str(tree), str(tree / "sub" / ".." / "b.wav")], suffixes
    )
    assert [i.name for i in twice][:1] == [str(tree / "b.wav")] and len(twice) == 3
    (stdin,) = collect_inputs(["-"], suffixes)
    assert stdin.is_stdin and stdin.name == "-" and stdin.path is None


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "no input given"),
        (["-", "b.wav"], "must be the only input"),
        (["missing.wav"], "there is no file or folder 'missing.wav'"),
        ([""], "there is no file or folder ''"),
        (["void"], "holds no files of the kind .wav"),
        (["a\0b"], "there is no file or folder"),
        (["x" * 5000], "too long"),
    ],
)
def test_inputs_that_are_none(
    tree: Path, inputs: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    with pytest.raises(UserError, match=message):
        collect_inputs(inputs, (".wav",))


def test_outputs(tree: Path) -> None:
    items = collect_inputs([str(tree)], (".wav", ".flac"))
    out = tree / "out"
    assert output_paths(items, out, ".mtok") == [
        out / "a.mtok", out / "b.mtok", out / "sub" / "c.mtok",
    ]  # fmt: skip
    beside = output_paths(items, None, ".mtok")
    assert beside == [tree / "a.mtok", tree / "b.mtok", tree / "sub" / "c.mtok"]
    one = items[1:2]
    assert output_paths(one, tree / "x.mtok", ".mtok") == [tree / "x.mtok"]
    assert output_paths(one, out, ".mtok") == [out / "b.mtok"]
    assert output_paths(one, f"{tree}/dots.in.name/", ".mtok") == [tree / "dots.in.name" / "b.mtok"]
    assert output_paths(one, tree / "void", ".mtok") == [tree / "void" / "b.mtok"]
    assert output_paths(one, tree / "plain", ".mtok", folder=False) == [tree / "plain"]


def test_outputs_that_would_harm(tree: Path) -> None:
    items = collect_inputs([str(tree)], (".wav", ".flac"))
    with pytest.raises(UserError, match=r"would overwrite an input"):
        output_paths(items, None, ".wav")
    with pytest.raises(UserError, match=r"would overwrite an input"):
        output_paths(items[1:2], tree / "void" / ".." / "b.wav", ".wav")
    with pytest.raises(UserError, match=r"cannot go into the one file"):
        output_paths(items, tree / "x.mtok", ".mtok", folder=False)
    with pytest.raises(UserError, match=r"must be a folder, and is a file"):
        output_paths(items, tree / "note.txt", ".mtok")
    (tree / "b.flac").touch()
    items = collect_inputs([str(tree)], (".wav", ".flac"))
    with pytest.raises(UserError, match=r"b.flac and .*b.wav would both be written to"):
        output_paths(items, tree / "out", ".mtok")
    with pytest.raises(UserError, match=r"standard input needs an output"):
        output_paths(collect_inputs(["-"], ()), None, ".mtok")


def test_doctor_report(tmp_path: Path) -> None:
    from mingtok_audio.plugins import make_host

    report = doctor_report(["mingtok-audio"], [make_host()])
    assert report["ok"] and report["packages"]["mingtok-audio"]
    assert report["libraries"]["torch"] == torch.__version__ or report["libraries"]["torch"]
    assert report["plugins"]["mingtok_audio.plugins"]["ok"] >= 3
    report = doctor_report(["no-such-package"], weights={"nano": tmp_path})
    assert not report["ok"]
    assert report["problems"][0] == "no-such-package is not installed"
    assert "the weights nano are damaged" in report["problems"][1]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_end_without_a_traceback(closing: str, tmp_path: Path) -> None:
    script = "from mingtok_audio.cli import main; main()"
    for words in ("plugins list", "info /no/such/file", "encode - -o x.mtok"):
        command = f'"{sys.executable}" -c "{script}" {words} {closing}'
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode in (0, 1, 2)
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    script = "import sys; sys.argv = ['mingtok', 'info', sys.argv[1]]\n"
    script += "from mingtok_audio.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "/no/such/你好.wav"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
