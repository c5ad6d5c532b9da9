"""The licences of what is installed are listed."""

import re

from workflow.licences import PAGE, licences, locked


def test_every_locked_package_that_is_installed_is_listed():
    listed = set(re.findall(r"^\| ([a-z0-9-]+) \| (?!licence)", PAGE.read_text(), re.MULTILINE))
    assert licences().keys() - listed == set(), "run: make licences"
    assert listed <= locked()
