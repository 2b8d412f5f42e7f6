"""The shape of the code: sizes, import circles, widest commands, files that run for one command.

    python benchmarks/structure.py [--root CHECKOUT] [--runs]

Every import counts for a circle: at the top of a file, inside a function, or for types only.
`--runs` also runs five commands on the example recording and counts the files of the four packages
in which a function was entered, besides module bodies. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = ("mingtok-audio", "uniaudio-lm", "uniaudio-edit", "audio-eval")
COMMANDS = {
    "encode": ["mingtok", "encode", "{wav}", "-o", "{out}/x.mtok"],
    "tts": ["uniaudio", "tts", "Good day to you.", "-o", "{out}/say.wav"],
    "asr": ["uniaudio", "asr", "{wav}"],
    "deletion": [
        "uniaudio",
        "edit",
        "{wav}",
        "delete 'not'",
        "--text",
        "{text}",
        "-o",
        "{out}/e.wav",
    ],
    "score": [
        "audio-eval",
        "score",
        "asr",
        "--refs",
        "{refs}",
        "--hyps",
        "{refs}",
        "-o",
        "{out}/s",
    ],
}
TRACER = """
import atexit, os, sys
files = set()
def profile(frame, event, _):
    if event == "call" and frame.f_code.co_name != "<module>":
        files.add(frame.f_code.co_filename)
def save():
    sys.setprofile(None)
    with open(os.environ["STRUCTURE_TRACE"], "a") as out:
        out.write("".join(f + "\\n" for f in files))
