"""How many examples a property is tried with, in the quick part and in the slow one."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

# Of a property that says nothing of it, in the slow part.
WHOLE = 100


def examples(whole: int) -> settings:
    """The settings of a property that is tried with so many in the slow part, in the quick one with as small a share of them as
    others are.
    """
    assert settings.default is not None
    return settings(max_examples=max(1, whole * settings.default.max_examples // WHOLE))


def quick_or_slow(parameters: Iterable[Any], quick: int) -> list[Any]:
    """Parameters of which the first so many are tried in the quick part, all others in the slow one alone."""

    def marked(it: Any) -> Any:
        return pytest.param(*(it if isinstance(it, tuple) else (it,)), marks=pytest.mark.slow)

    return [it if n < quick else marked(it) for n, it in enumerate(parameters)]
