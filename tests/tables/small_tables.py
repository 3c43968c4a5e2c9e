"""A complete small dataset as the text cells of its files: every input table, nothing wrong with it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

CELLS = {
    "products": """
product_id,name,tier,downtime_cost_per_day
PUMP,输送泵,2,8000
ROLLER,压路机,3,
""",
    "parts": """
part_id,name,unit_cost,lead_time_days,source,criticality,min_order,superseded_by,last_buy_on
00123,主油缸,100000,90,buy,vital,1,,
P-2,眼镜板,1250.5,30,make,essential,4,P-3,2025-06-30
P-3,眼镜板 II,1300,30,,,,,
""",
    "fitment": """
product_id,part_id,quantity
PUMP,00123,2
PUMP,P-2,1
ROLLER,P-3,1
""",
    "regions": """
region_id,name,area_km2,market_stage,records_from
华东,East,800000,mature,2023-01-01
新疆,Xinjiang,1660000,developing,2023-06-01
""",
    "sites": """
site_id,name,region_id,parent_id,lead_time_days,ship_weekday
HQ,总部,,,0,
上海,Shanghai,华东,HQ,3,1
乌鲁木齐,Urumqi,新疆,HQ,12,4
""",
    "units": """
unit_id,product_id,site_id,commissioned_on,built_on,retired_on
U1,PUMP,上海,2022-05-10,2022-03-01,
U2,PUMP,乌鲁木齐,2023-02-01,,2024-03-31
U3,ROLLER,上海,2023-08-15,2023-08-01,
""",
    "site_repairs": """
part_id,site_id,repair_share_site,repair_days_site
00123,上海,0.3,10
""",
    "usage": """
product_id,region_id,month,hours_per_unit
PUMP,华东,2024-01-01,160
PUMP,新疆,2024-01-01,40
""",
    "meter_readings": """
unit_id,read_on,hours
U1,2024-01-31,2600
""",
    "replacements": """
unit_id,part_id,replaced_on,quantity,planned
U1,00123,2023-11-05,1,false
U2,P-2,2024-02-11,2,true
U3,P-3,2024-05-20,1,false
""",
    "demand": """
part_id,site_id,month,quantity
P-3,上海,2024-01-01,5
P-3,上海,2024-02-01,-1
P-3,乌鲁木齐,2024-02-01,2.5
""",
    "stock": """
part_id,site_id,on_hand,reserved,bin
00123,HQ,1,0,A-01
P-2,上海,3,,
""",
    "open_orders": """
order_id,part_id,from_site_id,to_site_id,quantity,due_on
B-1,00123,,HQ,2,2024-07-01
B-2,P-2,HQ,上海,1,2024-06-10
""",
    "reservations": """
part_id,site_id,due_on,quantity,why
P-2,上海,2024-06-20,1,overhaul of U1
""",
    "sales_plan": """
product_id,site_id,month,units_sold,units_retired
PUMP,上海,2024-07-01,3,1
""",
    "work_orders": """
order_id,unit_id,region_id,opened_at,priority,kind,responded_at,resolved_at,outcome
W1,U1,华东,2024-05-02 08:30,P1,failure,2024-05-02 08:45,2024-05-02 15:00,fixed
W2,,新疆,2024-05-03 10:00,P4,request,,,
""",
    "engineers": """
region_id,skill,headcount,annual_cost
华东,junior,4,150000
""",
    "promises": """
priority,respond_hours,resolve_hours
P1,0.3333,8
P4,24,336
""",
    "targets": """
tier,target_fill_rate,window_days,target_in_window
1,0.97,1,0.95
3,0.9,,
""",
    "calendar": """
region_id,date,kind
华东,2024-02-12,holiday
华东,2024-02-18,working
""",
    "overrides": """
table,column,part_id,site_id,month,value,who,when,why
demand,mean,P-2,上海,2024-07-01,6,王工,2024-06-01,new site opens
levels,base_stock,00123,HQ,,2,王工,2024-06-01,supplier strike
""",
}


def text_frame(cells: str) -> pd.DataFrame:
    """Cells of one file, all text, empty ones empty."""
    header, *rows = [line.split(",") for line in cells.strip().splitlines()]
    return pd.DataFrame(rows, columns=header, dtype=object)


def text_frames(**changed: str | None) -> dict[str, pd.DataFrame]:
    """The small dataset as frames of text; a table may be given anew, or left out with None."""
    return {name: text_frame(cells) for name, cells in ({**CELLS, **changed}).items() if cells is not None}


def edited(table: str, row: int, column: str, value: object) -> dict[str, pd.DataFrame]:
    """The small dataset with one cell changed; rows count as in the file, header 1."""
    frames = text_frames()
    if column not in frames[table].columns:
        frames[table][column] = ""
    frames[table].loc[row - 2, column] = value
    return frames


def with_row(table: str, *cells: str) -> dict[str, pd.DataFrame]:
    """The small dataset with one more row."""
    frames = text_frames()
    frame = frames[table]
    frame.loc[len(frame)] = [*cells, *[""] * (frame.shape[1] - len(cells))]
    return frames


def write_csvs(frames: Mapping[str, pd.DataFrame], folder, encoding: str = "utf-8", sep: str = ",") -> None:
    """Write frames of text as the files a user would hand in."""
    for name, frame in frames.items():
        (folder / f"{name}.csv").write_bytes(frame.to_csv(index=False, sep=sep).encode(encoding))
