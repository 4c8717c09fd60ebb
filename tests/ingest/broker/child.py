"""A process that publishes or copies until it is killed: `python child.py publish|copy URL SOURCE TARGET GROUP`.

`publish` sends 0, 1, 2, … to SOURCE and prints each number once it is acknowledged. `copy` consumes SOURCE in GROUP and
publishes each value to TARGET; it prints `polled N`, `fenced` and `committed N`, and with `hold` as sixth argument waits
for a line on stdin before each commit.
"""

from __future__ import annotations

import sys
import time

from ingest.broker import Broker, Outgoing, open_broker
from ingest.broker.embedded import EmbeddedBroker
from ingest.errors import BrokerUnavailable, Fenced
from ingest.settings import load_settings

LIMITS = {"session_timeout": 1.5, "transaction_timeout": 3.0, "connect_timeout": 5.0, "request_timeout": 5.0}


def say(text: str) -> None:
    print(text, flush=True)


def publish(broker: Broker, source: str) -> None:
    producer = broker.producer()
    number = 0
    while True:
        batch = range(number, number + 10)
        producer.send([Outgoing(source, b"%d" % (n % 5), b"%d" % n) for n in batch])
        number += len(batch)
        say(str(number))


def copy(broker: Broker, source: str, target: str, group: str, hold: bool) -> None:
    consumer = None
    while True:
        try:
            consumer = consumer or broker.consumer([source], group)
            records = consumer.poll(7, 0.2)
            if not records:
                continue
            say(f"polled {len(records)}")
            if hold:
                sys.stdin.readline()
            consumer.commit(records, [Outgoing(target, record.key, record.value) for record in records])
            say(f"committed {len(records)}")
        except Fenced:
            say("fenced")
        except BrokerUnavailable as error:
            say(f"unavailable {error}")
            time.sleep(0.2)


def main() -> None:
    what, url, source, target, group, *rest = sys.argv[1:]
    settings = load_settings(broker=url, kafka=LIMITS)
    broker = EmbeddedBroker(settings.embedded_path, lease=1.5) if url.startswith("embedded:") else open_broker(settings)
    if what == "publish":
        publish(broker, source)
    else:
        copy(broker, source, target, group, hold=rest == ["hold"])


if __name__ == "__main__":
    main()
