"""What the tests of reading share: the message and the place of a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from meshbox.policy.problem import PolicyError
from tests.policy.build import document


def refusal(**sections: Any) -> str:
    with pytest.raises(PolicyError) as error:
        document(**sections)
    assert error.value.spot is not None
    return str(error.value)
