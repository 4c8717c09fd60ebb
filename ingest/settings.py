"""Settings: `conflictwire.toml`, then `CONFLICTWIRE_*`, then command line options, the later winning.

In the environment two underscores stand for the dot: `CONFLICTWIRE_FETCH__ALLOW_PRIVATE=true`. Secrets may lie in files:
`CONFLICTWIRE_KAFKA__PASSWORD_FILE`, `CONFLICTWIRE_STORE_FILE`. They are `SecretStr`, so that no dump or log shows them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from ingest.errors import SettingsError
from models import Profile

CONFIG_FILE = "conflictwire.toml"


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "conflictwire"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Topics(_Section):
    """Names of the topics, and how many partitions a missing one is created with."""

    articles: str = "articles"
    """Every revision of every article, to be coded."""
    events: str = "events"
    """Every revision of every event."""
    dead: str = "articles.dead"
    """Article records that could not be read or coded."""
    incidents: str = "incidents"
    """Every revision of every incident."""
    partitions: Annotated[int, Field(ge=1, le=1000)] = 6
    """Partitions of a topic that is created; an upper bound for the workers that share it."""


class Fetch(_Section):
    """How feeds and pages are fetched. Times in seconds, sizes in bytes."""

    timeout: Annotated[float, Field(gt=0)] = 20.0
    """For one feed or page, redirects included."""
    connect_timeout: Annotated[float, Field(gt=0)] = 10.0
    """For one connection."""
    max_bytes: Annotated[int, Field(gt=0)] = 10_000_000
    """Of a body, after decompression; a larger one is refused."""
    max_redirects: Annotated[int, Field(ge=0)] = 5
    """Followed for one feed or page."""
    concurrency: Annotated[int, Field(ge=1)] = 50
    """Feeds pulled at once."""
    per_host: Annotated[int, Field(ge=1)] = 2
    """Requests to one host at once."""
    host_gap: Annotated[float, Field(ge=0)] = 0.5
    """Between the starts of two requests to one host, at least; longer where its robots.txt has a Crawl-delay."""
    parse_timeout: Annotated[float, Field(gt=0)] = 10.0
    """For parsing one body; then its process is killed, and only that feed fails."""
    parse_processes: Annotated[int, Field(ge=1)] = 2
    """Processes that parse."""
    parse_memory: Annotated[int, Field(gt=0)] = 1_000_000_000
    """Of one parser process."""
    user_agent: str = "Conflictwire/{version} (+{contact})"
    """Sent with each request; `{version}` and `{contact}` are filled in."""
    contact: str = "https://example.org/conflictwire"
    """Where a publisher reaches whoever runs this: a URL or an address."""
    allow_private: bool = False
    """Whether feeds and pages may lie on private and loopback addresses, for tests and intranets."""
    full_text: bool = True
    """Whether the page behind the link is fetched where a feed gives a summary only; a feed's own switch wins."""


