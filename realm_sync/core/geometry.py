"""Geometry: whether a point on the sphere lies in a box, a circle or a polygon (reference 10.10).

Decides what a point is (longitude and latitude in degrees, in GeoJSON's order) and what a region is. A box runs along
meridians and parallels, eastwards from its first corner; the edges of polygons are great circles, and a ring encloses the
side that is smaller than a hemisphere. Plain IEEE arithmetic in a fixed order, so that core/geometry.js decides alike.
Knows no queries but their Geometry node. Called by binding.py, literals.py and predicate.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from .nodes import Geometry

_Vector = tuple[float, float, float]


def geometry_problem(geometry: Geometry) -> str:
    """Why this is no region; "" if it is one."""
    for ring in geometry.rings:
        for point in ring:
            longitude, latitude = float(point[0]), float(point[1])
            if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
                return f"Longitude/latitude is out of bounds, lng: {_short(point[0])} lat: {_short(point[1])}"
    if geometry.shape == "geoCircle":
        radius = geometry.radius
        valid = isinstance(radius, Decimal) and radius.is_finite() and radius >= 0
        return "" if valid else "The radius of a circle must be a non-negative number"
    if geometry.shape == "geoBox":
        (low, high), *_ = geometry.rings
        return "" if low[1] <= high[1] else "The first corner of a box is its southern one"
    for ring in geometry.rings:
        if problem := _ring_problem(ring):
            return problem
    return ""


def _short(number: Decimal) -> str:
    return f"{float(number):g}"


def _ring_problem(ring: Sequence[Sequence[Decimal]]) -> str:
    if [float(each) for each in ring[0][:2]] != [float(each) for each in ring[-1][:2]]:
        first, last = (f"[{_short(point[0])}, {_short(point[1])}]" for point in (ring[0], ring[-1]))
        return f"Ring is not closed, first vertex '{first}' does not equal last vertex '{last}'"
    unique = len({(float(point[0]), float(point[1])) for point in ring})
    if unique < 3:
        return f"Ring must have at least 3 different vertices, {unique} unique vertices were provided"
    vertices = [_vector(float(point[0]), float(point[1])) for point in ring[:-1]]
    middle = _middle(vertices)
    if middle is None or min(_dot(vertex, middle) for vertex in vertices) <= 0:
        return "A ring must fit into a hemisphere"
    return ""


def compile_geometry(geometry: Geometry) -> Callable[[Any], bool]:
    """A function from wire values of embedded points to whether they lie within a region that has no problem. What is
    no point (null, another type, too few or impossible coordinates) does not."""
    contains = _REGIONS[geometry.shape](geometry)

    def within(value: Any) -> bool:
        point = _point(value)
        return point is not None and contains(*point)

    return within


def _point(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, Mapping) or value.get("type") != "Point":
        return None
    coordinates = value.get("coordinates")
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return None
    longitude, latitude = coordinates[:2]
    for number in (longitude, latitude):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            return None
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        return None
    return longitude, latitude


# --- Regions ---


def _box(geometry: Geometry) -> Callable[[float, float], bool]:
    (west, south), (east, north) = ((float(point[0]), float(point[1])) for point in geometry.rings[0])
    wraps = west > east

    def contains(longitude: float, latitude: float) -> bool:
        if not south <= latitude <= north:
            return False
        if wraps:
            return longitude >= west or longitude <= east
        return west <= longitude <= east or (longitude == -180 and east == 180) or (longitude == 180 and west == -180)

    return contains


def _circle(geometry: Geometry) -> Callable[[float, float], bool]:
    [[center]] = geometry.rings
    middle = _vector(float(center[0]), float(center[1]))
    assert isinstance(geometry.radius, Decimal)
    radius = float(geometry.radius)

    def contains(longitude: float, latitude: float) -> bool:
        # The chord, not the cosine: that has no digits left for small circles.
        point = _vector(longitude, latitude)
        x, y, z = (a - b for a, b in zip(point, middle, strict=True))
        return 2 * math.asin(min(1.0, math.sqrt(x * x + y * y + z * z) / 2)) <= radius

    return contains


def _polygon(geometry: Geometry) -> Callable[[float, float], bool]:
    outer, *holes = (_ring(ring) for ring in geometry.rings)

    def contains(longitude: float, latitude: float) -> bool:
        point = _vector(longitude, latitude)
        return outer(point) and not any(hole(point) for hole in holes)

    return contains


_REGIONS = {"geoBox": _box, "geoCircle": _circle, "geoPolygon": _polygon}


def _ring(ring: Sequence[Sequence[Decimal]]) -> Callable[[_Vector], bool]:
    """Counts how often the great circle from a point to one that is certainly outside crosses the ring."""
    vertices = [_vector(float(point[0]), float(point[1])) for point in ring[:-1]]
    middle = _middle(vertices)
    assert middle is not None
    reach = min(_dot(vertex, middle) for vertex in vertices)
    outside = _outside(middle)
    edges = [
        (first, second, _cross(first, second))
        for first, second in zip(vertices, vertices[1:] + vertices[:1], strict=True)
    ]

    def contains(point: _Vector) -> bool:
        if _dot(point, middle) < reach - 1e-12:  # beyond the cap around all vertices, which is convex
            return False
        line = _cross(point, outside)
        crossings = 0
        for first, second, normal in edges:
            before, after = _dot(line, first) >= 0, _dot(line, second) >= 0
            if before == after:
                continue
            here, there = _dot(normal, point) >= 0, _dot(normal, outside) >= 0
            # The last condition: they meet on this side of the sphere and not on the other.
            if here != there and before != here:
                crossings += 1
        return crossings % 2 == 1

    return contains


def _outside(middle: _Vector) -> _Vector:
    """A point 135 degrees from the middle: no point of a ring's cap is near its antipode unless the ring is huge."""
    axis = (1.0, 0.0, 0.0) if abs(middle[0]) < 0.6 else (0.0, 1.0, 0.0)
    side = _unit(_cross(middle, axis))
    assert side is not None
    found = _unit((side[0] - middle[0], side[1] - middle[1], side[2] - middle[2]))
    assert found is not None
    return found


