"""How graphs are drawn."""

import random
import re
from itertools import pairwise

from hub.web.layers import BOX_HEIGHT, BOX_WIDTH, Drawing, draw


def corners(drawing: Drawing) -> dict[str, tuple[float, float]]:
    return {box.node: (box.x, box.y) for box in drawing.boxes}


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def check(drawing: Drawing) -> None:
    at = corners(drawing)
    for curve in drawing.curves:
        assert at[curve.parent][0] < at[curve.child][0]
        found = numbers(curve.path)
        assert found[:2] == [at[curve.parent][0] + BOX_WIDTH, at[curve.parent][1] + BOX_HEIGHT / 2]
        assert found[-2:] == [curve.x, curve.y] == [at[curve.child][0], at[curve.child][1] + BOX_HEIGHT / 2]
    places = sorted(at.values())
    for (x, y), (right, below) in pairwise(places):
        assert right >= x + BOX_WIDTH or below >= y + BOX_HEIGHT
    assert all(0 <= x <= drawing.width - BOX_WIDTH and 0 <= y <= drawing.height - BOX_HEIGHT for x, y in places)


def test_children_stand_to_the_right_of_all_their_parents() -> None:
    drawing = draw(["a", "b", "c", "d"], [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")])
    check(drawing)
    assert [corners(drawing)[node][0] for node in "abcd"] == sorted({x for x, _ in corners(drawing).values()})


def test_an_edge_over_a_column_goes_around_what_stands_there() -> None:
    drawing = draw(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
    long = next(curve for curve in drawing.curves if (curve.parent, curve.child) == ("a", "c"))
    crossing = numbers(long.path.split("L")[1])[1]
    top = corners(drawing)["b"][1]
    assert not top <= crossing <= top + BOX_HEIGHT


def test_what_can_be_drawn_without_crossings_is() -> None:
    drawing = draw(["a", "b", "x", "y"], [("a", "y"), ("b", "x")])
    at = corners(drawing)
    assert (at["a"][1] < at["b"][1]) == (at["y"][1] < at["x"][1])


def test_a_root_stands_next_to_its_child() -> None:
    drawing = draw(["a", "b", "c", "late"], [("a", "b"), ("b", "c"), ("late", "c")])
    assert corners(drawing)["late"][0] == corners(drawing)["b"][0]


def test_nothing_one_and_circles_are_drawn() -> None:
    assert draw([], []).boxes == ()
    check(draw(["only"], []))
    assert len(draw(["a", "b", "c"], [("a", "b"), ("b", "a"), ("b", "c")]).boxes) == 3


def test_hundreds_of_boxes_are_drawn_the_same_each_time() -> None:
    chance = random.Random(7)
    nodes = [f"n{number}" for number in range(300)]
    edges = sorted({(f"n{chance.randrange(number)}", f"n{number}") for number in range(1, 300) for _ in range(2)})
    drawing = draw(nodes, edges)
    check(drawing)
    assert drawing == draw(nodes, edges)
