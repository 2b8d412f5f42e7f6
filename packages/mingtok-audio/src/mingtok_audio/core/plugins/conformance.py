"""Running conformance kits: each check on its own, a failure is a result and not an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mingtok_audio.core.errors import one_line
from mingtok_audio.core.plugins.specs import CheckResult


class CheckFailed(Exception):  # noqa: N818 - it reads as a verdict, not as an error
    """Raised inside a check: the implementation breaks the rule, in words."""


def require(condition: bool, message: str) -> None:
    """Fail the running check with `message` unless `condition` holds."""
    if not condition:
        raise CheckFailed(message)


def run_checks(checks: Iterable[tuple[str, Callable[[], str | None]]]) -> list[CheckResult]:
    """Run named checks in order; each returns a detail (or None), or raises `CheckFailed`.

    Anything else that a check raises comes from the implementation under test and fails it too.
    """
    results = []
    for name, check in checks:
        try:
            results.append(CheckResult(name, True, check() or ""))
        except CheckFailed as error:
            results.append(CheckResult(name, False, str(error)))
        except Exception as error:
            detail = one_line(f"it raises {type(error).__name__}: {error}", limit=400)
            results.append(CheckResult(name, False, detail))
    return results
