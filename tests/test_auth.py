"""realm_sync/auth.py: tokens, sessions, providers and API keys, without HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, models, transaction
from django.db.models.signals import post_delete
from django.utils import timezone

from realm_sync import accounts, auth
from realm_sync.auth import AuthError, Refused
from realm_sync.models import ApiKey, Identity, UserSession

PASSWORD = "runway 27 left"
SHARED = "a secret of the other system, 32 bytes or more"


@pytest.fixture
def nora(db: None) -> Any:
    return get_user_model().objects.create_user("nora", "nora@north.example", PASSWORD)


@pytest.fixture
def tokens(nora: Any) -> auth.Tokens:
    return auth.log_in_with_password("nora", PASSWORD)


@pytest.fixture
def configure(settings: Any) -> Any:
    def configure(**keys: Any) -> None:
        settings.REALM_SYNC = {**settings.REALM_SYNC, **keys}

    return configure


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def signed(claims: dict[str, Any], key: str | None = None) -> str:
    return jwt.encode(claims, next(auth._keys()) if key is None else key, algorithm="HS256")


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_tokens_are_what_sdks_parse(nora: Any, tokens: auth.Tokens) -> None:
    access, refresh = claims(tokens.access_token), claims(tokens.refresh_token)
    session = UserSession.objects.get()
    assert access["sub"] == str(nora.pk) and access["sid"] == session.pk and access["user_data"] == {}
    assert (access["typ"], refresh["typ"]) == ("access", "refresh")
    assert access["app"] == refresh["app"] == "realm-sync"
    assert access["exp"] - access["iat"] == 30 * 60 and refresh["exp"] - refresh["iat"] == 60 * 24 * 3600
    assert all(type(each[key]) is int for each in (access, refresh) for key in ("iat", "exp"))
    for token in (tokens.access_token, tokens.refresh_token):
        assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert tokens.user_id == str(nora.pk) and len(tokens.device_id) == 24


def test_only_the_hash_of_a_refresh_token_is_kept(tokens: auth.Tokens) -> None:
    row = UserSession.objects.values().get()
    assert row["token_hash"] == hashlib.sha256(tokens.refresh_token.encode()).hexdigest()
    assert tokens.refresh_token not in str(row)


def test_an_access_token_authenticates(nora: Any, tokens: auth.Tokens, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        found = auth.user_for_access_token(tokens.access_token)
        assert found.user.username == "nora"
    assert found == (nora, UserSession.objects.get().pk, claims(tokens.access_token)["exp"])


def test_a_refresh_token_renews_the_access_token(tokens: auth.Tokens, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        renewed = auth.refresh(tokens.refresh_token)
    assert auth.user_for_access_token(renewed).user.username == "nora"


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 1},
        {"typ": "refresh"},
        {"app": "another-app"},
        {"sub": "999"},
        {"sub": 1},
        {"sid": 999},
        {"sid": None},
        {"exp": "soon"},
    ],
)
def test_a_token_with_wrong_claims_is_refused(tokens: auth.Tokens, change: dict[str, Any]) -> None:
    token = signed(claims(tokens.access_token) | change)
    with pytest.raises(AuthError) as caught:
        auth.user_for_access_token(token)
    assert (caught.value.code, caught.value.action) == ("AuthError", "reauthenticate")


@pytest.mark.parametrize("missing", ["exp", "iat", "sub", "sid", "typ", "app"])
def test_a_token_without_a_claim_is_refused(tokens: auth.Tokens, missing: str) -> None:
    incomplete = claims(tokens.access_token)
    del incomplete[missing]
    with pytest.raises(AuthError):
        auth.user_for_access_token(signed(incomplete))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": "JWT"},
        {"alg": "None"},
        {"alg": "RS256"},
        {"alg": ["HS256"]},
        {"alg": {}},
        {"alg": None},
        {},
        [],
        None,
        7,
        b"[" * 50_000,
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("signature", ["", "AAAA", "é"])
def test_a_token_with_a_wrong_header_is_refused(tokens: auth.Tokens, header: Any, signature: str) -> None:
    forged = f"{part(header)}.{part(claims(tokens.access_token))}.{signature}"
    with pytest.raises(AuthError):
        auth.user_for_access_token(forged)


@pytest.mark.parametrize("garbage", ["", ".", "..", "...", "a.b.c", "a.b", "\x00", "é.é.é", "a" * 100_000, " "])
def test_garbage_is_refused(db: None, garbage: str) -> None:
    for function in (auth.user_for_access_token, auth.user_for_refresh_token, auth.refresh, auth.log_out):
        with pytest.raises(AuthError):
            function(garbage)


def test_a_token_signed_with_another_key_is_refused(tokens: auth.Tokens, settings: Any) -> None:
    # Also the plain SECRET_KEY, which other packages of a project sign with.
    for key in ("x" * 32, settings.SECRET_KEY):
        with pytest.raises(AuthError, match="signature"):
            auth.user_for_access_token(signed(claims(tokens.access_token), key))


def test_a_changed_payload_breaks_the_signature(tokens: auth.Tokens) -> None:
    header, _, signature = tokens.access_token.split(".")
    payload = part(claims(tokens.access_token) | {"sub": "1", "exp": 2**33})
    with pytest.raises(AuthError, match="signature"):
        auth.user_for_access_token(f"{header}.{payload}.{signature}")


def test_kinds_of_tokens_do_not_stand_in_for_each_other(tokens: auth.Tokens) -> None:
    with pytest.raises(AuthError, match="no access token"):
        auth.user_for_access_token(tokens.refresh_token)
    for function in (auth.refresh, auth.user_for_refresh_token):
        with pytest.raises(AuthError, match="no refresh token"):
            function(tokens.access_token)


def test_a_refresh_token_that_was_never_issued_is_refused(tokens: auth.Tokens) -> None:
    # Rightly signed by somebody who knows the key, but its hash is not in the table.
    with pytest.raises(AuthError, match="has ended"):
        auth.refresh(signed(claims(tokens.refresh_token) | {"jti": "guessed"}))


def test_a_signing_key_of_its_own_and_rotation_of_secret_key(nora: Any, settings: Any, configure: Any) -> None:
    tokens = auth.log_in_with_password("nora", PASSWORD)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the new secret key of the site, long enough"
    assert auth.user_for_access_token(tokens.access_token).user == nora
    assert auth.user_for_access_token(auth.refresh(tokens.refresh_token)).user == nora
    configure(SIGNING_KEY="a key for nothing but these tokens")
    with pytest.raises(AuthError):
        auth.user_for_access_token(tokens.access_token)
    tokens = auth.log_in_with_password("nora", PASSWORD)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    assert auth.user_for_access_token(tokens.access_token).user == nora


def test_lifetimes_are_settings_and_no_access_token_outlives_its_session(nora: Any, configure: Any) -> None:
    configure(ACCESS_TOKEN_SECONDS=100, REFRESH_TOKEN_SECONDS=50)
    tokens = auth.log_in_with_password("nora", PASSWORD)
    assert claims(tokens.access_token)["exp"] - time.time() <= 50


# --- sessions end ----------------------------------------------------------------------------------------------------


def refused_code(tokens: auth.Tokens) -> str:
    codes = set()
    for function, token in [
        (auth.user_for_access_token, tokens.access_token),
        (auth.user_for_refresh_token, tokens.refresh_token),
        (auth.refresh, tokens.refresh_token),
    ]:
        with pytest.raises(AuthError) as caught:
            function(token)
        codes.add(caught.value.code)
    (code,) = codes
    return code


def test_log_out_ends_one_session(nora: Any, tokens: auth.Tokens) -> None:
    other = auth.log_in_with_password("nora", PASSWORD)
    auth.log_out(tokens.refresh_token)
    auth.log_out(tokens.refresh_token)
    assert refused_code(tokens) == "AuthError"
    assert auth.user_for_access_token(other.access_token).user == nora


def test_an_expired_session_ends(tokens: auth.Tokens) -> None:
    UserSession.objects.update(expires=timezone.now())
    assert refused_code(tokens) == "AuthError"


def test_an_inactive_user_is_told_so(nora: Any, tokens: auth.Tokens) -> None:
    nora.is_active = False
    nora.save()
    assert refused_code(tokens) == "UserDisabled"


def test_a_deleted_user_or_session_ends(nora: Any, tokens: auth.Tokens) -> None:
    nora.delete()
    assert refused_code(tokens) == "AuthError"


def test_a_session_revoked_meanwhile_is_not_refreshed(tokens: auth.Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_then_revoke(session: UserSession) -> None:
        UserSession.objects.update(revoked=True)

    monkeypatch.setattr(auth, "_check", check_then_revoke)
    with pytest.raises(AuthError, match="logged out"):
        auth.refresh(tokens.refresh_token)
    assert UserSession.objects.get().revoked


def test_a_new_password_ends_sessions_that_rest_on_the_old_one(nora: Any, tokens: auth.Tokens) -> None:
    _, key = auth.create_api_key(nora, "tower")
    by_key = auth.log_in_with_api_key(key)
    nora.set_password("runway 09 right")
    nora.save()
    assert refused_code(tokens) == "AuthError"
    assert auth.user_for_access_token(by_key.access_token).user == nora


def test_still_valid_names_what_has_ended(nora: Any, django_assert_num_queries: Any) -> None:
    users = [nora, *(get_user_model().objects.create_user(f"inspector {n}", password=PASSWORD) for n in range(3))]
    for user in users:
        auth.log_in_with_password(user.username, PASSWORD)
    revoked, expired, inactive, good = list(UserSession.objects.order_by("pk"))
    UserSession.objects.filter(pk=revoked.pk).update(revoked=True)
    UserSession.objects.filter(pk=expired.pk).update(expires=timezone.now())
    get_user_model().objects.filter(pk=inactive.user_id).update(is_active=False)
    gone = 10**9
    sessions = {revoked.pk, expired.pk, inactive.pk, good.pk, gone}
    with django_assert_num_queries(2):
        ended = auth.still_valid(sessions, iter([inactive.user_id, good.user_id, gone]))
    assert ended.sessions == sessions - {good.pk} and ended.users == {inactive.user_id, gone}
    with django_assert_num_queries(0):
        assert auth.still_valid([], []) == (set(), set())


# --- providers -------------------------------------------------------------------------------------------------------


def test_anonymous_log_in_makes_a_user_without_password(db: None) -> None:
    first, second = auth.log_in_anonymously(), auth.log_in_anonymously()
    user = auth.user_for_access_token(first.access_token).user
    assert user.username.startswith("anonymous-") and not user.has_usable_password() and user.is_active
    assert first.user_id != second.user_id
    assert Identity.objects.get(user=user).provider_type == "anon-user"


def test_anonymous_log_in_can_be_switched_off(db: None, configure: Any) -> None:
    configure(ANONYMOUS_LOGIN=False)
    with pytest.raises(Refused) as caught:
        auth.log_in_anonymously()
    assert caught.value.code == "AuthProviderNotFound" and not get_user_model().objects.exists()


@pytest.mark.parametrize("name", ["nora", "nora@north.example", "Nora@North.Example"])
def test_a_password_goes_with_the_username_or_the_only_such_email(nora: Any, name: str) -> None:
    assert auth.log_in_with_password(name, PASSWORD).user_id == str(nora.pk)
    assert auth.log_in_with_password(name, PASSWORD).user_id == str(nora.pk)
    assert Identity.objects.get().provider_type == "local-userpass"


@pytest.mark.parametrize(
    ("name", "password"),
    [("nora", "wrong"), ("nora", ""), ("nobody", PASSWORD), ("", PASSWORD), ("nobody@north.example", PASSWORD)],
)
def test_a_wrong_password_is_refused_without_saying_what_was_wrong(nora: Any, name: str, password: str) -> None:
    with pytest.raises(Refused) as caught:
        auth.log_in_with_password(name, password)
    assert (caught.value.code, caught.value.message) == ("InvalidPassword", "invalid username/password")
    assert not UserSession.objects.exists()


def test_an_email_address_of_two_users_names_neither(nora: Any) -> None:
    get_user_model().objects.create_user("nora 2", "NORA@north.example", PASSWORD)
    with pytest.raises(Refused):
        auth.log_in_with_password("nora@north.example", PASSWORD)


def test_a_username_goes_before_an_email_address(nora: Any) -> None:
    other = get_user_model().objects.create_user("nora@north.example", password="another")
    assert auth.log_in_with_password("nora@north.example", "another").user_id == str(other.pk)


def test_empty_email_addresses_are_nobody(db: None) -> None:
    get_user_model().objects.create_user("no address", "", PASSWORD)
    with pytest.raises(Refused):
        auth.log_in_with_password("", PASSWORD)


def test_an_inactive_user_learns_it_only_with_the_password(nora: Any) -> None:
    get_user_model().objects.update(is_active=False)
    with pytest.raises(Refused, match="UserDisabled"):
        auth.log_in_with_password("nora", PASSWORD)
    with pytest.raises(Refused, match="InvalidPassword"):
        auth.log_in_with_password("nora", "wrong")


def test_no_provider_lets_an_inactive_user_in(nora: Any, configure: Any) -> None:
    configure(CUSTOM_JWT={"key": SHARED, "algorithms": ["HS256"]})
    _, key = auth.create_api_key(nora, "tower")
    nora.is_active = False
    nora.save()
    with pytest.raises(Refused, match="UserDisabled"):
        auth.log_in_with_api_key(key)
    with pytest.raises(Refused, match="UserDisabled"):
        auth.log_in_with_custom_token(custom("nora"))
    with pytest.raises(AuthError, match="UserDisabled"):
        auth.log_in_with_django_session(nora, "session")
    assert not UserSession.objects.exists()


def test_what_a_client_says_about_its_device_is_cut_to_what_may_be_kept(nora: Any) -> None:
    device = {"sdk": "python\0", "platform": "x" * 10_000, "cpuArch": 7, "unknown": "key", "deviceId": "a" * 24}
    assert auth.log_in_with_password("nora", PASSWORD, device).device_id == "a" * 24
    assert UserSession.objects.get().device == {"sdk": "python", "platform": "x" * 200}
    for odd in (None, [], "text", 7, {"deviceId": "'; drop"}, {"deviceId": 7}):
        assert len(auth.log_in_with_password("nora", PASSWORD, odd).device_id) == 24


# --- custom JWT ------------------------------------------------------------------------------------------------------


def custom(subject: Any, key: Any = SHARED, algorithm: str = "HS256", **more: Any) -> str:
    return jwt.encode({"sub": subject, "exp": int(time.time()) + 60, **more}, key, algorithm=algorithm)


def test_a_custom_token_logs_in_the_user_of_its_subject(nora: Any, configure: Any) -> None:
    configure(CUSTOM_JWT={"key": SHARED, "algorithms": ["HS256"]})
    assert auth.log_in_with_custom_token(custom("nora")).user_id == str(nora.pk)
    # From now on the identity decides, not the name.
    get_user_model().objects.update(username="nora of the north")
    assert auth.log_in_with_custom_token(custom("nora")).user_id == str(nora.pk)
    assert (Identity.objects.get().provider_type, Identity.objects.get().subject) == ("custom-token", "nora")


def test_unknown_subjects_become_users_only_if_configured(db: None, configure: Any) -> None:
    config = {"key": SHARED, "algorithms": ["HS256"]}
    configure(CUSTOM_JWT=config)
    with pytest.raises(Refused, match="no user has"):
        auth.log_in_with_custom_token(custom("oidc|77"))
    configure(CUSTOM_JWT={**config, "create_users": True})
    first = auth.log_in_with_custom_token(custom("oidc|77"))
    assert auth.log_in_with_custom_token(custom("oidc|77")).user_id == first.user_id
    user = get_user_model().objects.get()
    assert user.username == "oidc|77" and not user.has_usable_password()
    with pytest.raises(Refused, match="too long"):
        auth.log_in_with_custom_token(custom("x" * 200))


def test_user_field_is_another_field_of_the_user(nora: Any, configure: Any) -> None:
    config = {"key": SHARED, "algorithms": ["HS256"], "user_field": "email", "create_users": True}
    configure(CUSTOM_JWT=config)
    assert auth.log_in_with_custom_token(custom("nora@north.example")).user_id == str(nora.pk)
    auth.log_in_with_custom_token(custom("sam@south.example"))
    assert get_user_model().objects.get(email="sam@south.example").username == "sam@south.example"
    get_user_model().objects.create_user("twin 1", "twins@south.example")
    get_user_model().objects.create_user("twin 2", "twins@south.example")
    with pytest.raises(Refused, match="several users"):
        auth.log_in_with_custom_token(custom("twins@south.example"))


def test_rs256(nora: Any, configure: Any) -> None:
    private, another = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    configure(CUSTOM_JWT={"key": pem.decode(), "algorithms": ["RS256"], "audience": "sync", "issuer": "tower"})
    token = custom("nora", private, "RS256", aud="sync", iss="tower")
    assert auth.log_in_with_custom_token(token).user_id == str(nora.pk)
    # The attack on algorithm confusion: the public key, which anybody knows, as shared secret of HS256.
    body = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{token.split('.')[1]}"
    forged = base64.urlsafe_b64encode(hmac.new(pem, body.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    wrong = [
        f"{body}.{forged}",
        f"{part({'alg': 'none'})}.{token.split('.')[1]}.",
        custom(
            "nora", rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256", aud="sync", iss="tower"
        ),
        custom("nora", private, "RS256", aud="sync"),
        custom("nora", private, "RS256", iss="tower"),
        custom("nora", private, "RS256", aud="other", iss="tower"),
        custom("nora", private, "RS256", aud="sync", iss="other"),
        custom("nora", private, "RS512", aud="sync", iss="tower"),
    ]
    for token in wrong:
        with pytest.raises(Refused, match="not valid"):
            auth.log_in_with_custom_token(token)


def test_published_keys(nora: Any, configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048) for name in ("first", "second")}
    published, asked = ["first"], []

    def fetch(client: jwt.PyJWKClient) -> Any:
        asked.append(client.uri)
        public = [jwt.algorithms.RSAAlgorithm.to_jwk(keys[name].public_key(), as_dict=True) for name in published]
        found = {"keys": [{**key, "kid": name} for key, name in zip(public, published, strict=True)]}
        client.jwk_set_cache.put(found)
        client._last_successful_fetch = time.monotonic()
        return found

    monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", fetch)
    configure(CUSTOM_JWT={"jwks_url": "https://tower.example/keys", "algorithms": ["RS256"]})

    def token(name: str) -> str:
        claims = {"sub": "nora", "exp": int(time.time()) + 60}
        return jwt.encode(claims, keys[name], algorithm="RS256", headers={"kid": name})

    for _ in range(3):
        assert auth.log_in_with_custom_token(token("first")).user_id == str(nora.pk)
    assert asked == ["https://tower.example/keys"]
    with pytest.raises(Refused, match="not valid"):
        auth.log_in_with_custom_token(token("second"))
    published.append("second")  # the other system has a new key; a while later it counts
    auth._key_clients("https://tower.example/keys")._last_successful_fetch -= 3600
    assert auth.log_in_with_custom_token(token("second")).user_id == str(nora.pk)
    for at in range(20):  # keys that nobody has: the other system is not asked for each
        with pytest.raises(Refused, match="not valid"):
            auth.log_in_with_custom_token(
                jwt.encode({"sub": "nora"}, keys["first"], algorithm="RS256", headers={"kid": str(at)})
            )
    assert len(asked) == 2
    assert auth.log_in_with_custom_token(token("first")).user_id == str(nora.pk)
    with pytest.raises(Refused, match="not valid"):
        auth.log_in_with_custom_token(custom("nora"))


@pytest.mark.parametrize(
    "more",
    [{"exp": 1}, {"exp": None}, {"nbf": 2**33}, {"aud": "for somebody else"}, {"sub": ""}, {"sub": "a\0b"}, {"sub": 7}],
)
def test_custom_tokens_are_checked(nora: Any, configure: Any, more: dict[str, Any]) -> None:
    configure(CUSTOM_JWT={"key": SHARED, "algorithms": ["HS256"], "create_users": True})
    payload = {"sub": "nora", "exp": int(time.time()) + 60, **more}
    with pytest.raises(Refused, match="not valid"):
        auth.log_in_with_custom_token(signed({k: v for k, v in payload.items() if v is not None}, SHARED))
    for garbage in ("", "a.b.c", "é", f"{part(b'[' * 50_000)}.{part(payload)}.AAAA"):
        with pytest.raises(Refused, match="not valid"):
            auth.log_in_with_custom_token(garbage)
    # Our own tokens are no custom tokens.
    with pytest.raises(Refused, match="not valid"):
        auth.log_in_with_custom_token(auth.log_in_with_password("nora", PASSWORD).access_token)


def test_custom_tokens_without_configuration(db: None) -> None:
    with pytest.raises(Refused, match="AuthProviderNotFound"):
        auth.log_in_with_custom_token(custom("nora"))


PEM = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"key": SHARED},
        {"key": SHARED, "algorithms": []},
        {"key": SHARED, "algorithms": "HS256"},
        {"key": SHARED, "algorithms": ["none"]},
        {"key": PEM, "algorithms": ["HS256", "RS256"]},
        {"key": PEM, "algorithms": ["HS256"]},
        {"key": PEM.encode(), "algorithms": ["HS256"]},
        {"key": SHARED, "algorithms": ["RS256"]},
        {"key": "short", "algorithms": ["HS256"]},
        {"key": None, "algorithms": ["HS256"]},
        {"jwks_url": "https://tower.example/keys", "algorithms": ["HS256"]},
        {"jwks_url": "http://tower.example/keys", "algorithms": ["RS256"]},
        {"jwks_url": "https://tower.example/keys", "key": PEM, "algorithms": ["RS256"]},
    ],
)
def test_a_dangerous_configuration_of_custom_tokens_is_refused(configure: Any, config: dict[str, Any]) -> None:
    configure(CUSTOM_JWT=config)
    with pytest.raises(ImproperlyConfigured, match="CUSTOM_JWT"):
        auth.log_in_with_custom_token(custom("nora"))


# --- Django sessions, registration, API keys -------------------------------------------------------------------------


def test_a_django_session_authenticates(nora: Any) -> None:
    assert auth.user_for_django_session(nora) == (nora, None, float("inf"))
    for nobody in (None, AnonymousUser()):
        with pytest.raises(AuthError, match="nobody is logged in"):
            auth.user_for_django_session(nobody)


def test_registration(db: None, configure: Any, settings: Any) -> None:
    with pytest.raises(Refused, match="NotCallable"):
        accounts.register("sam@south.example", PASSWORD, str)
    configure(REGISTRATION=True)
    settings.AUTH_PASSWORD_VALIDATORS = [
        {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
        {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    ]
    accounts.register("sam@south.example", PASSWORD, str)
    user = get_user_model().objects.get()
    assert user.username == user.email == "sam@south.example" and user.is_active and not user.is_staff
    assert auth.log_in_with_password("sam@south.example", PASSWORD).user_id == str(user.pk)
    assert Identity.objects.count() == 1
    get_user_model().objects.create_user("nora", "nora@north.example", PASSWORD)
    for taken in ("sam@south.example", "SAM@South.example", "nora@north.example"):
        with pytest.raises(Refused, match="AccountNameInUse"):
            accounts.register(taken, PASSWORD, str)
    refused = [("nora", PASSWORD), ("", PASSWORD), ("a@" + "b" * 200 + ".example", PASSWORD), ("x@y.example", "short")]
    for email, password in [*refused, ("inspector@y.example", "inspector@y.example")]:
        with pytest.raises(Refused, match="BadRequest"):
            accounts.register(email, password, str)
    assert get_user_model().objects.count() == 2


def test_two_registrations_at_once_make_one_user(db: None, configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(REGISTRATION=True)
    accounts.register("sam@south.example", PASSWORD, str)
    manager = type(get_user_model()._default_manager)
    monkeypatch.setattr(manager, "filter", lambda self, *_: self.none(), raising=False)
    with pytest.raises(Refused, match="AccountNameInUse"):
        accounts.register("sam@south.example", PASSWORD, str)


def test_api_keys(nora: Any) -> None:
    sam = get_user_model().objects.create_user("sam")
    row, key = auth.create_api_key(nora, "weather station")
    assert len(row.pk) == 24 and key not in str(ApiKey.objects.values().get())
    with pytest.raises(Refused, match="APIKeyAlreadyExists"):
        auth.create_api_key(nora, "weather station")
    auth.create_api_key(sam, "weather station")
    for name in ("", "x" * 101):
        with pytest.raises(Refused, match="InvalidParameter"):
            auth.create_api_key(nora, name)
    assert [each.name for each in auth.api_keys(nora)] == ["weather station"]
    tokens = auth.log_in_with_api_key(key)
    assert tokens.user_id == str(nora.pk)
    for owner, key_id in [(sam, row.pk), (nora, "0" * 24), (nora, "x"), (nora, "a\0b"), (nora, "")]:
        for function in (auth.api_key, auth.delete_api_key):
            with pytest.raises(Refused, match="APIKeyNotFound"):
                function(owner, key_id)
        with pytest.raises(Refused, match="APIKeyNotFound"):
            auth.set_api_key_disabled(owner, key_id, True)


@pytest.mark.parametrize("ending", ["disable", "delete"])
def test_a_withdrawn_api_key_ends_its_sessions(nora: Any, ending: str) -> None:
    row, key = auth.create_api_key(nora, "weather station")
    _, other = auth.create_api_key(nora, "tower")
    tokens, stays = auth.log_in_with_api_key(key), auth.log_in_with_api_key(other)
    if ending == "delete":
        auth.delete_api_key(nora, row.pk)
    else:
        auth.set_api_key_disabled(nora, row.pk, True)
    assert refused_code(tokens) == "AuthError"
    assert auth.user_for_access_token(stays.access_token).user == nora
    for wrong in (key, "", "nonsense"):
        with pytest.raises(Refused, match="invalid API key"):
            auth.log_in_with_api_key(wrong)
    if ending == "disable":
        auth.set_api_key_disabled(nora, row.pk, False)
        assert auth.log_in_with_api_key(key).user_id == str(nora.pk)
        assert refused_code(tokens) == "AuthError"


def test_refusals_by_constraints_leave_the_connection_usable(each_database: str, configure: Any) -> None:
    """On PostgreSQL an error inside a transaction would spoil all that follows."""
    configure(REGISTRATION=True, CUSTOM_JWT={"key": SHARED, "algorithms": ["HS256"], "create_users": True})
    accounts.register("sam@south.example", PASSWORD, str)
    tokens = auth.log_in_with_password("sam@south.example", PASSWORD, {"sdk": "a\0b", "platform": "\U0001f4a3"})
    user = auth.user_for_access_token(tokens.access_token).user
    with transaction.atomic(using=each_database):
        row, key = auth.create_api_key(user, "tower")
        with pytest.raises(Refused, match="APIKeyAlreadyExists"):
            auth.create_api_key(user, "tower")
        with pytest.raises(Refused, match="APIKeyNotFound"):
            auth.api_key(user, "a\0b")
        by_key = auth.log_in_with_api_key(key)
        auth.set_api_key_disabled(user, row.pk, True)
    auth.log_in_with_custom_token(custom("x" * 150))
    session_ids = list(UserSession.objects.order_by("pk").values_list("pk", flat=True))
    assert auth.still_valid(session_ids, [user.pk, 10**9]) == ({session_ids[1]}, {10**9})
    assert refused_code(by_key) == "AuthError"
    assert auth.user_for_access_token(auth.refresh(tokens.refresh_token)).user == user
    auth.log_out(tokens.refresh_token)
    assert refused_code(tokens) == "AuthError"


# --- Origin ----------------------------------------------------------------------------------------------------------


def scope(*headers: tuple[str, str], scheme: str | None = "wss") -> dict[str, Any]:
    found = {"type": "websocket", "path": "/api/client/v2.0/app/realm-sync/realm-sync", "query_string": b"\xff"}
    found["headers"] = [(name.encode(), value.encode()) for name, value in headers]
    return found if scheme is None else {**found, "scheme": scheme}


@pytest.mark.parametrize(
    ("origin", "scheme", "allowed"),
    [
        ("https://sync.example", "wss", True),
        ("https://SYNC.example", "wss", True),
        ("https://sync.example", "ws", True),  # TLS ends at a proxy
        ("https://sync.example", None, True),
        ("http://sync.example", "ws", True),
        ("http://sync.example", "wss", False),
        ("https://sync.example:8443", "wss", False),
        ("https://sync.example.evil.example", "wss", False),
        ("https://evil.example", "wss", False),
        ("https://evil.example#sync.example", "wss", False),
        ("https://user@sync.example", "wss", False),
        ("ftp://sync.example", "wss", False),
        ("sync.example", "wss", False),
        ("null", "wss", False),
        ("", "wss", False),
        ("https://[", "wss", False),
        ("https://also.example", "wss", True),
        ("http://also.example", "wss", False),
        ("https://a.pages.example", "wss", True),
        ("https://pages.example.evil.example", "wss", False),
    ],
)
def test_origin_is_the_host_or_a_trusted_one(settings: Any, origin: str, scheme: str | None, allowed: bool) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://also.example", "https://*.pages.example"]
    assert auth.origin_allowed(scope(("host", "sync.example"), ("origin", origin), scheme=scheme)) is allowed


def test_origin_needs_an_allowed_host(settings: Any) -> None:
    headers = ("host", "rebound.example"), ("origin", "https://rebound.example")
    settings.ALLOWED_HOSTS = ["sync.example"]
    assert not auth.origin_allowed(scope(*headers))
    settings.ALLOWED_HOSTS = [".example"]
    assert auth.origin_allowed(scope(*headers))


def test_without_origin_only_the_browser_can_vouch() -> None:
    assert not auth.origin_allowed(scope(("host", "testserver")))
    assert auth.origin_allowed(scope(("host", "testserver"), ("sec-fetch-site", "same-origin")))
    for site in ("same-site", "cross-site", "none"):
        assert not auth.origin_allowed(scope(("host", "testserver"), ("sec-fetch-site", site)))
    both = ("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")
    assert not auth.origin_allowed(scope(("host", "testserver"), *both))
    twice = ("origin", "https://testserver"), ("origin", "https://evil.example")
    assert not auth.origin_allowed(scope(("host", "testserver"), *twice))


def test_forwarded_hosts_count_only_where_django_believes_them(settings: Any) -> None:
    headers = ("host", "localhost"), ("x-forwarded-host", "testserver"), ("origin", "https://testserver")
    assert not auth.origin_allowed(scope(*headers))
    settings.USE_X_FORWARDED_HOST = True
    assert auth.origin_allowed(scope(*headers))


# --- the end of an account -------------------------------------------------------------------------------------------


def test_a_deactivated_account_ends_its_live_sessions(nora: Any, tokens: auth.Tokens) -> None:
    session = auth.user_for_access_token(tokens.access_token).session_id
    anonymous = auth.log_in_anonymously()
    accounts.delete_account(auth.user_for_access_token(anonymous.access_token).user)
    assert auth.still_valid([session], [nora.pk]) == auth.Ended(set(), set())
    accounts.delete_account(nora)
    assert auth.still_valid([session], [nora.pk]) == auth.Ended({session}, {nora.pk})
    assert get_user_model().objects.filter(is_active=False).count() == 2


@pytest.mark.parametrize(
    "error", [models.ProtectedError("reports", set()), models.RestrictedError("reports", set()), IntegrityError()]
)
def test_what_protects_a_user_keeps_the_account_as_it_was(
    nora: Any, tokens: auth.Tokens, configure: Any, error: Exception, caplog: Any
) -> None:
    def protect(**_: Any) -> None:
        raise error

    configure(ACCOUNT_DELETION="delete")
    post_delete.connect(protect, sender=get_user_model())
    try:
        with pytest.raises(Refused, match="refers to it") as refused:
            accounts.delete_account(get_user_model().objects.get(pk=nora.pk))
    finally:
        post_delete.disconnect(protect, sender=get_user_model())
    assert refused.value.code == "NotCallable" and "cannot be deleted" in caplog.text
    assert auth.user_for_access_token(tokens.access_token).user == nora


def test_who_ended_the_account_is_logged(nora: Any, configure: Any, caplog: Any) -> None:
    caplog.set_level("INFO", "realm_sync.accounts")
    configure(ACCOUNT_DELETION="refuse")
    with pytest.raises(Refused):
        accounts.delete_account(nora)
    configure(ACCOUNT_DELETION="delete")
    accounts.delete_account(nora)
    first, second = (record.getMessage() for record in caplog.records)
    assert "refuses" in first and "ended at its user's request (delete)" in second


def test_a_user_model_without_is_active_cannot_be_deactivated(nora: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "has_field", lambda name: False)
    with pytest.raises(Refused, match="has no is_active"):
        accounts.delete_account(nora)
    nora.refresh_from_db()
    assert nora.has_usable_password()
