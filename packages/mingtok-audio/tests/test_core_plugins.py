"""The plugin host: built-ins, third parties, and every way a plugin can be broken."""

from __future__ import annotations

import importlib
import json
import logging
import re
import signal
import sys
import textwrap
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mingtok_audio.core.errors import PluginError
from mingtok_audio.core.plugins import ComponentSpec, PluginHost, SlotDef
from mingtok_audio.core.plugins.app import plugins_app
from mingtok_audio.core.plugins.specs import attempt
from mingtok_audio.interfaces import Compressor
from mingtok_audio.plugins import create_compressor, get_host, make_host

HEAD = """
from mingtok_audio.core.plugins import ComponentSpec
from mingtok_audio.hookspecs import hookimpl
"""
GOOD = (
    HEAD
    + """
@hookimpl
def register_components():
    return [ComponentSpec("compressor", "{name}", "{module}_impl:Mine", summary="mine")]
"""
)
IMPL = """
from mingtok_audio.compressors.pooling import PoolingCompressor
class Mine(PoolingCompressor):
    pass
"""


class Site:
    """A folder of installed distributions on the import path."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def install(
        self, distribution: str, module: str, source: str, impl: str | None = IMPL, *,
        version: str = "1.0", group: str = "mingtok_audio.plugins", point: str | None = None,
    ) -> None:  # fmt: skip
        (self.root / f"{module}.py").write_text(textwrap.dedent(source))
        if impl is not None:
            (self.root / f"{module}_impl.py").write_text(textwrap.dedent(impl))
        info = self.root / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[{group}]\n{point or module} = {module}\n")
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.delenv("UNIAUDIO_DISABLE_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("acme"):
            del sys.modules[name]


def status(host: PluginHost) -> dict[str, tuple[str, str]]:
    return {r["name"]: (r["status"], r["error"] or "") for r in host.table()}


def test_built_ins(site: Site) -> None:
    host = make_host()
    assert host.names("compressor") == [
        "aggregator",
        "cross_attention",
        "linear_pooling",
        "pooling",
    ]
    for row in host.table():
        assert set(row) == {
            "slot", "name", "distribution", "version", "api_version", "status", "error", "summary"
        }  # fmt: skip
        assert row["distribution"] == "mingtok-audio" and row["api_version"] == 1
        assert row["error"] is None and row["summary"] and row["version"]
    assert issubclass(host.resolve("compressor", "pooling"), Compressor)
    assert host.resolve("compressor", "pooling") is host.resolve("compressor", "pooling")
    assert host.warnings() == []
    json.dumps(host.table())


def test_a_third_party_plugin(site: Site) -> None:
    site.install("acme-pool", "acme_pool", GOOD.format(name="acme", module="acme_pool"))
    host = make_host()
    (loaded,) = [s for s in host.specs("compressor") if s.spec.name == "acme"]
    assert (loaded.distribution, loaded.version, loaded.status) == ("acme-pool", "1.0", "ok")
    assert "acme_pool" in sys.modules and "acme_pool_impl" not in sys.modules  # imported on use
    built = host.create("compressor", "acme", in_dim=4, patch_size=2)
    assert "acme_pool_impl" in sys.modules and built.out_dim == 4
    assert built.component_options == {"in_dim": 4, "patch_size": 2}
    loaded, results = host.validate("acme")
    assert loaded.distribution == "acme-pool" and all(r.ok for r in results)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", r"it called sys.exit\(3\)"),
        ("import sys; sys.exit('bye')", r"it called sys.exit\('bye'\)"),
        ("def (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("class Odd(BaseException): pass\nraise RuntimeError('a\\nb')", "RuntimeError: a b"),
        ("x = 1", "it has no hook: define register_components"),
        ("register_components = 3", "it has no hook"),
        (
            HEAD + "@hookimpl\ndef register_everything(): return []",
            "unknown hook 'register_everyth",
        ),
        (HEAD + "@hookimpl\ndef register_components(extra): return []", "PluginValidationError"),
        (
            HEAD + "@hookimpl\ndef register_components(): return None",
            "returned NoneType, not a list",
        ),
        (
            HEAD + "@hookimpl\ndef register_components(): return 'pooling'",
            "returned str, not a list",
        ),
        (HEAD + "@hookimpl\ndef register_components(): return [1]", "returned a int, not Comp"),
        (
            HEAD + "@hookimpl\ndef register_components(): return [ComponentSpec(1, 2, 3)]",
            "fields of a wrong type",
        ),
        (HEAD + "@hookimpl\ndef register_components(): raise KeyError('x')", "KeyError: 'x'"),
        (HEAD + "@hookimpl\ndef register_components(): yield 1", "returned generator, not a list"),
    ],
)
def test_a_broken_plugin_breaks_nothing_else(
    site: Site, source: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("acme-bad", "acme_bad", source)
    site.install("acme-good", "acme_good", GOOD.format(name="good", module="acme_good"))
    host = make_host()
    table = status(host)
    assert table["acme_bad"][0] == "broken"
    assert re.search(error, table["acme_bad"][1])
    assert table["good"] == table["pooling"] == ("ok", "")
    (row,) = [r for r in host.table() if r["name"] == "acme_bad"]
    assert row["slot"] is None and row["api_version"] is None
    assert row["distribution"] == "acme-bad" and row["version"] == "1.0"
    shown: list[str] = []
    monkeypatch.setattr(
        logging.getLogger("mingtok_audio.plugins"), "warning", lambda _, line: shown.append(line)
    )
    host.resolve("compressor", "pooling")
    host.resolve("compressor", "good")
    assert len(shown) == 1 and "acme-bad 1.0" in shown[0]  # once
    with pytest.raises(PluginError, match=r"plugin 'acme_bad' of acme-bad 1.0"):
        host.validate("acme_bad")


def test_the_marker_may_be_missing(site: Site) -> None:
    source = """
        import pluggy
        from mingtok_audio.core.plugins import ComponentSpec
        {0}
        def register_components():
            return [ComponentSpec("compressor", "{1}", "{1}_impl:Mine")]
    """
    site.install("acme-bare", "acme_bare", source.format("", "acme_bare"))
    marker = '@pluggy.HookimplMarker("another_project")'
    site.install("acme-other", "acme_other", source.format(marker, "acme_other"))
    host = make_host()
    assert status(host)["acme_bare"] == status(host)["acme_other"] == ("ok", "")
    assert host.create("compressor", "acme_bare", in_dim=2).out_dim == 2


def spec_source(arguments: str) -> str:
    return HEAD + (
        "@hookimpl\ndef register_components():\n"
        f"    return [ComponentSpec({arguments}),\n"
        '            ComponentSpec("compressor", "fine", "acme_spec_impl:Mine")]\n'
    )


@pytest.mark.parametrize(
    ("arguments", "name", "error"),
    [
        ('"compresor", "x", "m:C"', "x", "slot 'compresor' is unknown; did you mean 'compressor'?"),
        ('"compressor", "X y", "m:C"', "X y", "is not lower case letters"),
        ('"compressor", "x", "m.C"', "x", "not of the form package.module:Class"),
        ('"compressor", "x", "m:C()"', "x", "not of the form package.module:Class"),
        ('"compressor", "x", "m:C", 2', "x", "version 2 of the compressor interface; this mingtok"),
    ],
)
def test_one_bad_spec_leaves_the_plugins_others(
    site: Site, arguments: str, name: str, error: str
) -> None:
    site.install("acme-spec", "acme_spec", spec_source(arguments))
    host = make_host()
    assert status(host)[name][0] == "broken" and error in status(host)[name][1]
    assert status(host)["fine"] == ("ok", "")
    with pytest.raises(PluginError):
        host.resolve("compressor", name)
    host.resolve("compressor", "fine")


@pytest.mark.parametrize(
    ("impl", "error"),
    [
        (None, "cannot be imported: ModuleNotFoundError"),
        ("x = 1", "cannot be imported: AttributeError"),
        ("raise SystemExit(1)", "cannot be imported: it called sys.exit"),
        ("class Mine: pass", "is not a subclass of mingtok_audio.interfaces:Compressor"),
        ("Mine = 3", "is not a subclass"),
        (
            "from mingtok_audio.interfaces import Compressor\nclass Mine(Compressor): pass",
            "lacks forward",
        ),
    ],
)
def test_a_class_that_does_not_fit_is_refused_on_first_use(
    site: Site, impl: str | None, error: str
) -> None:
    site.install("acme-pool", "acme_pool", GOOD.format(name="acme", module="acme_pool"), impl)
    host = make_host()
    assert status(host)["acme"] == ("ok", "")  # nobody looked yet
    for _ in range(2):
        with pytest.raises(PluginError, match=error) as caught:
            host.resolve("compressor", "acme")
        assert "compressor 'acme' of acme-pool 1.0 is broken" in str(caught.value)
    assert status(host)["acme"][0] == "broken"
    host.resolve("compressor", "pooling")


def test_two_plugins_with_one_name(site: Site) -> None:
    site.install("acme-one", "acme_one", GOOD.format(name="twin", module="acme_one"))
    site.install("acme-two", "acme_two", GOOD.format(name="twin", module="acme_two"))
    site.install("acme-three", "acme_three", GOOD.format(name="single", module="acme_three"))
    host = make_host()
    with pytest.raises(
        PluginError, match=r"acme-one 1.0 and acme-two 1.0|acme-two 1.0 and acme-one"
    ):
        host.resolve("compressor", "twin")
    assert [r["status"] for r in host.table() if r["name"] == "twin"] == ["broken", "broken"]
    host.resolve("compressor", "single")
    host.resolve("compressor", "pooling")


def test_a_refused_spec_does_not_hide_a_good_one(site: Site) -> None:
    old = GOOD.replace('summary="mine"', "api_version=7").format(name="x", module="acme_old")
    site.install("acme-old", "acme_old", old)
    site.install("acme-new", "acme_new", GOOD.format(name="x", module="acme_new"))
    assert make_host().resolve("compressor", "x").__module__ == "acme_new_impl"


@pytest.mark.parametrize("value", ["acme-bad", "ACME_bad", " other , acme.bad ", "all", "All"])
def test_switched_off_before_import(
    site: Site, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    marker = site.root / "imported"
    site.install("acme-bad", "acme_bad", f"open({str(marker)!r}, 'w'); raise SystemExit")
    monkeypatch.setenv("UNIAUDIO_DISABLE_PLUGINS", value)
    host = make_host()
    assert status(host)["acme_bad"] == ("disabled", "switched off by UNIAUDIO_DISABLE_PLUGINS")
    assert not marker.exists() and host.warnings() == []
    assert len(host.names("compressor")) == 4
    with pytest.raises(PluginError, match=r"switched off by UNIAUDIO_DISABLE_PLUGINS: acme-bad"):
        host.resolve("compressor", "acme")
    monkeypatch.setenv("UNIAUDIO_DISABLE_PLUGINS", "acme")  # another distribution
    assert status(make_host())["acme_bad"][0] == "broken" and marker.exists()


def test_what_a_plugin_prints_stays_out_of_stdout(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    source = "print('hello from acme')\n" + GOOD.format(name="acme", module="acme_pool")
    site.install("acme-pool", "acme_pool", source, "print('and again')\n" + textwrap.dedent(IMPL))
    make_host().resolve("compressor", "acme")
    out = capsys.readouterr()
    assert out.out == "" and "hello from acme" in out.err and "and again" in out.err


def test_damaged_metadata_hides_no_other_plugin(site: Site) -> None:
    site.install("acme-pool", "acme_pool", GOOD.format(name="acme", module="acme_pool"))
    broken = site.root / "acme_broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[mingtok_audio.plugins\nnonsense")
    (site.root / "nothing-1.0.dist-info").mkdir()
    importlib.invalidate_caches()
    assert status(make_host())["acme"] == ("ok", "")


def test_names_and_slots_that_are_not_there() -> None:
    host = make_host()
    with pytest.raises(PluginError, match=r"no compressor 'poling'; did you mean 'pooling'"):
        host.resolve("compressor", "poling")
    with pytest.raises(PluginError, match=r"no slot 'compresor'.*did you mean 'compressor'"):
        host.resolve("compresor", "pooling")
    with pytest.raises(PluginError, match=r"no slot"):
        host.specs("judge")
    with pytest.raises(PluginError, match=r"no component 'poling'; did you mean 'pooling'"):
        host.validate("poling")
    assert host.validate("compressor:pooling")[0].spec.name == "pooling"


def test_options_are_checked() -> None:
    with pytest.raises(PluginError, match=r"no option 'in_dims'; did you mean 'in_dim'"):
        create_compressor("pooling", in_dims=3)
    with pytest.raises(PluginError, match=r"needs the option 'in_dim'"):
        create_compressor("pooling")
    with pytest.raises(PluginError, match=r"patch_size must be a whole number from 1, not 0"):
        create_compressor("pooling", in_dim=3, patch_size=0)
    with pytest.raises(PluginError, match=r"multiple of num_heads"):
        create_compressor("cross_attention", in_dim=8, width=10)


def test_another_package_has_a_host_of_its_own(site: Site) -> None:
    """As uniaudio_lm, uniaudio_edit and audio_eval do: their group, their slots."""
    (site.root / "acme_specs.py").write_text(
        textwrap.dedent("""
        import pluggy
        hookspec = pluggy.HookspecMarker("acme_package")
        hookimpl = pluggy.HookimplMarker("acme_package")
        @hookspec
        def register_components():
            '''Components.'''
        class Judge:
            pass
    """)
    )
    source = """
        from mingtok_audio.core.plugins import ComponentSpec
        from acme_specs import hookimpl
        @hookimpl
        def register_components():
            return [ComponentSpec("judge", "{0}", "{1}:Mine")]
        from acme_specs import Judge
        class Mine(Judge):
            pass
    """
    (site.root / "acme_builtin.py").write_text(
        textwrap.dedent(source.format("inner", "acme_builtin"))
    )
    site.install("acme-judge", "acme_judge", source.format("outer", "acme_judge"), None,
                 group="acme_package.plugins")  # fmt: skip
    host = PluginHost(
        "acme_package",
        {"judge": SlotDef("acme_specs:Judge")},
        "acme_specs",
        ["acme_builtin"],
        "acme",
    )
    assert host.names("judge") == ["inner", "outer"]
    assert {r["distribution"] for r in host.table()} == {"acme", "acme-judge"}
    assert host.resolve("judge", "outer").__name__ == "Mine"
    with pytest.raises(PluginError, match=r"slot judge has no conformance kit"):
        host.validate("outer")
    assert "outer" not in status(make_host())


def app_of(*hosts: PluginHost) -> typer.Typer:
    return plugins_app(lambda: hosts[0] if len(hosts) == 1 else hosts)


def test_the_commands(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("acme-bad", "acme_bad", "import no_such_module_at_all")
    site.install("acme-lazy", "acme_lazy", GOOD.format(name="lazy", module="acme_lazy"), "1 / 0")
    run = CliRunner().invoke
    app = app_of(make_host())
    rows = json.loads(run(app, ["list", "--json"]).stdout)
    assert {r["name"]: r["status"] for r in rows if r["slot"] != "curation_stage"} == {
        "pooling": "ok", "cross_attention": "ok", "linear_pooling": "ok", "aggregator": "ok",
        "acme_bad": "broken",
        "lazy": "ok",
    }  # fmt: skip
    text = run(app, ["list"])
    assert text.exit_code == 0 and "acme_bad" in text.stdout and "broken" in text.stdout
    doctor = run(app, ["doctor"])  # imports everything, so it finds the second one too
    assert doctor.exit_code == 1
    for part in ("acme-bad", "No module named", "pip uninstall acme-bad", "ZeroDivisionError"):
        assert part in doctor.stdout
    report = json.loads(run(app, ["doctor", "--json"]).stdout)
    assert not report["ok"] and len(report["plugins"]) == len(rows)
    monkeypatch.setenv("UNIAUDIO_DISABLE_PLUGINS", "acme-bad, acme-lzy,acme-lazy")
    report = json.loads(run(app_of(make_host()), ["doctor", "--json"]).stdout)
    assert report["ok"] and "did you mean 'acme-lazy'" in report["notes"][0]
    assert run(app_of(make_host()), ["doctor"]).exit_code == 0


def test_validate_from_the_command_line(site: Site) -> None:
    bad = """
        from mingtok_audio.compressors.pooling import PoolingCompressor
        class Mine(PoolingCompressor):
            def forward(self, features, lengths=None):
                patches, counts = super().forward(features, lengths)
                return patches.flip(1), counts
    """
    site.install("acme-pool", "acme_pool", GOOD.format(name="acme", module="acme_pool"), bad)
    run = CliRunner().invoke
    app = app_of(make_host())
    done = run(app, ["validate", "acme"])
    assert done.exit_code == 1 and "FAIL  causality" in done.stdout
    report = json.loads(run(app, ["validate", "acme", "--json"]).stdout)
    assert not report["ok"] and report["distribution"] == "acme-pool"
    assert {c["check"]: c["ok"] for c in report["checks"]}["causality"] is False
    for name in ("pooling", "cross_attention", "compressor:linear_pooling"):
        done = run(app, ["validate", name])
        assert done.exit_code == 0 and "passes all" in done.stdout
    with pytest.raises(PluginError, match=r"no component 'poling'"):
        run(app, ["validate", "poling"], catch_exceptions=False)
    two = app_of(make_host(), make_host())
    with pytest.raises(PluginError, match=r"say which"):
        run(two, ["validate", "pooling"], catch_exceptions=False)


def test_the_process_has_one_host() -> None:
    assert get_host() is get_host()
    assert ComponentSpec("a", "b", "c:d") == ComponentSpec("a", "b", "c:d", 1, "")


def test_a_built_in_keeps_its_name(site: Site) -> None:
    site.install("acme-thief", "acme_thief", GOOD.format(name="pooling", module="acme_thief"), "")
    host = make_host()
    assert host.resolve("compressor", "pooling").__module__ == "mingtok_audio.compressors.pooling"
    (refused,) = [s for s in host.specs("compressor") if s.distribution == "acme-thief"]
    assert refused.status == "broken"
    assert "built-in of mingtok-audio" in refused.error


def test_two_strangers_of_one_name_are_both_refused(site: Site) -> None:
    for name in ("acme-one", "acme-two"):
        module = name.replace("-", "_")
        site.install(name, module, GOOD.format(name="shared", module=module), "")
    host = make_host()
    with pytest.raises(PluginError, match=r"acme-one.* and acme-two"):
        host.resolve("compressor", "shared")


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(3)", "BaseException('x')"])
def test_whatever_a_plugin_raises_is_listed(site: Site, raised: str) -> None:
    site.install("acme-rude", "acme_rude", f"raise {raised}")
    host = make_host()
    assert host.resolve("compressor", "pooling")
    (broken,) = [s for s in host.specs() if s.distribution == "acme-rude"]
    assert broken.status == "broken"


def test_ctrl_c_of_the_user_is_passed_on() -> None:
    def slow() -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        attempt(slow)
    assert signal.getsignal(signal.SIGINT) is before
