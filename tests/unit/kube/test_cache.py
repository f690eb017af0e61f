"""The cache: events may be lost, doubled or late."""

from __future__ import annotations

from typing import Any

from fairlead_operator.kube.cache import Cache, claimed


def a_child(
    name: str = "m-1", *, version: int = 1, uid: str = "u1", owner: str | None = "m"
) -> Any:
    references = (
        [
            {
                "apiVersion": "fairlead.dev/v1alpha1",
                "kind": "ModelDeployment",
                "name": owner,
                "uid": "o1",
                "controller": True,
            }
        ]
        if owner
        else []
    )
    return {
        "kind": "Deployment",
        "metadata": {
            "namespace": "ns",
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "ownerReferences": references,
            "managedFields": [{"manager": "x"}],
        },
    }


def a_resource(version: int = 1) -> Any:
    return {
        "kind": "ModelDeployment",
        "metadata": {"namespace": "ns", "name": "m", "uid": "o1", "resourceVersion": str(version)},
    }


def test_an_event_of_a_child_concerns_its_owner() -> None:
    cache = Cache()
    assert cache.observe(a_child()) == ("ns", "m")
    assert list(cache.children(("ns", "m"))) == [("Deployment", "m-1")]


def test_a_strangers_object_concerns_nobody_and_is_not_kept() -> None:
    cache = Cache()
    assert cache.observe(a_child(owner=None)) is None
    assert len(cache) == 0


def test_an_older_event_does_not_replace_a_newer_object() -> None:
    cache = Cache()
    cache.observe(a_child(version=10))
    cache.observe(a_child(version=9))
    live = cache.children(("ns", "m"))[("Deployment", "m-1")]
    assert live["metadata"]["resourceVersion"] == "10"


def test_a_new_object_of_the_same_name_replaces_the_old_one_whatever_its_version() -> None:
    cache = Cache()
    cache.observe(a_child(version=10))
    cache.observe(a_child(version=3, uid="u2"))
    assert cache.children(("ns", "m"))[("Deployment", "m-1")]["metadata"]["uid"] == "u2"


def test_a_late_delete_of_a_former_object_does_not_remove_its_successor() -> None:
    cache = Cache()
    cache.observe(a_child(version=3, uid="u2"))
    assert cache.observe(a_child(version=10, uid="u1"), deleted=True) == ("ns", "m")
    assert ("Deployment", "m-1") in cache.children(("ns", "m"))


def test_a_child_whose_owner_reference_was_taken_away_is_forgotten_and_wakes_the_owner() -> None:
    cache = Cache()
    cache.observe(a_child())
    assert cache.observe(a_child(version=2, owner=None)) == ("ns", "m")
    assert cache.children(("ns", "m")) == {}


def test_a_child_that_changes_owner_leaves_the_first() -> None:
    cache = Cache()
    cache.observe(a_child())
    cache.observe(a_child(version=2, owner="other"))
    assert cache.children(("ns", "m")) == {}
    assert ("Deployment", "m-1") in cache.children(("ns", "other"))


def test_a_full_listing_forgets_what_it_does_not_name_and_reports_every_key() -> None:
    cache = Cache()
    cache.observe(a_resource())
    cache.observe(a_child("gone-1", owner="gone"))
    assert cache.replace_all([a_resource(2)]) == {("ns", "m"), ("ns", "gone")}
    assert cache.children(("ns", "gone")) == {}
    assert cache.model_deployments() == [("ns", "m")]


def test_managed_fields_are_not_kept() -> None:
    cache = Cache()
    cache.observe(a_child())
    assert "managedFields" not in cache.children(("ns", "m"))[("Deployment", "m-1")]["metadata"]


def test_what_was_seen_while_a_listing_was_read_survives_it() -> None:
    cache = Cache()
    cache.observe(a_child("old-1", uid="u1"))
    cache.begin_listing()
    cache.observe(a_child("new-1", uid="u2"))
    cache.observe(a_child("old-1", version=9, uid="u1"))
    cache.replace_all([a_resource(), a_child("old-1", version=1, uid="u1")])
    children = cache.children(("ns", "m"))
    assert set(children) == {("Deployment", "new-1"), ("Deployment", "old-1")}
    assert children[("Deployment", "old-1")]["metadata"]["resourceVersion"] == "9"


