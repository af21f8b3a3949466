"""Accounts and what their users do with them: register, confirm the address, choose a new password, link, delete.

Users are Django users, and tokens in mails are those of Django's token generator: good once, for PASSWORD_RESET_TIMEOUT.
Who has registered and not yet confirmed is an inactive user with a `PENDING` identity; only such a user can be confirmed,
so nobody whom an operator deactivated comes back this way. Nothing here tells a stranger who has an account, but for
`register`, which cannot do without: asking for a mail succeeds whether one is sent or not.

Raises `Refused`. Log-in itself is auth.py; routes and bodies are views.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator, default_token_generator
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import IntegrityError, connections, models, router, transaction
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django.views.decorators.debug import sensitive_variables

from .auth import (
    ANONYMOUS,
    CUSTOM_FUNCTION,
    CUSTOM_TOKEN,
    EMAIL_PASSWORD,
    PENDING,
    UNUSED,
    Refused,
    email_field,
    found_by_function,
    has_field,
    subject_of_custom_token,
    user_of_name,
    user_of_password,
)
from .conf import settings
from .core import ejson
from .core.errors import ValueTypeError
from .core.values import encode
from .functions import FunctionError
from .models import ApiKey, Identity, UserSession
from .throttling import is_allowed

logger = logging.getLogger("realm_sync.accounts")

MAILS_PER_HOUR = 5
"""Most mails that strangers can have sent to one address."""

KEEP_PENDING = timedelta(days=30)
"""How long somebody may wait before he confirms his address; then it is free again."""

Absolute = Callable[[str], str]
"""Makes a path of this site a URL: `request.build_absolute_uri`."""


class Registration(NamedTuple):
    """What a confirmation function (CONFIRMATION) is called with."""

    user: Any
    """Inactive, until confirmed."""
    username: str
    token: str
    token_id: str
    """What `confirmUser` takes, beside the token."""


class PasswordReset(NamedTuple):
    """What a password-reset function (PASSWORD_RESET_FUNCTION) is called with, before the arguments of the client."""

    user: Any
    username: str
    password: str
    """The new one."""
    token: str
    token_id: str
    """What `resetPassword` takes, beside the token."""
    current_password_valid: bool
    """Whether `password` is the user's password already."""


class _ConfirmationTokens(PasswordResetTokenGenerator):
    """Never a token for a new password, nor the other way round."""

    key_salt = "realm_sync.accounts.confirmation"


confirmation_tokens = _ConfirmationTokens()


# --- registration ----------------------------------------------------------------------------------------------------


@sensitive_variables()
def register(email: str, password: str, absolute: Absolute) -> None:
    """Makes a user whose username is the email address, active as CONFIRMATION says. Does not log in.

    Raises Refused: switched off, `AccountNameInUse` if any user has it as name or email address in whatever case,
    `BadRequest` if the address or the password (AUTH_PASSWORD_VALIDATORS) will not do, or if the confirmation function
    says so.
    """
    if not settings.REGISTRATION:
        raise Refused("NotCallable", "registration is switched off")
    user_model = get_user_model()
    name = user_model.normalize_username(email)
    try:
        validate_email(name)
        user = user_model(**{user_model.USERNAME_FIELD: name})
        if address := email_field():
            setattr(user, address, name)
        user.clean_fields(exclude=["password"])
        validate_password(password, user)
    except ValidationError as error:
        raise Refused("BadRequest", " ".join(error.messages)) from error
    taken = models.Q(**{f"{user_model.USERNAME_FIELD}__iexact": name})
    if address:
        taken |= models.Q(**{f"{address}__iexact": name})
    if user_model._default_manager.filter(taken).exists():
        raise Refused("AccountNameInUse", "name already in use")
    user.set_password(password)
    confirmation = _confirmation()
    if confirmation != "automatic":
        if not has_field("is_active"):
            raise ImproperlyConfigured("CONFIRMATION needs a user model with a field is_active.")
        user.is_active = False
    try:
        with transaction.atomic(using=router.db_for_write(user_model)):
            user.save()
            kind = UNUSED if confirmation == "automatic" else PENDING
            Identity.objects.create(user=user, provider_type=kind, subject=str(user.pk))
            if callable(confirmation):
                _ask_confirmation(confirmation, user)
    except IntegrityError as error:
        raise Refused("AccountNameInUse", "name already in use") from error
    if confirmation == "email":
        _send_confirmation(user, absolute)


def confirm(token: str, token_id: str) -> None:
    """Activates a user who registered. Raises Refused with `UserpassTokenInvalid`, also the second time."""
    user = _user_of_token(confirmation_tokens, token, token_id)
    if user is None or not _activate(user):
        raise Refused("UserpassTokenInvalid", "invalid token data")


