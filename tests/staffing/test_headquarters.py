from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spareplan.staffing.headquarters import _compared


def panel(count: int) -> pd.DataFrame:
    units = np.linspace(50.0, 900.0, count)
    return pd.DataFrame(
        {
            "region_id": [f"R{i:02d}" for i in range(count)],
            "units": units,
            "engineers": np.ceil(units / 40) + np.arange(count) % 2,
            "required": np.ceil(units / 35),
        }
    )


@pytest.mark.parametrize("count", [1, 2, 11])
def test_few_regions_show_the_models_own_requirement_and_nothing_else(count):
    table = _compared(panel(count), 0)
    assert (table["flag"] == "too_few_regions").all()
    assert table[["expected", "low", "high"]].isna().all().all()
    assert table["reason"].str.endswith("too few regions: only the model's own requirement").all()
    np.testing.assert_allclose(table["required"], panel(count)["required"])


def test_enough_regions_show_both_opinions():
    table = _compared(panel(30), 0)
    assert table[["expected", "low", "high", "required"]].notna().all().all()
    assert table["reason"].str.contains("peers would have").all()
