import pytest


@pytest.fixture(autouse=True, scope="module")
def one_thread(one_torch_thread: None) -> None: ...
