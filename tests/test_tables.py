"""Tables, of which only the rows that are used are made: drawn, or widened from bfloat16."""

import numpy as np
import pytest
import torch

from attnviz.models.tables import BLOCK, DrawnTable, WidenedTable


def table(seed: int = 3, name: str = "embeddings.word", rows: int = 5 * BLOCK + 7) -> DrawnTable:
    return DrawnTable((rows, 11), seed, name, 0.25)


@pytest.mark.parametrize("rows", [1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 7])
def test_rows_are_the_same_whole_or_in_part(rows: int) -> None:
    whole = np.asarray(table(rows=rows))
    assert whole.shape == (rows, 11)
    assert whole.dtype == np.float32
    edges = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, rows - 2, rows - 1}
    numbers = np.array([[n, n, rows - 1] for n in edges if 0 <= n < rows])
    again = table(rows=rows)
    for _ in range(2):  # drawn, and held
        np.testing.assert_array_equal(again[numbers], whole[numbers])


def test_only_blocks_with_rows_that_are_used_are_drawn() -> None:
    one = table()
    one[np.array([2, 3, 4 * BLOCK])]
    assert sorted(one._blocks) == [0, 4]


def test_the_seed_and_the_name_decide() -> None:
    numbers = np.arange(BLOCK + 5)
    first = table()[numbers]
    np.testing.assert_array_equal(table()[numbers], first)
    for other in (table(seed=4), table(name="embeddings.other"), table(seed=2**63 - 1)):
        assert not np.isclose(other[numbers], first).any(axis=1).all()


def test_numbers_are_normal_and_of_the_spread() -> None:
    whole = np.asarray(DrawnTable((100 * BLOCK, 64), 0, "word", 0.25)) / 0.25
    assert abs(whole.mean()) < 0.005
    assert whole.var() == pytest.approx(1, abs=0.01)
    assert (whole**4).mean() == pytest.approx(3, abs=0.05)
    rows = whole.reshape(100, -1)
    alike = np.asarray(np.corrcoef(rows))
    assert abs(alike[~np.eye(100, dtype=bool)]).max() < 0.1  # blocks are unlike


def test_bfloat16_is_widened_exactly() -> None:
    stored = torch.randn(40, 3).bfloat16()
    upper = stored.view(torch.uint16).numpy()
    one, numbers = WidenedTable(upper), np.array([[3, 39], [0, 3]])
    assert (one.shape, one.nbytes) == ((40, 3), 4 * 120)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one[numbers], stored.float().numpy()[numbers])
    np.testing.assert_array_equal(np.asarray(one), stored.float().numpy())
    assert np.asarray(one, np.float64).dtype == np.float64