def _vector(longitude: float, latitude: float) -> _Vector:
    across, up = math.radians(longitude), math.radians(latitude)
    return math.cos(up) * math.cos(across), math.cos(up) * math.sin(across), math.sin(up)


def _middle(vertices: Iterable[_Vector]) -> _Vector | None:
    x = y = z = 0.0
    for vertex in vertices:
        x, y, z = x + vertex[0], y + vertex[1], z + vertex[2]
    return _unit((x, y, z))


def _unit(vector: _Vector) -> _Vector | None:
    length = math.sqrt(_dot(vector, vector))
    return None if length < 1e-12 else (vector[0] / length, vector[1] / length, vector[2] / length)


def _dot(a: _Vector, b: _Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: _Vector, b: _Vector) -> _Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


# --- Regions given as arguments ---


def from_shape(value: Mapping[str, Any], number: Callable[[Any], Decimal | None]) -> Geometry | str:
    """The region that an argument object describes, as the Realm SDKs write them; a text says what is wrong with it.
    `number` reads a coordinate."""
    keys = set(value)
    if keys == {"bottomLeft", "topRight"}:
        return _shape("geoBox", [[value["bottomLeft"], value["topRight"]]], number)
    if keys == {"center", "distance"}:
        radius = number(value["distance"])
        circle = _shape("geoCircle", [[value["center"]]], number)
        if isinstance(circle, str):
            return circle
        return (
            "'distance' must be a number of radians" if radius is None else Geometry("geoCircle", circle.rings, radius)
        )
    if "outerRing" in keys and keys <= {"outerRing", "holes"}:
        return _shape("geoPolygon", [value["outerRing"], *(value.get("holes") or ())], number)
    if keys == {"type", "coordinates"} and value["type"] == "Polygon":
        return _shape("geoPolygon", value["coordinates"], number)
    return "it is no box (bottomLeft, topRight), circle (center, distance) or polygon (outerRing, holes)"


def _shape(shape: str, rings: Any, number: Callable[[Any], Decimal | None]) -> Geometry | str:
    if not isinstance(rings, (list, tuple)) or not rings:
        return "Polygon has no rings."
    found = []
    for ring in rings:
        if not isinstance(ring, (list, tuple)) or not ring:
            return "a ring must be an array of points"
        points = [_read_point(point, number) for point in ring]
        if None in points:
            return "a point must be [longitude, latitude], {longitude, latitude} or a GeoJSON point"
        found.append(tuple(points))
    return Geometry(shape, tuple(found))  # type: ignore[arg-type]


def _read_point(value: Any, number: Callable[[Any], Decimal | None]) -> tuple[Decimal, ...] | None:
    if isinstance(value, Mapping):
        if value.get("type") == "Point":
            value = value.get("coordinates")
        else:
            altitude = value.get("altitude")
            value = [value.get("longitude"), value.get("latitude"), *([] if altitude is None else [altitude])]
    if not isinstance(value, (list, tuple)) or not 2 <= len(value) <= 3:
        return None
    numbers = [number(each) for each in value]
    return None if None in numbers else tuple(numbers)  # type: ignore[arg-type]