atexit.register(save)
sys.setprofile(profile)
"""


def sources(root: Path) -> dict[str, Path]:
    """Module name to file, of the four packages' src folders."""
    found = {}
    for package in PACKAGES:
        src = root / "packages" / package / "src"
        for path in sorted(src.rglob("*.py")):
            parts = list(path.relative_to(src).with_suffix("").parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, modules: dict[str, Path]) -> set[str]:
    """Modules of ours that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for a in node.names:
                deeper = f"{node.module}.{a.name}"
                found.add(deeper if deeper in modules else node.module)
    return (found & modules.keys()) - {name}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan's algorithm, iterative)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on: set[str] = set()
    out = []
    for start, nearest in graph.items():
        if start in index:
            continue
        work = [(start, iter(sorted(nearest)))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on.add(start)
        while work:
            node, rest = work[-1]
            child = next(rest, None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    group = []
                    while not group or group[-1] != node:
                        group.append(stack.pop())
                        on.discard(group[-1])
                    if len(group) > 1:
                        out.append(sorted(group))
            elif child not in index:
                index[child] = low[child] = len(index)
                stack.append(child)
                on.add(child)
                work.append((child, iter(sorted(graph[child]))))
            elif child in on:
                low[node] = min(low[node], index[child])
    return out


SHARED = 6


def duplicates(modules: dict[str, Path]) -> int:
    """Pairs of places that share six lines or more; imports, docstrings, comments and lines of
    brackets alone do not count, signatures do."""
    where: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    for name, path in modules.items():
        lines = code_lines(path.read_text(encoding="utf-8"))
        for at in range(len(lines) - SHARED + 1):
            where.setdefault(tuple(lines[at : at + SHARED]), []).append((name, at))
    shared: dict[tuple[str, str, int], list[int]] = {}
    for places in where.values():
        for (a, i), (b, j) in itertools.combinations(places, 2):
            if a != b or abs(i - j) >= SHARED:
                shared.setdefault((a, b, i - j), []).append(i)
    # Runs of windows that follow each other are one pair.
    return sum(
        1 + sum(b - a > 1 for a, b in itertools.pairwise(sorted(starts)))
        for starts in shared.values()
    )


def code_lines(text: str) -> list[str]:
    """The lines of a module that count for `duplicates`, without their indentation."""
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if words or isinstance(node, (ast.Import, ast.ImportFrom)):
            skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = (
        line.split("  # ")[0].strip()
        for number, line in enumerate(text.splitlines(), 1)
        if number not in skipped
    )
    return [line for line in lines if line.strip("()[]{},") and not line.startswith("#")]


def widest(root: Path) -> dict[str, int]:
    """Command line to its number of visible options, asked of the installed apps themselves."""
    code = (
        "import json, typer\n"
        "def walk(c, name, out):\n"
        "    subs = getattr(c, 'commands', None)\n"
        "    if subs is None:\n"
        "        opts = [p for p in c.params if p.param_type_name == 'option']\n"
        "        out[name] = len([p for p in opts if not p.hidden])\n"
        "    else:\n"
        "        for n, s in subs.items(): walk(s, f'{name} {n}', out)\n"
        "    return out\n"
        "out = {}\n"
        "import mingtok_audio.cli as a, uniaudio_lm.cli as b, audio_eval.cli as c\n"
        "for n, m in (('mingtok', a), ('uniaudio', b), ('audio-eval', c)):\n"
        "    app = m.app() if callable(m.app) and not isinstance(m.app, typer.Typer) else m.app\n"
        "    walk(typer.main.get_command(app), n, out)\n"
        "try:\n"
        "    import uniaudio_edit.cli as e\n"
        "    walk(typer.main.get_command(e.app), 'uniaudio', out)\n"
        "except Exception: pass\n"
        "print(json.dumps(out))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(root),
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}


def environment(root: Path) -> dict[str, str]:
    src = os.pathsep.join(str(root / "packages" / p / "src") for p in PACKAGES)
    return {**os.environ, "PYTHONPATH": src}


def runs(root: Path) -> dict[str, int]:
    """Files of ours whose functions run for one command each."""
    data = root / "examples" / "data"
    counts = {}
    for name, words in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            refs = out / "refs"
            refs.mkdir()
            text = (data / "librivox_0880.txt").read_text().strip()
            shutil.copy(data / "librivox_0880.wav", refs / "a.wav")
            (out / "sitecustomize.py").write_text(TRACER)
            places = {"wav": data / "librivox_0880.wav", "out": out, "text": text, "refs": refs}
            env = environment(root)
            env["PYTHONPATH"] = f"{out}{os.pathsep}{env['PYTHONPATH']}"
            env["STRUCTURE_TRACE"] = str(out / "trace")
            script = Path(sys.executable).parent / words[0]
            command = [str(script), *(w.format(**places) for w in words[1:])]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                print(f"{name}: {done.stderr.strip()[-300:]}", file=sys.stderr)
                counts[name] = -1
                continue
            files = set((out / "trace").read_text().split("\n"))
            ours = str(root.resolve() / "packages")
            counts[name] = len([f for f in files if f.startswith(ours)])
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--runs", action="store_true")
    args = parser.parse_args()
    modules = sources(args.root)
    sizes: dict[str, list[int]] = {}
    named = []
    for path in modules.values():
        package = path.relative_to(args.root / "packages").parts[0]
        text = path.read_text(encoding="utf-8")
        size = sizes.setdefault(package, [0, 0])
        size[0] += text.count("\n")
        size[1] += 1
        if "denoise" in text.lower():
            named.append(str(path.relative_to(args.root)))
    found = circles({n: imports(n, p, modules) for n, p in modules.items()})
    for package, (lines, files) in sizes.items():
        print(f"{package:15} {lines:7} lines {files:4} modules")
    for circle in found:
        print("circle:", ", ".join(circle))
    options = widest(args.root)
    for command, count in sorted(options.items(), key=lambda x: -x[1])[:5]:
        print(f"{count:3} options: {command}")
    record = {
        "benchmark": "structure",
        "lines": {p: s[0] for p, s in sizes.items()},
        "modules": {p: s[1] for p, s in sizes.items()},
        "circles": [len(c) for c in found],
        "files_naming_denoise": len(named),
        "pairs_of_places_sharing_six_lines": duplicates(modules),
        "widest_command": max(options.items(), key=lambda x: x[1]) if options else None,
        "files_run": runs(args.root) if args.runs else None,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
