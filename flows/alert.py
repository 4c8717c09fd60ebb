"""The alert on the pull deployment: a Prefect automation that tells an operator of late and failed runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.automations import Automation, CallWebhook, DoNothing, EventTrigger, Posture
from prefect.blocks.webhook import Webhook
from pydantic import SecretStr

NAME = "conflictwire-pull"
# A run that has to wait counts as late after PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS on the server (15 s).
TROUBLES = ("Late", "Failed", "Crashed", "TimedOut")
# One message, then silence for so long: a night without network is one trouble and not a hundred.
SILENCE = timedelta(hours=1)
_SAID = (
    "{{ ('Conflictwire: run ' ~ event.resource.name ~ ' of pull-feeds/pull is '"
    " ~ event.resource['prefect.state-name'] ~ '. ' ~ (event.resource['prefect.state-message'] or '')) | tojson }}"
)


def apply(deployment: UUID, url: str | None) -> None:
    """Make or update the automation; without `url` it does nothing but show in the event feed when it is triggered."""
    wanted = automation(deployment, _webhook(url) if url else None)
    try:
        there: Any = Automation.read(name=NAME)
    except ValueError:
        wanted.create()
        return
    wanted.id, wanted.enabled = there.id, there.enabled  # one that an operator has switched off stays off
    wanted.update()


def automation(deployment: UUID, webhook: UUID | None) -> Automation:
    """The automation, not yet applied: `webhook` is the block with the address."""
    return Automation(
        name=NAME,
        description="Tells of late and failed runs of pull-feeds/pull, once an hour at most.",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{trouble}" for trouble in TROUBLES},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={
                "prefect.resource.role": "deployment",
                "prefect.resource.id": f"prefect.deployment.{deployment}",
            },
            posture=Posture.Reactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[CallWebhook(block_document_id=webhook, payload=payload()) if webhook else DoNothing()],
    )


def payload() -> str:
    """What is posted: JSON with `text`, as the incoming webhooks of Slack, Mattermost, Rocket.Chat and Zulip take it."""
    return f'{{"text": {_SAID}}}'


def _webhook(url: str) -> UUID:
    headers: Any = {"Content-Type": "application/json"}
    saved: Any = Webhook(method="POST", url=SecretStr(url), headers=headers).save(NAME, overwrite=True)
    return UUID(str(saved))
