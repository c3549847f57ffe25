import os

import pytest

from helm.fetch import helm_binary
from stack.errors import StackError


@pytest.fixture(scope="session")
def helm() -> None:
    """A Helm that can be run; fetched where it is not here."""
    try:
        helm_binary(print)
    except StackError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
