import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from documents import World  # noqa: E402
from installer import Installer  # noqa: E402


@pytest.fixture
def world():
    return World()


@pytest.fixture
def installer(world, tmp_path):
    device = Installer(world, tmp_path)
    yield device
    device.stop()