def send_confirmation(email: str, absolute: Absolute) -> None:
    """Sends the mail again, if somebody with this address has yet to confirm it. Never says whether."""
    if _confirmation() != "email":
        raise Refused("NotCallable", "this server confirms no addresses by mail")
    user = _pending_user(email)
    if user is not None:
        _send_confirmation(user, absolute)


def call_confirmation(email: str) -> None:
    """Asks the confirmation function again about somebody who has yet to be confirmed. Never says whether."""
    confirmation = _confirmation()
    if not callable(confirmation):
        raise Refused("FunctionNotFound", "this server has no confirmation function")
    user = _pending_user(email)
    if user is not None:
        _ask_confirmation(confirmation, user)


def prune_registrations() -> int:
    """Deletes users who registered and did not confirm within KEEP_PENDING. Returns how many."""
    stale = Identity.objects.filter(provider_type=PENDING, created__lt=timezone.now() - KEEP_PENDING)
    users = get_user_model()._default_manager.filter(pk__in=stale.values("user"), is_active=False)
    count = users.count() if has_field("is_active") else 0
    if count:
        users.delete()
    return count


def _confirmation() -> Any:
    """`"automatic"`, `"email"` or a function."""
    value = settings.CONFIRMATION
    if value == "email" and not settings.CONFIRMATION_URL:
        raise ImproperlyConfigured('REALM_SYNC["CONFIRMATION_URL"] must be the page that calls confirmUser.')
    return value if value in ("automatic", "email") else settings.hook("CONFIRMATION")


def _ask_confirmation(function: Callable[[Registration], Any], user: Any) -> None:
    token, token_id = _token(confirmation_tokens, user)
    status = _status("CONFIRMATION", function, Registration(user, user.get_username(), token, token_id))
    if status == "fail":
        raise Refused("BadRequest", f'failed to confirm user "{user.get_username()}"')
    if status == "success":
        _activate(user)


def _activate(user: Any) -> bool:
    """Whether the user was waiting for it; only one of several at once succeeds."""
    with transaction.atomic(using=router.db_for_write(get_user_model())):
        if not Identity.objects.filter(user=user, provider_type=PENDING).update(provider_type=UNUSED):
            return False
        user.is_active = True
        user.save(update_fields=["is_active"])
    return True


def _pending_user(email: str) -> Any | None:
    user = user_of_name(get_user_model().normalize_username(email))
    is_pending = user is not None and Identity.objects.filter(user=user, provider_type=PENDING).exists()
    return user if is_pending else None


def _send_confirmation(user: Any, absolute: Absolute) -> None:
    token, token_id = _token(confirmation_tokens, user)
    _send("confirmation", user, absolute, _with_token(settings.CONFIRMATION_URL, token, token_id), token, token_id)


# --- passwords -------------------------------------------------------------------------------------------------------


def send_password_reset(email: str, absolute: Absolute) -> None:
    """Sends a link to where a new password is chosen, to the address that the user has. Never says whether there is one.

    As on Django's own pages, only active users with a usable password get it: who logs in elsewhere has none to lose.
    Raises Refused if there is no page to link to.
    """
    user = user_of_name(get_user_model().normalize_username(email))
    known = user is not None and user.is_active and user.has_usable_password()
    token, token_id = _token(default_token_generator, user) if known else ("", "")
    link = _reset_link(token, token_id)
    if known:
        _send("password_reset", user, absolute, link, token, token_id)


@sensitive_variables()
def reset_password(token: str, token_id: str, password: str) -> None:
    """Sets a new password, which ends all sessions that were opened with the old one. Raises Refused:
    `UserpassTokenInvalid`, also the second time, and `BadRequest` if the password will not do."""
    with transaction.atomic(using=router.db_for_write(get_user_model())):
        # Locked: of two who use the token at once, the second finds it used.
        user = _user_of_token(default_token_generator, token, token_id, locked=True)
        if user is None or not user.is_active:
            raise Refused("UserpassTokenInvalid", "invalid token data")
        _set_password(user, password)


@sensitive_variables()
def call_password_reset(email: str, password: str, arguments: Sequence[Any]) -> None:
    """Lets PASSWORD_RESET_FUNCTION decide whether the password is set. Raises Refused if it is not: who has no account
    and who the function fails hear the same."""
    function = settings.hook("PASSWORD_RESET_FUNCTION")
    if function is None:
        raise Refused("FunctionNotFound", "this server has no password reset function")
    try:
        given = [ejson.decode(each, f"arguments[{at}]") for at, each in enumerate(arguments)]
    except ValueTypeError as error:
        raise Refused("BadRequest", str(error)) from error
    name = get_user_model().normalize_username(email)
    user = user_of_name(name)
    status = "fail"
    if user is not None and user.is_active:
        token, token_id = _token(default_token_generator, user)
        asked = PasswordReset(user, user.get_username(), password, token, token_id, user.check_password(password))
        status = _status("PASSWORD_RESET_FUNCTION", function, asked, *given)
    else:
        get_user_model()().set_password(password)  # takes as long as checking one
    if status == "fail":
        raise Refused("BadRequest", f'failed to reset password for user "{name}"')
    if status == "success":
        _set_password(user, password)


