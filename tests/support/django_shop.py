"""A Django project in one module: real settings, a real model, and the database of the test behind its aliases."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import django
from django.conf import settings
from django.db import connections, models

if not settings.configured:
    settings.configure(
        DATABASES={}, INSTALLED_APPS=[], USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField"
    )
    django.setup()


class Order(models.Model):  # type: ignore[misc]  # Django has no types
    """What the shop stores beside its saga."""

    number = models.TextField(unique=True)

    class Meta:
        app_label = "shop"

    def __str__(self) -> str:
        return str(self.number)


@contextmanager
def databases(url: str, **more: dict[str, Any]) -> Generator[None]:
    """Django on the database of the test, as `default`, with the table of its model; and other aliases beside it."""
    _forget()
    before = connections.settings
    connections.settings = connections.configure_settings({"default": _settings(url), **more})
    try:
        with connections["default"].schema_editor() as editor:
            editor.create_model(Order)
        yield
    finally:
        _forget()
        connections.settings = before


def _forget() -> None:
    """Close what is open, so that the next use of an alias reads its settings anew."""
    connections.close_all()
    for alias in connections.settings:
        if hasattr(connections._connections, alias):
            del connections[alias]


def second(url: str, **options: Any) -> dict[str, Any]:
    """The settings of another alias for the same database."""
    return {**_settings(url), **options}


def _settings(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql", "NAME": parts.path.lstrip("/"), "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""), "HOST": query.get("host", parts.hostname or ""),
        "PORT": query.get("port", str(parts.port or "")),
    }  # fmt: skip
