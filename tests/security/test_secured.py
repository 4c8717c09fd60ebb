"""The whole pipeline on a Kafka that requires TLS, SCRAM and ACLs and on PostgreSQL roles; no secret in what it says."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ingest.broker import Outgoing
from ingest.broker.kafka import KafkaBroker
from ingest.errors import BrokerRejected
from ingest.feeds.catalog import Feed, save_catalog
from ingest.settings import Settings, load_settings
from ingest.storage import Store
from tests.feeds.serve import SampleServer
from tests.ingest.command import Answer, finish, start
from tests.ingest.pipeline import article, as_record
from tests.security.postgres import login
from tests.servers.kafka import require_kafka
from tests.servers.postgres import PostgresServer
from tests.servers.secured import ADMIN, SecuredKafka

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.timeout(240)]

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
ROLES = ("puller", "worker", "keeper", "reader")
USERS = {role: f"kafkaPw-{role}-7Qx" for role in (*ROLES, ADMIN)}
WRONG = "guessedPw-7Qx"
FEED_PASSWORD, FEED_TOKEN = "feedPw-7Qx", "feedToken-7Qx"
PLAIN = ("articles", "events", "articles.dead")


def documented() -> list[tuple[str, str, str, str]]:
    """The table of ACLs in docs/security.md."""
    row = re.compile(r"^\| (puller|worker|keeper|reader) \| (\w+) \| (\w+) \| `([^`]+)` \|", re.M)
    return row.findall(PAGE.read_text(encoding="utf-8"))


@dataclass
class Secured:
    """The servers, and everything that the program has said on them."""

    kafka: SecuredKafka
    folder: Path
    stores: dict[str, str]
    said: list[str] = field(default_factory=list)

    def settings(self, user: str, **changed: Any) -> Settings:
        kafka = self.kafka.settings(user) | {"session_timeout": 6.0, "connect_timeout": 10.0} | changed
        broker = f"kafka://{self.kafka.bootstrap}"
        store = self.stores.get(user, self.stores["worker"])
        return load_settings(data_dir=self.folder, broker=broker, store=store, kafka=kafka)

    def run(self, user: str, *arguments: str | Path, level: str = "debug", **environment: str) -> Answer:
        """A command as that user of Kafka, with the store's role that goes with it."""
        settings = self.settings(user)
        # Settings show no secret even here, so the password goes in by itself.
        given = {
            "CONFLICTWIRE_KAFKA__PASSWORD": self.kafka.users[user],
            "CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true",
            "CONFLICTWIRE_FETCH__HOST_GAP": "0",
            "CONFLICTWIRE_LOG_LEVEL": level,
            "CONFLICTWIRE_LOG": "json" if len(self.said) % 2 else "text",
        }
        answer = finish(start(settings, *arguments, environment=given | environment))
        self.said += [answer.out, answer.err]
        return answer

    @property
    def secrets(self) -> set[str]:
        stores = {re.search(r":([^:@/]+)@", url)[1] for url in self.stores.values()}  # type: ignore[index]
        return {*USERS.values(), WRONG, FEED_PASSWORD, FEED_TOKEN, *stores}

    def leaked(self, *texts: str) -> list[str]:
        """Where a secret stands in what was said, or in `texts`, a line each."""
        lines = "\n".join([*self.said, *texts]).splitlines()
        return [line for line in lines if any(secret in line for secret in self.secrets)]


