"""Kopf watches and does nothing else: each event is handed on, nothing is written.

Only `on.event` handlers are used. Kopf's create, update and delete handlers, timers and daemons
would put annotations or finalizers on the user's object.

Kopf has a thread and an event loop of its own: at its end it cancels every task that it finds in
its loop, and it takes SIGTERM for itself where it runs in the main thread.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

import kopf

from fairlead_operator.handlers.storages import NoEssence, NoProgress
from fairlead_operator.kube.client import Credentials
from fairlead_operator.kube.kinds import CHILDREN, EXPERIMENT, MODEL_DEPLOYMENT, Kind
from fairlead_operator.planning import names

log = logging.getLogger(__name__)
_RESTART_S = 5.0
_JOIN_S = 10.0
_OURS = ",".join(f"{key}={value}" for key, value in names.MANAGED_BY.items())


class Observer(Protocol):
    """What takes the events in."""

    def __call__(self, obj: Mapping[str, Any], *, deleted: bool) -> None:
        """Take in one object as the watch saw it."""


class Watches:
    """Watches in a thread; where they end by themselves, they are started again."""

    def __init__(
        self,
        observe: Observer,
        credentials: Callable[[], Awaitable[Credentials]],
        namespaces: tuple[str, ...] = (),
    ) -> None:
        self._home = asyncio.get_running_loop()
        self._observe = observe
        self._credentials = credentials
        self._namespaces = namespaces
        self._stopped = threading.Event()
        self._ending: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._thread = threading.Thread(target=self._run, name="watches", daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        if self._ending is not None:
            loop, flag = self._ending
            loop.call_soon_threadsafe(flag.set)
        await asyncio.to_thread(self._thread.join, _JOIN_S)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while not self._stopped.is_set():
                try:
                    runner.run(self._watch(runner.get_loop()))
                except Exception as error:  # noqa: BLE001 - whatever it was, watching must go on
                    log.warning("the watches ended, again in %.0f s: %s", _RESTART_S, error)
                self._stopped.wait(_RESTART_S)

    async def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        flag = asyncio.Event()
        self._ending = (loop, flag)
        if self._stopped.is_set():
            return
        await kopf.operator(
            registry=registry(self._hand_over, self._credentials),
            settings=settings(),
            namespaces=self._namespaces,
            clusterwide=not self._namespaces,
            standalone=True,
            # Kopf would make one up of the user's name, which a numeric user of a pod has not.
            identity="fairlead",  # type: ignore[arg-type]  # a NewType that Kopf keeps to itself
            stop_flag=flag,
        )

    def _hand_over(self, obj: Mapping[str, Any], *, deleted: bool) -> None:
        try:
            self._home.call_soon_threadsafe(functools.partial(self._observe, obj, deleted=deleted))
        except RuntimeError:  # the loop is closed: the operator is ending
            self._stopped.set()


def registry(
    observe: Observer, credentials: Callable[[], Awaitable[Credentials]]
) -> kopf.OperatorRegistry:
    """Return a registry of watches over both kinds and everything that they own."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers, id="login")(_login(credentials))
    for kind in (MODEL_DEPLOYMENT, EXPERIMENT, *CHILDREN):
        kopf.on.event(
            kind.group or "",
            kind.version,
            kind.plural,
            registry=handlers,
            id=f"enqueue-{kind.plural}",
        )(_enqueue(kind, observe))
    return handlers


def _login(credentials: Callable[[], Awaitable[Credentials]]) -> Callable[..., Any]:
    async def login(**_: object) -> kopf.ConnectionInfo:
        found = await credentials()
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_path,
            ca_data=found.ca_data if found.ca_path is None else None,
            insecure=found.insecure,
            scheme=found.scheme,
            token=found.token,
            certificate_path=found.certificate_path,
            private_key_path=found.private_key_path,
            proxy_url=found.proxy,
        )

    return login


def _enqueue(kind: Kind, observe: Observer) -> Callable[..., Any]:
    async def handler(event: Mapping[str, Any], **_: object) -> None:
        obj = dict(event["object"])
        obj.setdefault("kind", kind.kind)
        obj.setdefault("apiVersion", kind.api_version)
        observe(obj, deleted=event.get("type") == "DELETED")

    return handler


def settings() -> kopf.OperatorSettings:
    """Return Kopf's settings for watching only."""
    ours = kopf.OperatorSettings()
    ours.posting.enabled = False  # Events are posted by the passes, in words of their own
    ours.persistence.diffbase_storage = NoEssence()
    ours.persistence.progress_storage = NoProgress()
    ours.scanning.disabled = True  # the kinds are known: no right to list CRDs or namespaces needed
    ours.watching.server_timeout = 300
    ours.watching.client_timeout = 330
    for kind in CHILDREN:  # a cluster has many Services and ConfigMaps that are not ours
        ours.watching.label_selectors[kind.group, kind.version, kind.plural] = _OURS
    ours.networking.connect_timeout = 10
    ours.networking.request_timeout = 30
    ours.execution.max_workers = 2
    ours.process.ultimate_exiting_timeout = None  # it would kill the process, not this thread
    return ours