class Kafka(_Section):
    """Security and time limits of the connection to Kafka; the addresses stand in `broker`. Times in seconds."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How brokers are spoken to."""
    ssl_cafile: Path | None = None
    """Certificates that the brokers' are checked against (PEM)."""
    ssl_certfile: Path | None = None
    """The client's own certificate (PEM)."""
    ssl_keyfile: Path | None = None
    """Its key (PEM)."""
    ssl_check_hostname: bool = True
    """Whether the brokers' certificates must carry their names."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """Needed with SASL_PLAINTEXT and SASL_SSL."""
    username: str | None = None
    """SASL user."""
    password: SecretStr | None = None
    """SASL password; never printed."""
    password_file: Path | None = None
    """A file that holds it."""
    replication_factor: Annotated[int, Field(ge=1)] = 1
    """Of a topic that is created."""
    connect_timeout: Annotated[float, Field(gt=0)] = 10.0
    """Until a broker counts as unreachable."""
    session_timeout: Annotated[float, Field(gt=0)] = 15.0
    """Until a worker that is not heard of counts as dead."""
    transaction_timeout: Annotated[float, Field(gt=0)] = 20.0
    """Until the broker aborts the transaction of a dead worker; readers wait that long."""
    request_timeout: Annotated[float, Field(gt=0)] = 30.0
    """For one request."""
    max_poll_interval: Annotated[float, Field(gt=0)] = 300.0
    """Until a worker that does not poll loses its partitions."""


class Retention(_Section):
    """How long things are kept, in days; 0 keeps them for good."""

    article_text: Annotated[int, Field(ge=0)] = 0
    """Texts of articles fetched longer ago are emptied; their events stay."""
    embedded_log: Annotated[int, Field(ge=0)] = 30
    """Records of the embedded broker that every group has read are dropped after this."""
    codings: Annotated[int, Field(ge=0)] = 30
    """What was decided about an article record is forgotten so long after, once the group has read past it."""
    known: Annotated[int, Field(ge=0)] = 90
    """The puller's note of an article published longer ago is dropped where the store of articles says the same."""
    aliases: Annotated[int, Field(ge=0)] = 400
    """Other names of articles (guids, links) that no feed has shown for so long are forgotten; 30 at least."""

    @field_validator("aliases")
    @classmethod
    def _not_in_use(cls, days: int) -> int:
        # Their being seen is written down once a week.
        if 0 < days < 30:
            raise ValueError("must be 0 or at least 30: an entry still in its feed would be taken for a new article")
        return days


class Metrics(_Section):
    """The port for Prometheus and for health checks of `worker`, `pull` and `run`. See docs/observability.md."""

    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Serves /metrics, /livez and /readyz; nothing is served if not set. 0 takes any free one."""
    host: str = "127.0.0.1"
    """The address it is served on; 0.0.0.0 in containers, where others must reach it."""
    stuck: Annotated[float, Field(gt=0)] = 300.0
    """Seconds without progress after which /livez says so."""


class Api(_Section):
    """What `conflictwire serve` listens on and lets out. See docs/api.md."""

    host: str = "127.0.0.1"
    """The address it listens on; on any but a loopback address it wants keys."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """The port; 0 takes any free one."""
    keys_required: bool = False
    """Whether a key is needed on a loopback address too, as behind a reverse proxy."""
    full_text: bool = False
    """Whether the texts of articles are let out, to keys of the scope full_text; else the sentences with events only."""
    page: bool = True
    """Whether the page is served, not only the API."""
    hosts: tuple[str, ...] = ()
    """Names under which it is asked besides `host` and those of loopback; looked at only where no key is needed."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may read it, such as `https://desk.example.org`; none if empty."""
    proxies: tuple[str, ...] = ("127.0.0.1",)
    """Addresses of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    rate: Annotated[int, Field(ge=1)] = 600
    """Requests a minute of one key, or of one address without a key."""
    burst: Annotated[int, Field(ge=1)] = 200
    """Requests at once, of the same."""
    streams: Annotated[int, Field(ge=0)] = 1000
    """Clients of the live stream at once."""


class Alerts(_Section):
    """How alerts are sent. See docs/alerts.md."""

    allow_private: bool = False
    """Whether webhooks may lie on private and loopback addresses, and there be spoken to without TLS."""
    timeout: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Seconds for one attempt to reach a webhook, its answer included."""


class Smtp(_Section):
    """The mail server that alerts are sent through. See docs/alerts.md."""

    host: str | None = None
    """Its name; no e-mail is sent if not set."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """587 for STARTTLS, 465 for TLS from the start."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`none` for a server on this machine only: with a password it is refused for any other."""
    user: str | None = None
    """Who logs in; nobody if not set."""
    password: SecretStr | None = None
    """Its password; never printed."""
    password_file: Path | None = None
    """A file that holds it."""
    sender: str = "conflictwire@localhost"
    """The address that mails come from."""
    timeout: Annotated[float, Field(gt=0, le=60)] = 20.0
    """Seconds that the server may take for one answer."""

    @field_validator("host", mode="after")
    @classmethod
    def _empty_is_not_set(cls, host: str | None) -> str | None:
        return host or None

    @model_validator(mode="after")
    def _not_in_the_clear(self) -> Smtp:
        if self.user and self.security == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("security none would send the password in the clear: set starttls or tls")
        return self

    @property
    def secret(self) -> str:
        """The password, from the environment or its file."""
        if self.password_file is not None:
            return self.password_file.read_text(encoding="utf-8").strip()
        return self.password.get_secret_value() if self.password else ""


