"""Views: what a session sees of a class, shared between equal sessions, and the index that finds those a change concerns.

A view is (class, predicate): a file's subscriptions of the class, OR-ed, and its user's access, AND-ed. R5: a live change
costs by what it touches. Each view stands in the index under one equality condition that its predicate implies
(`team == 3`), so a change looks up the values it has before and after; views that imply none are tried for every change
of their class. Knows no sessions: a subscriber is any hashable object.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any

from .changes import Change, Image, Predicate
from .lowering import equality_keys
from .nodes import FALSE, Node
from .predicate import compile_predicate
from .schema import Schema
from .text import to_text

_UNINDEXED = ("", None)


class View:
    """One class as one predicate shows it. Equal views are one object in a ViewIndex; `key` decides equality."""

    __slots__ = ("class_name", "key", "matches", "node", "places", "subscribers")

    def __init__(self, class_name: str, node: Node, schema: Schema) -> None:
        self.class_name, self.node = class_name, node
        self.key = (class_name, to_text(node))
        self.matches: Predicate = compile_predicate(node, schema[class_name], schema)
        self.subscribers: set[Hashable] = set()
        self.places: list[tuple[str, Any]] = []
        """The (property, wire value) pairs it stands under in the index."""

    @property
    def is_empty(self) -> bool:
        """Nothing can ever be in it."""
        return self.node == FALSE


class ViewIndex:
    """All views of all live sessions of a process."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._views: dict[tuple[str, str], View] = {}
        self._index: dict[str, dict[tuple[str, Any], set[View]]] = defaultdict(dict)
        self._properties: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        """class → property → how many places use it: which of a change's values to look up."""

    def __len__(self) -> int:
        return len(self._views)

    def classes(self) -> set[str]:
        """The classes that anybody sees."""
        return {class_name for class_name, _ in self._views}

    def subscribe(self, view: View, subscriber: Hashable) -> View:
        """The shared view equal to `view`, with the subscriber among its own. Undone by `unsubscribe`."""
        shared = self._views.get(view.key)
        if shared is None:
            shared = self._views[view.key] = view
            self._place(view)
        shared.subscribers.add(subscriber)
        return shared

    def unsubscribe(self, view: View, subscriber: Hashable) -> None:
        view.subscribers.discard(subscriber)
        if not view.subscribers and view.key in self._views:
            del self._views[view.key]
            index, properties = self._index[view.class_name], self._properties[view.class_name]
            for place in view.places:
                index[place].discard(view)
                if not index[place]:
                    del index[place]
                properties[place[0]] -= 1
                if not properties[place[0]]:
                    del properties[place[0]]

    def match(self, change: Change) -> Iterator[tuple[View, bool, bool]]:
        """(view, contained it before, contains it after) for every view that did or does."""
        properties = self._properties.get(change.class_name)
        if not properties:
            return
        before, after = change.images()
        index = self._index[change.class_name]
        candidates: set[View] = set()
        for name in properties:
            if not name:
                candidates |= index[_UNINDEXED]
                continue
            for image in (before, after):
                if image is not None and (found := index.get((name, image.get(name)))):
                    candidates |= found
        for view in candidates:
            was, now = _contains(view, before), _contains(view, after)
            if was or now:
                yield view, was, now

    def _place(self, view: View) -> None:
        index, properties = self._index[view.class_name], self._properties[view.class_name]
        keys = {} if view.is_empty else equality_keys(view.node)
        if view.is_empty:
            places: list[tuple[str, Any]] = []
        elif keys:
            # The condition with the smallest buckets so far separates best: `owner == 7` rather than `status == "open"`.
            choices = ([(name, value) for value in values] for name, values in keys.items())
            places = min(choices, key=lambda choice: sum(len(index.get(place, ())) for place in choice))
        else:
            places = [_UNINDEXED]
        view.places = places
        for place in places:
            index.setdefault(place, set()).add(view)
            properties[place[0]] += 1


def _contains(view: View, image: Image | None) -> bool:
    return image is not None and view.matches(image)
