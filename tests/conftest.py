"""Temporary folders of a run of its own.

pytest's own place for them, /tmp/pytest-of-USER, is closed to all other users each time a run begins, also for the runs that are
under way: programs that run as users of their own, in folders below it, would suddenly find nothing any more."""
import shutil
import tempfile

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if config.option.basetemp is None:
        config.fleetseal_folder = tempfile.mkdtemp(prefix="fleetseal-pytest-")
        config.option.basetemp = config.fleetseal_folder + "/t"


def pytest_sessionfinish(session, exitstatus):
    """What failed leaves its files."""
    folder = getattr(session.config, "fleetseal_folder", None)
    if folder and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        shutil.rmtree(folder, ignore_errors=True)
