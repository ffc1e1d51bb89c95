"""The only place that builds the parts of a data directory and connects them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.config import Site
from bridge.config.site import AccountSettings
from bridge.errors import Unauthorized
from bridge.flow.keeping import fence
from bridge.flow.parts import Enqueue, Parts, nothing
from bridge.flow.stages.children import Children
from bridge.flow.stages.pace import Pace, Patience
from bridge.platforms import Account, Platform, make
from bridge.store.acts import Acts
from bridge.store.alerts import Alerts
from bridge.store.answers import Answers
from bridge.store.budgets import Budgets
from bridge.store.crosswalk import Crosswalk
from bridge.store.decisions import Decisions
from bridge.store.deliveries import Deliveries
from bridge.store.disclosures import Disclosures
from bridge.store.erasing import Erasing
from bridge.store.instances import Instances
from bridge.store.jobs import Jobs
from bridge.store.keys import FOLDER as KEYS
from bridge.store.keys import Keys
from bridge.store.meta import Meta
from bridge.store.outages import Outages
from bridge.store.retention import Retention
from bridge.store.secrets import SecretFiles
from bridge.store.specs import Specs
from bridge.store.studies import Studies
from bridge.store.submits import Submits
from bridge.store.tables import Index
from bridge.store.turns import Turns

INDEX, SECRETS = "index.sqlite", "secrets"


class TokenFile:
    """A token that is read when it is used: a renewed file counts at once, and memory dumps hold it shortly."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def reveal(self) -> str:
        """Raises Unauthorized (ACC-001) when the file cannot be read or is empty."""
        try:
            token = self._file.read_text().strip()
        except OSError as problem:
            raise Unauthorized(
                "ACC-001",
                f"the token file cannot be read ({problem.strerror})",
                "a file that holds nothing but the token",
                "Write the token into the file that `token_file` of the account names, readable for this user only",
            ) from None
        if not token:
            raise Unauthorized("ACC-001", "an empty token file", "the token", "Write the token into it")
        return token

    def __repr__(self) -> str:
        return "TokenFile(...)"


def platform_of(name: str, account: AccountSettings, data: Path) -> Platform:
    """The platform of an account of site.toml; its secrets stand in the data directory.

    Raises ConfigError for one that is not installed.
    """
    return make(
        account.platform,
        Account(
            name=name,
            base_url=account.base_url,
            token=TokenFile(account.token_file),
            ca=str(account.ca) if account.ca else None,
            proxy=account.proxy,
            timeout_s=account.timeout_s,
            options=account.options,
            secrets=SecretFiles(data / SECRETS),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The parts of one data directory, and what must be closed at the end."""

    parts: Parts
    index: Index
    children: Children

    def close(self) -> None:
        self.children.stop()
        self.index.close()


def build(
    site: Site,
    *,
    enqueue: Enqueue,
    passing: Callable[[str], None] = nothing,
    clock: Callable[[], float] = time.time,
    instead: tuple[str, ...] = (),
) -> Built:
    """Open the data directory of a site, which must be this process's alone (`fence.lock`)."""
    key = fence.installation_key(site.data)
    index = Index(site.data / INDEX, clock=clock)
    index.open()
    cores = site.engine.cores or os.cpu_count() or 1
    children = Children(cores, timeout_s=site.engine.child_timeout_s)
    platforms = {name: platform_of(name, account, site.data) for name, account in site.accounts.items()}
    parts = Parts(
        site=site,
        key=key,
        instances=Instances(
            index,
            site.data / "instances",
            key=key,
            reserve_bytes=site.receive.reserve_bytes,
            uid_root=site.uid_root,
            alarm=Alerts(index),
            passing=passing,
        ),
        studies=Studies(index),
        jobs=Jobs(index),
        decisions=Decisions(index),
        specs=Specs(index),
        turns=Turns(index),
        deliveries=Deliveries(index),
        acts=Acts(index),
        alerts=Alerts(index),
        budgets=Budgets(index),
        answers=Answers(index),
        retention=Retention(index, site.data / "instances"),
        meta=Meta(index),
        submits=Submits(index),
        crosswalk=Crosswalk(index, Keys(site.data / KEYS), key),
        disclosures=Disclosures(index, key),
        erasing=Erasing(index),
        children=children,
        pace=Pace(
            Outages(index),
            platforms.__getitem__,
            {
                name: Patience(limit=account.jobs_in_flight, deadline_s=account.deadline_hours * 3600)
                for name, account in site.accounts.items()
            },
        ),
        platform=platforms.__getitem__,
        enqueue=enqueue,
        folder=site.data / "jobs",
        clock=clock,
        instead=instead,
        passing=passing,
    )
    return Built(parts=parts, index=index, children=children)
