"""Fixtures that more than one folder of tests uses; the servers lie in tests/servers/."""

pytest_plugins = ["tests.servers.kafka", "tests.servers.postgres", "tests.servers.prefect"]
