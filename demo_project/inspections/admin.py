"""The admin of the demo. What is saved here reaches every client at once, as any other write does."""

from __future__ import annotations

from django.contrib import admin

from .models import Airfield, Inspection, Inspector, Team


@admin.register(Airfield)
class AirfieldAdmin(admin.ModelAdmin):
    list_display = ["icao", "iata", "name", "city", "country", "elevation"]
    list_filter = ["country"]
    search_fields = ["=icao", "=iata", "name", "city"]


class InspectorInline(admin.TabularInline):
    model = Inspector
    extra = 0


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    list_display = ["name", "id"]
    inlines = [InspectorInline]


@admin.register(Inspector)
class InspectorAdmin(admin.ModelAdmin):
    list_display = ["user", "team"]
    list_filter = ["team"]
    search_fields = ["user__username"]


@admin.register(Inspection)
class InspectionAdmin(admin.ModelAdmin):
    list_display = ["title", "airfield", "team", "inspector", "status", "priority", "due", "hours"]
    list_editable = ["status", "priority"]
    list_filter = ["team", "status", "priority", "inspector"]
    list_select_related = ["airfield", "team", "inspector"]
    search_fields = ["title", "notes", "=airfield__icao", "airfield__name"]
    autocomplete_fields = ["airfield"]
    date_hierarchy = "due"
    readonly_fields = ["created_at"]
