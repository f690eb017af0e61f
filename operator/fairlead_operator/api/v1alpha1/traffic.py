"""`status.traffic`: where the address stands while there is a router."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fairlead_operator.api.v1alpha1.common import APIModel

_INSTANT = {"format": "date-time"}
_ARMS = 16
_RUNS = 256


class ArmStatus(APIModel):
    """A revision that has, or may get, a share of the traffic."""

    name: Annotated[str, Field(max_length=63, description="Its name, in x-fairlead-variant.")]
    key: Annotated[str, Field(max_length=63, description="Name of its Deployment and Service.")]
    host: Annotated[str, Field(max_length=253, description="DNS name of its Service.")]


class RunStatus(APIModel):
    """Consecutive slots of one arm."""

    arm: Annotated[str, Field(max_length=63, description="Name of the arm.")]
    slots: Annotated[int, Field(ge=1, le=10_000, description="How many of the 10000 slots.")]


class MirrorStatus(APIModel):
    """Copies of requests for an arm that answers nobody."""

    arm: Annotated[ArmStatus, Field(description="Who gets the copies.")]
    share: Annotated[int, Field(ge=1, le=10_000, description="Basis points that are copied.")]
    compared: Annotated[
        int | None, Field(ge=0, le=10_000, description="Basis points whose outputs are compared.")
    ] = None


class RecordedStatus(APIModel):
    """Whose exposures the answers are."""

    uid: Annotated[str, Field(max_length=64, description="UID of the Experiment.")]
    epoch: Annotated[int, Field(ge=1, description="Version of its slot table.")]


class RouterConfigurationStatus(APIModel):
    """What was written for the routers last."""

    arms: Annotated[
        list[ArmStatus],
        Field(min_length=1, max_length=_ARMS, description="The arms; the first is the control."),
    ]
    table: Annotated[
        list[RunStatus],
        Field(min_length=1, max_length=_RUNS, description="Who has which of the 10000 slots."),
    ]
    clusters: Annotated[
        list[ArmStatus],
        Field(min_length=1, max_length=2 * _ARMS, description="The arms that routers know."),
    ]
    header: Annotated[
        str | None, Field(max_length=128, description="Header with the user; none: at random.")
    ] = None
    salt: Annotated[
        str | None, Field(max_length=128, description="What is hashed before the user.")
    ] = None
    experiment: Annotated[
        str | None, Field(max_length=253, description="The Experiment that wants this.")
    ] = None
    recorded: Annotated[
        RecordedStatus | None, Field(description="Whose exposures the answers are.")
    ] = None
    mirror: Annotated[MirrorStatus | None, Field(description="Copies, if any.")] = None
    mirror_clusters: Annotated[
        list[ArmStatus] | None,
        Field(max_length=_ARMS, description="The arms that routers know as a place for copies."),
    ] = None


class FloorStatus(APIModel):
    """Replicas that an arm of another ModelDeployment needs for this address."""

    name: Annotated[str, Field(max_length=63, description="Name of the arm's Deployment.")]
    model_deployment: Annotated[
        str, Field(max_length=63, description="ModelDeployment that the arm belongs to.")
    ]
    replicas: Annotated[int, Field(ge=0, description="Fewest replicas.")]


class TrafficStatus(APIModel):
    """The address while there is a router: absent where one revision has it directly."""

    state: Annotated[
        str, Field(max_length=32, description="Starting, Settling, Split or Draining.")
    ]
    since: Annotated[str, Field(description="Since when.", json_schema_extra=_INSTANT)]
    written_at: Annotated[
        str | None,
        Field(
            description="When the routers' configuration was written.", json_schema_extra=_INSTANT
        ),
    ] = None
    confirmed_at: Annotated[
        str | None,
        Field(
            description="Since when every router has it; a split's clock begins here.",
            json_schema_extra=_INSTANT,
        ),
    ] = None
    stable_replicas_at_start: Annotated[
        int | None,
        Field(description="Replicas of the stable revision when a router was first wanted."),
    ] = None
    configuration: Annotated[
        RouterConfigurationStatus | None,
        Field(description="What was written for the routers last."),
    ] = None
    floors: Annotated[
        list[FloorStatus] | None,
        Field(
            max_length=_ARMS,
            description="Replicas that arms of other ModelDeployments need for this address.",
        ),
    ] = None
