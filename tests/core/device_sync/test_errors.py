"""Numbers of errors: what is sent never harms an app, and says all that an SDK insists on."""

from __future__ import annotations

import json

import pytest

from realm_sync.core.device_sync.errors import ABORTING, WIRE_ERRORS, DeviceSyncError


def test_numbers_that_end_the_app_cannot_be_raised() -> None:
    assert ABORTING.isdisjoint(WIRE_ERRORS)
    for number in ABORTING:
        with pytest.raises(KeyError):
            DeviceSyncError(number, "no")


@pytest.mark.parametrize("number", WIRE_ERRORS)
def test_bodies_have_every_key_that_the_sdks_insist_on(number: int) -> None:
    error = DeviceSyncError(number, "Something is wrong.")
    body = json.loads(error.body())
    types = {key: type(value) for key, value in body.items()}
    assert types == {
        "message": str, "tryAgain": bool, "shouldClientReset": bool, "isRecoveryModeDisabled": bool, "logURL": str,
        "action": str,
    }  # fmt: skip
    assert body["message"] == f"Something is wrong. {error.remedy}"
    assert body["shouldClientReset"] == (body["action"] == "ClientReset")
    assert not (body["shouldClientReset"] and body["tryAgain"])


def test_each_number_is_one_of_the_connection_or_of_the_session() -> None:
    assert [number for number in WIRE_ERRORS if DeviceSyncError(number, "").is_of_connection] == [
        number for number in WIRE_ERRORS if number < 200
    ]
    assert DeviceSyncError(208, "").action == "ClientReset"
    assert str(DeviceSyncError(102, "No.")) == "102: No."
