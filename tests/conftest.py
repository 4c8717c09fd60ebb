"""Fixtures that more than one folder of tests uses, and the order of the files; the servers lie in tests/servers/."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

pytest_plugins = [f"tests.servers.{name}" for name in ("shared", "kafka", "postgres", "prefect")]

# Those of half a minute and more, the longest first: begun last, they would run on alone. From `pytest --durations=150`.
LONG = [
    "models/test_training.py",
    "ingest/test_processes.py",
    "deploy/test_stack.py",
    "flows/test_deployments.py",
    "page/test_desk.py",
    "flows/test_pull.py",
    "flows/test_export.py",
    "flows/test_alert.py",
    "flows/test_maintain.py",
    "flows/test_recode.py",
    "deploy/helm/test_work_pool.py",
    "faults/test_faults.py",
    "security/test_secured.py",
    "models/test_same_events.py",
    "ingest/test_run.py",
    "ingest/test_crashes.py",
    "deploy/upgrade/test_upgrade.py",
    "ingest/test_whole_way.py",
    "ingest/broker/test_kafka.py",
    "ingest/test_memory.py",
    "ingest/test_cli_pipeline.py",
    "ingest/test_tail.py",
    "ingest/test_health.py",
    "ingest/broker/test_processes.py",
    "security/test_terminal.py",
    "ingest/test_shutdown.py",
    "models/test_coder.py",
    "page/test_report.py",
    "ingest/feeds/test_parse.py",
    "ingest/feeds/test_pull.py",
    "ingest/broker/test_contract.py",
    "ingest/storage/test_apply.py",
    "ingest/api/test_stream.py",
    "ingest/test_cli.py",
    "ingest/test_worker.py",
    "deploy/monitoring/test_monitoring.py",
    "ingest/test_cli_feeds.py",
]


# What `make test` leaves to `make test-all`, so that it ends within a quarter of an hour on two cores: ten seconds of
# processor and more, and what it promises is also seen, in smaller, by a test that stays.
SLOW = {
    "bench/test_accuracy.py": ["test_the_page_and_its_pictures_are_the_same_each_time"],
    "deploy/monitoring/test_monitoring.py": ["test_alerts_fire_when_they_shall_and_only_then[rate_test.yml]"],
    "deploy/test_stack.py": [""],
    "deploy/helm/test_work_pool.py": ["test_the_hook_makes_the_pool_and_the_deployments_on_a_real_server"],
    "deploy/upgrade/test_upgrade.py": [
        "test_workers_that_cannot_write_to_the_new_tables_end_with_nothing_lost",
        "test_the_way_back_is_over_the_tables_first",
    ],
    "faults/test_faults.py": ["test_kafka_and_postgresql_keep_every_promise_under_each_kind_of_fault"],
    "flows/test_deployments.py": ["test_runs_by_hand_and_for_days_gone_by_go_on_while_the_schedules_are_paused"],
    "ingest/api/test_schema.py": [
        "test_the_api_can_be_asked_anything_and_keeps_its_schema[sqlite-positive",
        "test_the_api_can_be_asked_anything_and_keeps_its_schema[postgres-negative",
    ],
    "ingest/api/test_stream.py": [
        "test_a_follower_gets_what_becomes_known_once_and_resumes_where_it_was_across_a_restart[sqlite",
        "test_one_that_takes_nothing_keeps_nobody_waiting_and_the_server_ends_at_once[sqlite",
        "test_what_no_filter_can_be_is_refused[sqlite",
    ],
    "ingest/broker/test_kafka.py": ["test_tls_with_client_certificates_and_scram_can_be_required"],
    "ingest/broker/test_processes.py": [
        "test_workers_killed_at_any_time_lose_nothing_and_double_nothing[kafka]",
    ],
    "ingest/test_cli_pipeline.py": ["test_recoding_with_the_same_weights_changes_nothing[embedded]"],
    "ingest/test_cli_shipped.py": ["test_every_text_is_answered_and_every_offset_cuts_what_it_says"],
    "ingest/test_crashes.py": [
        "test_an_article_that_kills_its_worker_is_buried_and_the_others_are_coded[embedded]",
        "test_a_worker_that_is_started_anew_each_time_finds_the_culprit_too",
    ],
    "ingest/feeds/test_discover.py": ["test_hostile_pages_end_in_time[<a ]"],
    "ingest/storage/test_feeds.py": [
        "test_pullers_of_the_same_feeds_do_not_wait_for_each_other_in_a_circle[sqlite]",
    ],
    "ingest/test_health.py": ["test_workers_of_any_number_serve_one_sum_that_outlives_each_of_them[embedded]"],
    "ingest/test_incidents.py": [
        "test_a_keeper_killed_anywhere_publishes_each_revision_once_and_in_order[embedded]",
        "test_batches_and_restarts_change_nothing[2]",
        "test_batches_and_restarts_change_nothing[3]",
    ],
    "ingest/test_memory.py": [
        "test_the_memory_of_the_puller_does_not_grow_with_the_number_of_large_feeds",
        "test_the_memory_of_a_worker_does_not_grow_with_what_lies_in_the_topic[servers]",
    ],
    "ingest/test_processes.py": [
        "test_two_workers_share_500_articles_and_each_event_is_there_once",
        "test_a_worker_killed_between_the_two_commits_loses_nothing_and_doubles_nothing[embedded]",
        "test_a_signal_ends_workers_within_ten_seconds_with_nothing_half_done[embedded-2-130-2]",
        "test_a_signal_ends_workers_within_ten_seconds_with_nothing_half_done[servers-15-0-1]",
        "test_a_worker_of_several_that_is_killed_is_started_again",
        "test_a_worker_killed_in_mid_batch_loses_nothing_and_doubles_nothing[embedded]",
        "test_several_workers_share_what_is_there_and_end_once_it_is_read[embedded]",
    ],
    "ingest/test_run.py": ["test_a_run_stops_cleanly_on_ctrl_c_and_what_is_left_is_done_by_the_next"],
    "ingest/test_tail.py": [
        "test_a_pipe_that_is_closed_amid_many_events_is_no_error[embedded]",
        "test_a_follower_ends_when_nobody_reads_it_though_nothing_happens[embedded]",
    ],
    "ingest/test_whole_way.py": ["test_feeds_become_events_in_the_store_and_on_the_topic"],
    "models/test_coder.py": ["test_events_are_the_same_alone_and_in_a_batch"],
    "models/test_text.py": [
        "test_a_megabyte_of_hostile_text_can_be_cut[U.S. ]",
    ],
    "page/test_report.py": ["test_it_asks_for_nothing_runs_nothing_and_is_accessible"],
    "security/test_secured.py": ["test_no_secret_is_in_any_output_log_dead_letter_or_state_of_a_feed"],
}


# What is collected stays to the end: to look through it for garbage took a quarter of collecting, and some time ever after.
@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for name, starts in SLOW.items():
        path = Path(__file__).parent / name
        for item in items:
            if item.path == path and item.name.startswith(tuple(starts)):
                item.add_marker("slow")
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


class Files(LoadFileScheduling):  # type: ignore[misc]
    """File by file, those with a Prefect server as one: it takes as long to start as most of them together."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "prefect" if "/flows/" in file or file.endswith("test_work_pool.py") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Files:
    return Files(config, log)
