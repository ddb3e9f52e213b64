"""How many examples a property is tried with."""

from hypothesis import settings

# Of a property that says nothing of it, in the slow part.
WHOLE = 100


def examples(whole: int) -> settings:
    """The settings of a property that is tried with so many in the slow part, in the quick one with as small a share of them as
    others are.
    """
    assert settings.default is not None
    return settings(max_examples=max(1, whole * settings.default.max_examples // WHOLE))
