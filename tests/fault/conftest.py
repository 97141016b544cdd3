import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from lab import Lab  # noqa: E402


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=3, is_populated=True)
    yield made
    made.down()
