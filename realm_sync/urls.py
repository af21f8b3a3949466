"""Routes of the client HTTP API: `path("", include("realm_sync.urls"))` in the project's urls.py.

App Services' routes (PROTOCOL.md): providers below the app, sessions and API keys below the root, where the token names
the app. No route ends with a slash, and everything else below the root is a JSON 404.
"""

from __future__ import annotations

from django.urls import path, re_path

from . import views

app_name = "realm_sync"

ROOT = "api/client/v2.0"
APP = f"{ROOT}/app/<str:app_id>"

urlpatterns = [
    path(f"{APP}/location", views.Location.as_view(), name="location"),
    path(f"{APP}/config", views.Config.as_view(), name="config"),
    path(f"{APP}/auth/providers/local-userpass/register", views.Register.as_view(), name="register"),
    path(f"{APP}/auth/providers/local-userpass/confirm", views.Confirm.as_view(), name="confirm"),
    path(
        f"{APP}/auth/providers/local-userpass/confirm/send", views.SendConfirmation.as_view(), name="send_confirmation"
    ),
    path(
        f"{APP}/auth/providers/local-userpass/confirm/call", views.CallConfirmation.as_view(), name="call_confirmation"
    ),
    path(f"{APP}/auth/providers/local-userpass/reset", views.ResetPassword.as_view(), name="reset_password"),
    path(f"{APP}/auth/providers/local-userpass/reset/send", views.SendPasswordReset.as_view(), name="send_reset"),
    path(f"{APP}/auth/providers/local-userpass/reset/call", views.CallPasswordReset.as_view(), name="call_reset"),
    path(f"{APP}/auth/providers/<str:provider>/login", views.Login.as_view(), name="login"),
    path(f"{APP}/functions/call", views.CallFunction.as_view(), name="call_function"),
    path(f"{APP}/push/providers/<str:service>/registration", views.PushRegistration.as_view(), name="push"),
    path(f"{ROOT}/auth/profile", views.Profile.as_view(), name="profile"),
    path(f"{ROOT}/auth/delete", views.Account.as_view(), name="delete_account"),
    path(f"{ROOT}/auth/session", views.Session.as_view(), name="session"),
    path(f"{ROOT}/auth/api_keys", views.ApiKeys.as_view(), name="api_keys"),
    path(f"{ROOT}/auth/api_keys/<str:key_id>", views.OneApiKey.as_view(), name="api_key"),
    path(f"{ROOT}/auth/api_keys/<str:key_id>/enable", views.SwitchApiKey.as_view(), name="enable_api_key"),
    path(
        f"{ROOT}/auth/api_keys/<str:key_id>/disable",
        views.SwitchApiKey.as_view(disabled=True),
        name="disable_api_key",
    ),
    re_path(r"^api/client/v2\.0(/.*)?$", views.RouteNotFound.as_view()),
]