def _set_password(user: Any, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Refused("BadRequest", " ".join(error.messages)) from error
    user.set_password(password)
    user.save(update_fields=["password"])


def _reset_link(token: str, token_id: str) -> str:
    """PASSWORD_RESET_URL, or else Django's own page, which takes the same token, if urls.py has it."""
    if settings.PASSWORD_RESET_URL:
        return _with_token(settings.PASSWORD_RESET_URL, token, token_id)
    try:
        return reverse("password_reset_confirm", kwargs={"uidb64": token_id or "-", "token": token or "-"})
    except NoReverseMatch as error:
        text = "this server sends no mails for new passwords: REALM_SYNC['PASSWORD_RESET_URL'] is not set"
        raise Refused("NotCallable", text) from error


# --- tokens, mails and functions of the project ----------------------------------------------------------------------


def _token(generator: PasswordResetTokenGenerator, user: Any) -> tuple[str, str]:
    return generator.make_token(user), urlsafe_base64_encode(force_bytes(user.pk))


def _user_of_token(
    generator: PasswordResetTokenGenerator, token: str, token_id: str, locked: bool = False
) -> Any | None:
    user_model = get_user_model()
    users = user_model._default_manager.using(router.db_for_write(user_model))
    try:
        key = user_model._meta.pk.to_python(encode("string", urlsafe_base64_decode(token_id).decode()))
        user = (users.select_for_update() if locked else users).get(pk=key)
    except (TypeError, ValueError, OverflowError, ValidationError, user_model.DoesNotExist):
        return None
    return user if generator.check_token(user, token) else None


def _with_token(url: str, token: str, token_id: str) -> str:
    """The page of an app, told as App Services tells it: `?token=…&tokenId=…`."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("token", token), ("tokenId", token_id)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _send(template: str, user: Any, absolute: Absolute, link: str, token: str, token_id: str) -> None:
    """A mail of the templates `realm_sync/mail/<template>.txt` and `…_subject.txt`. What goes wrong is logged only: it
    would tell that there is somebody to send to."""
    address = getattr(user, email_field(), "") if email_field() else user.get_username()
    if not address:
        return
    if not is_allowed(f"mail.{template}", address.lower(), MAILS_PER_HOUR, 3600):
        logger.warning("User %s gets no more mails (%s) for now: %d an hour", user.pk, template, MAILS_PER_HOUR)
        return
    context = {
        "user": user,
        "email": address,
        "link": absolute(link),
        "token": token,
        "token_id": token_id,
        "app_id": settings.APP_ID,
    }
    subject = " ".join(render_to_string(f"realm_sync/mail/{template}_subject.txt", context).split())
    try:
        send_mail(subject, render_to_string(f"realm_sync/mail/{template}.txt", context), None, [address])
    except Exception:
        logger.exception("The mail '%s' to user %s was not sent", template, user.pk)


def _status(name: str, function: Callable[..., Any], asked: Any, *arguments: Any) -> str:
    """What a function of the project decided: "success", "pending" or "fail"."""
    try:
        status = function(asked, *arguments)
    except FunctionError as error:
        raise Refused("BadRequest", error.message) from error
    if status not in ("success", "pending", "fail"):
        raise ImproperlyConfigured(f'REALM_SYNC["{name}"] returned {status!r}: return "success", "pending" or "fail".')
    return str(status)


# --- linking: another way to log in for a user who is logged in -------------------------------------------------------


@sensitive_variables()
def link_password(user: Any, username: str, password: str, request: Any = None) -> None:
    """Gives the user the name and password of a registration that nobody has ever logged in with, which ceases to be a
    user of its own: `registerUser`, then `linkCredentials`. Raises Refused for any other account, whoever knows its
    password: two users do not become one."""
    other = user_of_password(username, password, request)
    if other.pk == user.pk:
        Identity.objects.get_or_create(provider_type=EMAIL_PASSWORD, subject=str(user.pk), defaults={"user": user})
        return
    if user.has_usable_password() or Identity.objects.filter(user=user, provider_type=EMAIL_PASSWORD).exists():
        raise Refused("AccountNameInUse", "this user has an email address and a password already")
    if not _is_unused(other):
        raise Refused("AccountNameInUse", "a user already exists with the specified provider")
    name_field = get_user_model().USERNAME_FIELD
    names = {field: getattr(other, field) for field in {name_field, email_field(), "password"} if field}
    try:
        with transaction.atomic(using=router.db_for_write(get_user_model())):
            if not Identity.objects.filter(user=other, provider_type=UNUSED).delete()[0]:
                raise Refused("AccountNameInUse", "a user already exists with the specified provider")
            _delete_user(other)
            for field, value in names.items():
                setattr(user, field, value)
            user.save(update_fields=list(names))
            Identity.objects.create(user=user, provider_type=EMAIL_PASSWORD, subject=str(user.pk))
            # From now on there is a password, and changing it ends what was opened without one, too.
            anonymous = UserSession.objects.filter(user=user, provider_type=ANONYMOUS)
            anonymous.update(auth_hash=user.get_session_auth_hash())
    except (models.ProtectedError, models.RestrictedError, IntegrityError) as error:
        logger.warning("User %s cannot be linked to the registration of user %s: %s", user.pk, other.pk, error)
        raise Refused("AccountNameInUse", "a user already exists with the specified provider") from error


@sensitive_variables()
def link_custom_token(user: Any, token: str) -> None:
    """The subject of a custom token logs this user in from now on. Raises Refused if it is somebody else's."""
    subject = subject_of_custom_token(token)
    field = (settings.CUSTOM_JWT or {}).get("user_field", "username")
    if get_user_model()._default_manager.filter(**{field: subject}).exclude(pk=user.pk).exists():
        raise Refused("AccountNameInUse", "a user already exists with the specified provider")
    _link(user, CUSTOM_TOKEN, subject)


@sensitive_variables()
def link_function(user: Any, payload: Mapping[str, Any]) -> None:
    """The name that LOGIN_FUNCTION makes of the payload logs this user in from now on. Raises Refused if it is, or may
    become, somebody else's."""
    found = found_by_function(payload)
    if isinstance(found, str):
        _link(user, CUSTOM_FUNCTION, found)
    elif found.pk != user.pk:
        raise Refused("AccountNameInUse", "a user already exists with the specified provider")


def _link(user: Any, provider: str, subject: str) -> None:
    identity, _ = Identity.objects.get_or_create(provider_type=provider, subject=subject, defaults={"user": user})
    if identity.user_id != user.pk:
        raise Refused("AccountNameInUse", "a user already exists with the specified provider")


def _is_unused(user: Any) -> bool:
    """Whether the user is a registration and nothing else: nobody has logged in, here or on the site's own pages, and no
    operator has made anything of it."""
    kinds = set(Identity.objects.filter(user=user).values_list("provider_type", flat=True))
    is_staff = getattr(user, "is_staff", False) or getattr(user, "is_superuser", False)
    return kinds == {UNUSED} and user.last_login is None and not is_staff


# --- the end of an account -------------------------------------------------------------------------------------------


def delete_account(user: Any) -> None:
    """Ends the account of a user who is logged in and asks for it, in the way that ACCOUNT_DELETION says. All of it is
    done or, if this raises, nothing. Live sessions end within `RECHECK_SECONDS`. Raises Refused with `NotCallable`."""
    mode = settings.ACCOUNT_DELETION
    if mode == "refuse":
        logger.info("User %s asked for the deletion of the account, which ACCOUNT_DELETION refuses", user.pk)
        raise Refused("NotCallable", "this server does not let users delete their accounts: ask its operator")
    key = user.pk
    try:
        with transaction.atomic(using=router.db_for_write(get_user_model())):
            _delete_user(user) if mode == "delete" else _deactivate(user)
    except (models.ProtectedError, models.RestrictedError, IntegrityError) as error:
        logger.warning("The account of user %s cannot be deleted: %s", key, error)
        problem = "the account cannot be deleted, because data that others need refers to it: ask the server's operator"
        raise Refused("NotCallable", problem) from error
    logger.info("The account of user %s ended at its user's request (%s)", key, mode)


def _deactivate(user: Any) -> None:
    if not has_field("is_active"):
        raise Refused("NotCallable", "accounts of this server cannot be deactivated: their model has no is_active")
    user.is_active = False
    user.set_unusable_password()
    user.save(update_fields=["is_active", "password"])
    UserSession.objects.filter(user=user).update(revoked=True)
    ApiKey.objects.filter(user=user).update(disabled=True)


def _delete_user(user: Any) -> None:
    user.delete()
    # Databases check foreign keys that Django does not know at the end of the transaction, which may be a request's.
    connection = connections[router.db_for_write(get_user_model())]
    if connection.vendor == "postgresql":
        connection.check_constraints()