class Settings(BaseSettings):
    """Every setting, with its default. See docs/settings.md."""

    model_config = SettingsConfigDict(
        env_prefix="CONFLICTWIRE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        toml_file=CONFIG_FILE,
    )

    data_dir: Path = Field(default_factory=_default_data_dir)
    """Holds the embedded broker, the SQLite store and the user's own feeds.toml."""
    broker: str = "embedded:"
    """`embedded:` and a path (broker.db in the data folder if empty), or `kafka://host:9092,host2:9092`."""
    store: SecretStr = SecretStr("")
    """`postgresql+psycopg://user:password@host/database`; SQLite in the data folder if empty. Its password is never shown."""
    store_file: Path | None = None
    """A file that holds the URL of the store."""
    group: str = "coders"
    """The consumer group that workers share."""
    incidents_group: str = "incidents"
    """The consumer group of the keeper of incidents; one keeper works at a time."""
    model: Path | None = None
    """A folder of weights; the shipped ones if not set."""
    profile: Profile = "accurate"
    """`accurate` reads with the large network what the small one passes on, `fast` with the small one alone."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """Events below are not kept; the default of the weights if not set."""
    feeds: Path | None = None
    """The catalogue of feeds (TOML); feeds.toml in the data folder if it is there, else the bundled one."""
    chromium: Path | None = None
    """The Chromium that prints reports as PDF; the one on PATH if not set."""
    topics: Topics = Topics()
    fetch: Fetch = Fetch()
    kafka: Kafka = Kafka()
    retention: Retention = Retention()
    metrics: Metrics = Metrics()
    api: Api = Api()
    alerts: Alerts = Alerts()
    smtp: Smtp = Smtp()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options before the environment before the file."""
        path = os.environ.get("CONFLICTWIRE_CONFIG", CONFIG_FILE)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path)

    @model_validator(mode="after")
    def _check_broker(self) -> Settings:
        if not self.broker.startswith(("embedded:", "kafka://")):
            raise ValueError(f"broker {self.broker!r}: must be embedded:PATH or kafka://host:port,...")
        return self

    @property
    def embedded_path(self) -> Path:
        """The file of the embedded broker: the path after `embedded:`, or `broker.db` in the data folder."""
        named = self.broker.removeprefix("embedded:")
        return Path(named) if named else self.data_dir / "broker.db"

    @property
    def store_url(self) -> str:
        """The SQLAlchemy URL of the store, secrets included: never to be printed (see `describe_url`)."""
        if self.store_file is not None:
            return self.store_file.read_text(encoding="utf-8").strip()
        return self.store.get_secret_value() or f"sqlite:///{self.data_dir / 'conflictwire.db'}"

    @property
    def kafka_password(self) -> str | None:
        """The SASL password, from the environment or its file."""
        if self.kafka.password_file is not None:
            return self.kafka.password_file.read_text(encoding="utf-8").strip()
        return self.kafka.password.get_secret_value() if self.kafka.password else None


def load_settings(**options: Any) -> Settings:
    """Settings from file, environment and `options` (None means not given).

    Raises SettingsError naming the first setting that is wrong.
    """
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise SettingsError(f"setting {where}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{os.environ.get('CONFLICTWIRE_CONFIG', CONFIG_FILE)}: {error}") from error


def describe_url(url: str) -> str:
    """A store or broker URL without its password, fit to be printed."""
    # By pattern, not by a parser: a password may hold the very characters that a parser would split at.
    shown = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url, flags=re.DOTALL)
    return re.sub(r"(?i)((?:^|[?&])[^=&?]*password=)[^&]*", r"\1***", shown)
