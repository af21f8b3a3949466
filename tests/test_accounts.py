"""realm_sync/accounts.py on both databases: what is told by constraints, and what several do at once.

What each call answers over HTTP is in test_device_http.py.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.cache import cache
from django.db import connections, transaction
from django.utils.http import urlsafe_base64_encode

from realm_sync import accounts, auth
from realm_sync.auth import Refused
from realm_sync.models import Identity

PASSWORD = "runway 27 left"
EMAIL = "sam@south.example"


@pytest.fixture
def configure(settings: Any, each_database: str) -> Any:
    cache.clear()

    def configure(**keys: Any) -> None:
        settings.REALM_SYNC = {**settings.REALM_SYNC, **keys}

    return configure


def anonymous() -> Any:
    return auth.user_for_access_token(auth.log_in_anonymously().access_token).user


def at_once(*actions: Any) -> list[str]:
    """Runs them at the same time; what each was refused with, or ""."""
    barrier = threading.Barrier(len(actions))
    outcomes = [""] * len(actions)

    def run(at: int, action: Any) -> None:
        barrier.wait()
        try:
            action()
        except Refused as error:
            outcomes[at] = error.code
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_one_registration_becomes_one_user(configure: Any) -> None:
    configure(REGISTRATION=True)
    assert sorted(at_once(*[lambda: accounts.register(EMAIL, PASSWORD, str)] * 3)) == [
        "",
        "AccountNameInUse",
        "AccountNameInUse",
    ]
    somebody = [anonymous() for _ in range(3)]
    outcomes = at_once(*[lambda user=user: accounts.link_password(user, EMAIL, PASSWORD) for user in somebody])
    assert outcomes.count("") == 1 and set(outcomes) <= {"", "AccountNameInUse", "InvalidPassword"}
    winner = somebody[outcomes.index("")]
    assert auth.log_in_with_password(EMAIL, PASSWORD).user_id == str(winner.pk)
    assert get_user_model().objects.count() == 3


def test_one_token_confirms_and_one_token_resets(configure: Any) -> None:
    configure(
        REGISTRATION=True,
        CONFIRMATION="email",
        CONFIRMATION_URL="https://pages.example/confirm",
        PASSWORD_RESET_URL="https://pages.example/reset",
    )
    accounts.register(EMAIL, PASSWORD, str)
    user = get_user_model().objects.get()
    token = accounts._token(accounts.confirmation_tokens, user)
    assert sorted(at_once(*[lambda: accounts.confirm(*token)] * 3)) == ["", *["UserpassTokenInvalid"] * 2]
    accounts.send_password_reset(EMAIL, str)
    assert [message.to for message in mail.outbox] == [[EMAIL], [EMAIL]]
    token = accounts._token(accounts.default_token_generator, get_user_model().objects.get())
    passwords = [f"another one, longer {number}" for number in range(3)]
    outcomes = at_once(*[lambda new=new: accounts.reset_password(*token, new) for new in passwords])
    assert sorted(outcomes) == ["", *["UserpassTokenInvalid"] * 2]
    assert auth.log_in_with_password(EMAIL, passwords[outcomes.index("")])
    for key in ("a\0b", "9" * 50, "nobody", ""):
        with pytest.raises(Refused, match="UserpassTokenInvalid"):
            accounts.reset_password("x-y", urlsafe_base64_encode(key.encode()), PASSWORD)


def test_refusals_leave_a_transaction_usable(configure: Any, each_database: str) -> None:
    configure(REGISTRATION=True, LOGIN_FUNCTION=lambda payload: payload["who"])
    accounts.register(EMAIL, PASSWORD, str)
    auth.log_in_with_password(EMAIL, PASSWORD)
    user, other = anonymous(), anonymous()
    with transaction.atomic(using=each_database):
        accounts.link_function(user, {"who": "me"})
        for refuse in (
            lambda: accounts.link_function(other, {"who": "me"}),
            lambda: accounts.link_password(other, EMAIL, PASSWORD),
            lambda: accounts.register(EMAIL, PASSWORD, str),
        ):
            with pytest.raises(Refused, match="AccountNameInUse"):
                refuse()
        assert auth.log_in_with_function({"who": "me"}).user_id == str(user.pk)
    assert Identity.objects.filter(user=other).count() == 1


def test_one_name_of_a_function_becomes_one_user(configure: Any) -> None:
    configure(LOGIN_FUNCTION=lambda payload: payload["who"])
    ids = []
    assert at_once(*[lambda: ids.append(auth.log_in_with_function({"who": "me"}).user_id)] * 4) == [""] * 4
    assert len(ids) == 4 and len(set(ids)) == 1 and get_user_model().objects.count() == 1
