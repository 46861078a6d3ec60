"""Sharing trees: how many there are, that tasks which parted never meet again, their names, text and picture."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.errors import UsageError
from mtlbench.models.sharing import (
    BLOCKS,
    Partition,
    Tree,
    all_trees,
    by_index,
    level,
    parse,
    picture,
    refinements,
    set_partitions,
)

NAMES = ("segmentation", "normals", "depth", "keypoints2d", "edge_texture")


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Any tree of 1 to 5 tasks and 1 to 6 blocks."""
    partition = draw(st.sampled_from(set_partitions(draw(st.integers(1, 5)))))
    chain = [partition]
    for _ in range(draw(st.integers(0, 5))):
        chain.append(draw(st.sampled_from(refinements(chain[-1]))))
    return Tree(tuple(chain))


@pytest.mark.parametrize(("tasks", "count"), [(1, 1), (2, 6), (3, 51), (5, 7556)])
def test_number_of_trees(tasks, count):
    found = all_trees(tasks)
    assert len(found) == len(set(found)) == count


def test_trees_of_three_tasks_match_brute_force():
    """Every choice of one partition per block, kept where no pair of tasks meets again after parting."""

    def together(partition: Partition) -> set[tuple[int, int]]:
        return {pair for group in partition for pair in itertools.combinations(group, 2)}

    chains = [
        chain
        for chain in itertools.product(set_partitions(3), repeat=BLOCKS)
        if all(together(finer) <= together(coarser) for coarser, finer in itertools.pairwise(chain))
    ]
    assert {tree.partitions for tree in all_trees(3)} == set(chains)


def test_order_runs_from_independent_to_all_shared():
    for tasks in (2, 3, 4):
        found = all_trees(tasks)
        copies = [tree.copies for tree in found]
        assert copies == sorted(copies, reverse=True)
        assert (found[0].name, found[-1].name) == ("independent", "all_shared")
        assert (copies[0], copies[-1]) == (tasks * BLOCKS, BLOCKS)


def test_trees_are_immutable_and_hashable():
    tree = level(3, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        tree.partitions = ()  # type: ignore[misc]
    again = parse(str(tree), 3)
    assert again is not tree
    assert {tree: "found"}[again] == "found"
    assert level(3, 1) != tree


@given(trees())
def test_tasks_that_parted_never_meet_again(tree):
    for block in range(1, tree.blocks):
        for task in range(tree.tasks):
            assert set(tree.group_of(task, block)) <= set(tree.group_of(task, block - 1))


@given(trees())
def test_each_block_holds_each_task_once(tree):
    for block, partition in enumerate(tree.partitions):
        assert sorted(itertools.chain(*partition)) == list(range(tree.tasks))
        assert all(task in tree.group_of(task, block) for task in range(tree.tasks))
    groups = {(block, tree.group_of(task, block)) for block in range(tree.blocks) for task in range(tree.tasks)}
    assert tree.copies == len(groups)


@given(trees())
def test_text_round_trip(tree):
    assert parse(str(tree), tree.tasks, tree.blocks) == tree


@given(trees())
def test_index_round_trip(tree):
    if tree.blocks <= 4:  # more would list tens of thousands of trees
        assert by_index(all_trees(tree.tasks, tree.blocks).index(tree), tree.tasks, tree.blocks) == tree


def test_index_round_trip_of_every_tree():
    for tasks in (3, 5):
        for index, tree in enumerate(all_trees(tasks)):
            assert by_index(index, tasks) == tree


def test_text_may_be_written_in_any_order():
    assert parse(" 210 | 012|21,0|2,1,0| 0,1 ,2", 3) == parse("012|012|0,12|0,1,2|0,1,2", 3)


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_names_of_levels(tasks):
    names = [level(tasks, shared).name for shared in range(BLOCKS + 1)]
    assert names == ["independent", "share1", "share2", "share3", "share4", "all_shared"]
    for shared in range(BLOCKS + 1):
        tree = level(tasks, shared)
        assert tree.is_level
        assert tree.shared_blocks == shared
        assert tree.copies == shared + (BLOCKS - shared) * tasks


def test_names_are_unique_and_lead_back():
    names = {}
    for index, tree in enumerate(all_trees(3)):
        names[tree.name] = tree
        if not tree.is_level:
            assert tree.name == f"tree{index}"
    assert len(names) == 51
    assert sum(tree.is_level for tree in names.values()) == BLOCKS + 1


@pytest.mark.parametrize("index", [-1, 51, 10**6])
def test_index_out_of_range(index):
    with pytest.raises(UsageError, match=rf"sharing\.index={index}: 3 tasks have 51 trees, 0 to 50"):
        by_index(index, 3)


@pytest.mark.parametrize("shared", [-1, BLOCKS + 1])
def test_level_out_of_range(shared):
    with pytest.raises(UsageError, match=rf"sharing\.shared_blocks={shared}: expected 0"):
        level(3, shared)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected 5 blocks"),
        ("012|012", "expected 5 blocks"),
        ("012|012|012|012|012|012", "expected 5 blocks"),
        ("012|012|a,12|0,1,2|0,1,2", "expected 5 blocks"),
        ("012|012|0;12|0,1,2|0,1,2", "expected 5 blocks"),
        ("||||", "block 0 must hold"),
        ("012|012|012|0,12|01,2", "block 4 joins tasks that parted"),
        ("0,1,2|012|012|012|012", "block 1 joins tasks that parted"),
        ("012|012|01|0,1,2|0,1,2", "block 2 must hold"),
        ("012|012|012|01,12|0,1,2", "block 3 must hold"),
        ("013|013|013|013|013", "block 0 must hold"),
        ("012,|012|012|012|012", "block 0"),
        ("012|012|012|012|0,,12", "block 4"),
        ("0123|0123|0123|0123|0123", "places 4 tasks, the dataset has 3"),
        ("01|01|01|01|01", "places 2 tasks, the dataset has 3"),
    ],
)
def test_bad_partitions_name_the_option(text, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        parse(text, 3)
    assert str(caught.value).startswith("sharing.partitions=")
    assert caught.value.status == 2


@given(st.text("012,| 3a", max_size=30))
def test_any_text_is_a_tree_or_a_usage_error(text):
    try:
        tree = parse(text, 3)
    except UsageError:
        return
    assert tree in all_trees(3)


@given(trees())
def test_picture_has_a_row_a_task_and_a_dot_a_copy(tree):
    drawn = picture(tree, NAMES[: tree.tasks])
    rows = drawn.split("\n")
    assert len(rows) == tree.tasks
    assert drawn.count("●") == tree.copies
    assert all(row.lstrip().startswith(name) for row, name in zip(rows, NAMES, strict=False))


def test_picture_of_a_tree():
    assert picture(parse("012|012|0,12|0,1,2|0,1,2", 3), ("a", "b", "c")) == (
        "a ●──●──●──●──●\n"
        "b     ╰─●──●──●\n"
        "c        ╰─●──●"
    )  # fmt: skip