def test_what_was_deleted_while_a_listing_was_read_does_not_come_back() -> None:
    cache = Cache()
    cache.observe(a_child())
    cache.begin_listing()
    cache.observe(a_child(), deleted=True)
    cache.replace_all([a_child()])
    assert cache.children(("ns", "m")) == {}


def test_a_late_event_of_a_deleted_object_does_not_bring_it_back() -> None:
    cache = Cache()
    cache.observe(a_child(version=3))
    cache.observe(a_child(version=4), deleted=True)
    assert cache.observe(a_child(version=2)) == ("ns", "m")
    assert cache.children(("ns", "m")) == {}
    cache.observe(a_child(version=9, uid="u2"))
    assert cache.children(("ns", "m"))


def test_only_so_many_dead_are_remembered() -> None:
    cache = Cache()
    for number in range(5000):
        cache.observe(a_child(uid=f"u{number}"), deleted=True)
    cache.observe(a_child(uid="u0"))
    assert cache.children(("ns", "m")), "forgotten long ago"
    cache.observe(a_child(uid="u4999"))
    assert cache.children(("ns", "m"))[("Deployment", "m-1")]["metadata"]["uid"] == "u0"


def test_kinds_that_are_not_watched_concern_nobody() -> None:
    assert Cache().observe({"kind": "Secret", "metadata": {"name": "s"}}) is None


def test_an_object_that_only_lost_the_label_of_its_watch_comes_back_with_it() -> None:
    cache = Cache()
    cache.observe(a_child(version=3))
    cache.observe(a_child(version=4), deleted=True)  # how a watch by label says it
    assert cache.children(("ns", "m")) == {}
    cache.observe(a_child(version=4))
    assert cache.children(("ns", "m")) == {}
    assert cache.observe(a_child(version=5)) == ("ns", "m")
    assert list(cache.children(("ns", "m"))) == [("Deployment", "m-1")]


def _split(version: int, *arms: str) -> dict[str, Any]:
    floors = [{"name": f"{arm}-0a1b2c3d", "modelDeployment": arm, "replicas": 2} for arm in arms]
    return {
        "kind": "ModelDeployment",
        "metadata": {
            "name": "fraud", "namespace": "team", "uid": "u", "resourceVersion": str(version),
        },
        "status": {"traffic": {"floors": floors}},
    }  # fmt: skip


def test_an_address_is_found_by_the_other_models_that_are_its_arms() -> None:
    cache = Cache()
    cache.observe(_split(1, "larger", "smaller"))
    assert claimed(_split(1, "larger")) == {("team", "larger")}
    [found] = cache.claimants(("team", "larger"))
    assert found["metadata"]["name"] == "fraud"
    assert cache.claimants(("other", "larger")) == []
    cache.observe(_split(2, "smaller"))
    assert cache.claimants(("team", "larger")) == []
    assert len(cache.claimants(("team", "smaller"))) == 1
    cache.observe(_split(3, "smaller"), deleted=True)
    assert cache.claimants(("team", "smaller")) == []


def an_experiment(name: str = "e", version: int = 1, uid: str = "x1") -> Any:
    return {
        "kind": "Experiment",
        "metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version)},
        "spec": {"target": "m", "variants": [{"modelDeployment": "m"}, {"modelDeployment": "n"}]},
    }


def test_an_experiment_is_kept_by_its_own_name_and_concerns_no_model_by_itself() -> None:
    cache = Cache()
    assert cache.observe(an_experiment()) is None
    assert cache.experiment(("ns", "e")) is not None
    assert [each["metadata"]["name"] for each in cache.experiments("ns")] == ["e"]
    assert cache.experiments("other") == []
    assert cache.model_deployments() == []
    assert cache.children(("ns", "e")) == {}


def test_a_deleted_experiment_does_not_come_back() -> None:
    cache = Cache()
    cache.observe(an_experiment(version=3))
    cache.observe(an_experiment(version=4), deleted=True)
    cache.observe(an_experiment(version=3))
    assert cache.experiment(("ns", "e")) is None
    cache.observe(an_experiment(version=5, uid="x2"))
    assert cache.experiment(("ns", "e")) is not None


def test_a_listing_without_an_experiment_forgets_it() -> None:
    cache = Cache()
    cache.observe(an_experiment())
    cache.begin_listing()
    assert cache.replace_all([a_resource()]) == {("ns", "m")}
    assert cache.experiments() == []