@pytest.fixture(scope="module")
def kafka_secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    require_kafka()
    server = SecuredKafka(tmp_path_factory.mktemp("tls"), USERS)
    try:
        server.start()
        server.allow(documented())
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def secured(
    kafka_secured: SecuredKafka, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    database = postgres_server.create_database()
    owner = postgres_server.url(database)
    Store.open(owner).close()
    with (
        login(postgres_server, database, "conflictwire_writer") as writer,
        login(postgres_server, database, "conflictwire_reader") as reader,
    ):
        made = Secured(
            kafka_secured,
            tmp_path_factory.mktemp("secured"),
            {ADMIN: owner, "puller": writer, "worker": writer, "keeper": writer, "reader": reader},
        )
        answer = made.run(ADMIN, "migrate")
        assert answer.code == 0, answer.err
        yield made
    postgres_server.drop_database(database)


@pytest.fixture(scope="module")
def feeds(secured: Secured) -> Iterator[SampleServer]:
    """Sample feeds behind a password and a token, and some that fail."""
    with SampleServer() as server:
        inside = server.url.replace("//", f"//ada:{FEED_PASSWORD}@")
        urls = {
            "password": f"{inside}/sahel-courier.xml",
            "token": f"{server.url}/touchline.xml?token={FEED_TOKEN}",
            "missing": f"{inside}/missing.xml?token={FEED_TOKEN}",
            "closed": f"http://ada:{FEED_PASSWORD}@127.0.0.1:9/x.xml?token={FEED_TOKEN}",
            "no-feed": f"{inside}/pages/?token={FEED_TOKEN}",
        }
        save_catalog([Feed(name, url) for name, url in urls.items()], secured.folder / "feeds.toml")
        yield server


def test_puller_worker_and_reader_each_do_their_work_with_their_own_rights(
    secured: Secured, feeds: SampleServer
) -> None:
    pulled = secured.run("puller", "pull", "--once")
    assert pulled.code == 0, pulled.err
    assert re.search(r"[1-9]\d* new articles", pulled.err), pulled.err
    puller = KafkaBroker(secured.settings("puller")).producer()
    puller.send([as_record(article(1, "POISON: the army killed 3.")), Outgoing("articles", b"k", b"no article")])
    puller.close()
    worked = secured.run("worker", "worker", "--once")
    assert worked.code == 0, worked.err
    tailed = secured.run("reader", "tail", "--no-follow", "--since", "2020-01-01", "--format", "json")
    assert tailed.code == 0, tailed.err
    stored = secured.run("reader", "events", "--limit", "10000", "--format", "json")
    assert sorted(tailed.lines) == sorted(stored.lines)
    assert len(tailed.lines) > 3
    kept = secured.run("keeper", "keep", "--once")
    assert kept.code == 0, kept.err
    incidents = secured.run("reader", "incidents", "--format", "json")
    reader = KafkaBroker(secured.settings("reader")).reader("incidents", "earliest")
    assert (
        {json.loads(line)["incident_id"] for line in incidents.lines}
        <= {(record.key or b"").decode() for record in reader.poll(1000, 10.0)}
        != set()
    )
    reader.close()
    letters = secured.run("reader", "dead", "list", "--format", "json")
    assert {json.loads(line)["stage"] for line in letters.lines} == {"read", "code"}
    for line in letters.lines:
        assert secured.run("reader", "dead", "show", json.loads(line)["id"]).code == 0
    examined = secured.run("reader", "doctor")
    found = dict(re.findall(r"^(?:ok|warn|fail) +(\w+) +(.*)$", examined.out, re.M))
    assert examined.code == 0, examined.out
    assert f"{len(tailed.lines)} events" in found["agreement"]
    assert re.search(r"^[1-9]\d* dead letters", found["dead"])


def send(topic: str) -> Callable[[KafkaBroker], object]:
    return lambda broker: broker.producer().send([Outgoing(topic, b"k", b"v")])


def read(topic: str) -> Callable[[KafkaBroker], object]:
    return lambda broker: broker.reader(topic, "earliest").poll(10, 5.0)


def join(topic: str, group: str) -> Callable[[KafkaBroker], object]:
    return lambda broker: broker.consumer([topic], group).poll(10, 5.0)


def create(broker: KafkaBroker) -> object:
    return broker.ensure_topics({"of-my-own": 1})


@pytest.mark.parametrize(
    ("user", "attempt"),
    [
        ("worker", send("articles")),
        ("worker", read("events")),
        ("worker", join("articles", "others")),
        ("worker", create),
        ("puller", send("events")),
        ("puller", send("articles.dead")),
        ("puller", read("articles")),
        ("puller", join("articles", "coders")),
        ("puller", create),
        ("keeper", send("events")),
        ("keeper", join("articles", "coders")),
        ("keeper", create),
        ("reader", send("incidents")),
        ("reader", join("events", "incidents")),
        ("reader", send("events")),
        ("reader", send("articles")),
        ("reader", read("articles")),
        ("reader", join("events", "coders")),
        ("reader", create),
    ],
)
def test_nobody_can_do_the_work_of_another(
    secured: Secured, user: str, attempt: Callable[[KafkaBroker], object]
) -> None:
    broker = KafkaBroker(secured.settings(user, connect_timeout=5.0, request_timeout=5.0))
    with pytest.raises(BrokerRejected) as raised:
        attempt(broker)
    secured.said.append(str(raised.value))


@pytest.mark.parametrize("user", ROLES)
def test_nobody_can_delete_or_change_topics_and_rights(secured: Secured, user: str) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import (
        ACLFilter,
        ACLOperation,
        ACLPermissionType,
        ACLResourcePatternType,
        ResourcePatternFilter,
        ResourceType,
    )
    from kafka.errors import KafkaError

    admin = KafkaAdminClient(bootstrap_servers=secured.kafka.bootstrap, **secured.kafka.client(user))
    anything = ACLFilter(
        None,
        None,
        ACLOperation.ANY,
        ACLPermissionType.ANY,
        ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
    )
    try:
        with pytest.raises(KafkaError, match=r"(?i)authoriz"):
            admin.delete_topics(["articles"])
        with pytest.raises(KafkaError, match=r"(?i)authoriz"):
            admin.create_partitions({"articles": 64})
        with contextlib.suppress(KafkaError):
            admin.delete_acls([anything])
    finally:
        admin.close()
    root = secured.kafka.admin()
    try:
        assert set(PLAIN) <= set(root.list_topics())
        acls, _ = root.describe_acls(anything)
        assert len(acls) == len(documented())
    finally:
        root.close()


def test_no_secret_is_in_any_output_log_dead_letter_or_state_of_a_feed(secured: Secured, feeds: SampleServer) -> None:
    secured.run("puller", "pull", "--once")
    for arguments in (["feeds", "list"], ["feeds", "list", "--format", "json"], ["feeds", "check"], ["articles"]):
        secured.run("worker", *arguments)
    secured.run("worker", "feeds", "check", "--format", "json")
    worker = secured.stores["worker"]
    password = re.search(r":([^:@/]+)@", worker)[1]  # type: ignore[index]
    wrong_store = worker.replace(password, WRONG)
    nowhere = re.sub(r"@127.0.0.1:\d+", "@127.0.0.1:9", worker)
    guessed = {"CONFLICTWIRE_KAFKA__PASSWORD": WRONG, "CONFLICTWIRE_KAFKA__CONNECT_TIMEOUT": "2"}
    for command, environment in (
        (["pull", "--once"], guessed),
        (["worker", "--once"], guessed),
        (["events"], {"CONFLICTWIRE_STORE": wrong_store}),
        (["doctor"], {"CONFLICTWIRE_STORE": nowhere}),
        (["pull", "--once"], {"CONFLICTWIRE_STORE": worker.replace("//", "/")}),
        (["worker", "--once"], {"CONFLICTWIRE_STORE": worker + "?connect_timeout=soon"}),
        (["tail", "--no-follow"], {"CONFLICTWIRE_BROKER": f"kafka://ada:{WRONG}@127.0.0.1:9"}),
    ):
        assert secured.run("worker", *command, "--debug", **environment).code != 0, command
    secured.run("worker", "doctor", **guessed)
    process = start(
        secured.settings("worker"),
        *("worker", "--once"),
        environment={"CONFLICTWIRE_STORE": wrong_store, "CONFLICTWIRE_KAFKA__PASSWORD": USERS["worker"]},
    )
    answer = finish(process)
    assert answer.code == 3, answer.err
    store = Store.open(secured.stores[ADMIN])
    states = store.feed_states()
    store.close()
    assert states["missing"].last_error
    assert states["closed"].last_error
    leaked = secured.leaked(answer.out, answer.err, repr(states))
    assert not leaked, "\n".join(leaked)
    # Had the secrets not been in use, none could have leaked.
    assert states["password"].last_success
    assert states["token"].last_success
