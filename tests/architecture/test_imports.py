"""What may import what, and what importing costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted((ROOT / "packages").iterdir())
SOURCES = sorted((ROOT / "packages").glob("*/src/**/*.py"))

FORBIDDEN = {
    "flash_attn", "torchcodec", "deepspeed", "diffusers", "x_transformers", "torchtune",
    "pickle", "cPickle", "dill", "joblib", "cloudpickle", "marshal", "shelve",
}  # fmt: skip
# What a command may not pay for before it knows that it needs it.
HEAVY = ("torch", "transformers", "librosa", "onnxruntime", "torchaudio", "scipy", "pandas")


def modules_of(code: str) -> set[str]:
    """Top-level modules that are loaded after running `code` in a process of its own."""
    tail = (
        "\nimport sys, json\n"
        "print('\\n' + json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def scripts() -> list[tuple[str, str]]:
    found = []
    for package in PACKAGES:
        project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
        found += project.get("scripts", {}).items()
    return sorted(found)


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(("script", "target"), scripts())
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_imports_nothing_heavy(script: str, target: str, arguments: list[str]) -> None:
    module, function = target.split(":")
    code = (
        f"import sys; sys.argv = {[script, *arguments]!r}\n"
        f"from {module} import {function}\n"
        f"try: {function}()\nexcept SystemExit: pass"
    )
    loaded = modules_of(code)
    assert not loaded & {*HEAVY, "numpy", "soundfile", "huggingface_hub"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_importing_a_package_is_cheap(package: Path) -> None:
    name = package.name.replace("-", "_")
    assert not modules_of(f"import {name}") & {*HEAVY, "numpy", "typer", "rich"}


def test_importing_core_is_cheap() -> None:
    core = ROOT / "packages" / "mingtok-audio" / "src" / "mingtok_audio" / "core"
    names = [
        ".".join(("mingtok_audio.core", *p.relative_to(core).with_suffix("").parts))
        for p in core.rglob("*.py")
        if p.stem != "__init__"
    ]
    assert len(names) > 10
    loaded = modules_of("import " + ", ".join(names))
    assert not loaded & {*HEAVY, "rich", "soundfile", "soxr", "safetensors", "huggingface_hub"}


def test_listing_plugins_imports_no_torch() -> None:
    assert not modules_of("from mingtok_audio.plugins import get_host; get_host().table()") & {
        *HEAVY
    }


def test_lazy_names_exist() -> None:
    import mingtok_audio

    assert set(mingtok_audio.__all__) <= set(dir(mingtok_audio))
    for name in mingtok_audio.__all__:
        assert getattr(mingtok_audio, name) is not None
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'"):
        mingtok_audio.nothing  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_versions_agree(package: Path) -> None:
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert metadata.version(project["name"]) == project["version"]
    name = package.name.replace("-", "_")
    code = f"import {name}; print({name}.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == project["version"]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def forbidden_use(tree: ast.AST) -> Iterator[str]:
    """Calls and names that have no place in this project, with their lines."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{line}: bare except"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in ("torch.load", "torch.save", "os.chdir", "sys.path", "os.system"):
                yield f"{line}: {name}"
        if isinstance(node, ast.Name) and node.id in ("NotImplementedError", "eval", "exec"):
            yield f"{line}: {node.id}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "packages")))
def test_sources_keep_the_rules(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert not set(imports(tree)) & FORBIDDEN
    # Module level only: what is heavy is imported inside the functions of a command line.
    if source.name in ("cli.py", "plugins.py", "hookspecs.py", "__init__.py"):
        assert not set(imports(ast.Module(module_level(tree), []))) & set(HEAVY)
    found = list(forbidden_use(tree))
    if source.name == "cluster.py":  # a process that Ray starts for us, in a folder of its own
        found = [use for use in found if not use.endswith(" os.chdir")]
    if source.name == "wavlm_ecapa.py":  # a command that converts a published file, read as tensors
        assert text.count("torch.load(") == text.count("weights_only=True)") == 1
        found = [use for use in found if not use.endswith(" torch.load")]
    assert found == []
    assert "/work/" not in text and "/home/" not in text


def module_level(tree: ast.Module) -> list[ast.stmt]:
    def type_checking(node: ast.stmt) -> bool:
        return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)

    return [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) and not type_checking(node)
    ]


def test_the_rules_catch_what_they_are_for() -> None:
    bad = ast.parse(
        "import pickle\ntry:\n    torch.load(x)\nexcept:\n    raise NotImplementedError"
    )
    assert set(imports(bad)) & FORBIDDEN == {"pickle"}
    assert [use.split(": ")[1] for use in forbidden_use(bad)] == [
        "bare except", "torch.load", "NotImplementedError",
    ]  # fmt: skip


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_dependencies_keep_the_rules(package: Path) -> None:
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    wanted = [*project["dependencies"], *(d for extra in extras for d in extra)]
    names = {d.split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip() for d in wanted}
    assert not {n.replace("-", "_") for n in names} & FORBIDDEN
    assert project["requires-python"] == ">=3.11"


def test_types_are_checked_in_every_package() -> None:
    """pyright takes no pattern such as packages/*/src, finds nothing, and calls that success."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {f"packages/{package.name}/src" for package in PACKAGES}
    assert set(project["tool"]["pyright"]["include"]) == wanted
