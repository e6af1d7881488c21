import pytest

# Their assertions explain themselves like those of tests.
pytest.register_assert_rewrite("tests.clients.records", "tests.clients.results")
