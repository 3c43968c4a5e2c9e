"""New products: whose hours of use stand in for theirs, and what must be known of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spareplan.errors import DataError, Problem
from spareplan.tables.frames import require_columns
from spareplan.tables.network import circles


def product_stand_ins(products: pd.DataFrame, usage: pd.DataFrame) -> dict[str, str]:
    """Products without hours of use, and the product whose use each takes.

    Parameters
    ----------
    products : DataFrame
        product_id; optional: like_product (named by the user), tier.
    usage : DataFrame
        product_id, a row per product, region and month.

    Returns
    -------
    dict of str to str
        Product to stand-in: the one named (or the one that names in turn), else the product of the same tier
        with most rows of usage. Products that have neither are left out: their age counts in days.

    Raises
    ------
    DataError
        like_product names an unknown product, the product itself, or closes a circle.
    """
    require_columns(products, ["product_id"], "products")
    refuse_wrong_names(products, "product_id", "like_product", "products")
    rows = usage.groupby("product_id").size()
    ordered = products.sort_values("product_id", kind="stable")
    like = given_names(ordered, "product_id", "like_product")
    tier = dict(zip(ordered["product_id"], ordered["tier"])) if "tier" in ordered else {}
    best: dict[object, str] = {}
    for product in ordered["product_id"]:
        if rows.get(product, 0) > rows.get(best.get(tier.get(product)), 0):
            best[tier.get(product)] = product
    out = {}
    for product in ordered["product_id"]:
        if product in rows.index:
            continue
        here = product
        while here in like and here not in rows.index:
            here = like[here]
        stand_in = here if here in rows.index else best.get(tier.get(product))
        if stand_in is not None:
            out[str(product)] = str(stand_in)
    return out


def require_fitment(products: pd.DataFrame, fitment: pd.DataFrame, sales_plan: pd.DataFrame) -> None:
    """Refuse new products that nothing is fitted to.

    Parameters
    ----------
    products : DataFrame
        product_id, like_product.
    fitment, sales_plan : DataFrame
        product_id.

    Raises
    ------
    DataError
        A product names an analogue and is to be sold, but has no row in fitment: an analogue lends its use
        and its machines' life, not its parts.
    """
    like = given_names(products, "product_id", "like_product")
    sold = set(sales_plan["product_id"])
    bare = products["product_id"].isin([name for name in like if name in sold])
    bare &= ~products["product_id"].isin(fitment["product_id"])
    problems = [
        Problem(
            "products",
            int(row) + 2,
            "product_id",
            str(name),
            "is to be sold, but no part is fitted to it",
            f"copy the rows of {like[name]} in fitment and change what differs",
        )
        for row, name in zip(np.flatnonzero(bare), products.loc[bare, "product_id"])
    ]
    if problems:
        raise DataError(problems)


def given_names(table: pd.DataFrame, key: str, like: str) -> dict[str, str]:
    """Analogues that were named, by what they speak for.

    Parameters
    ----------
    table : DataFrame
    key, like : str
        Its key, and the column that names the analogue; without it nothing is named.

    Returns
    -------
    dict of str to str
    """
    if like not in table:
        return {}
    rows = table[table[like].notna()]
    return dict(zip(rows[key], rows[like]))


def refuse_wrong_names(table: pd.DataFrame, key: str, like: str, name: str) -> None:
    """Refuse analogues that are unknown, the thing itself, or go in a circle.

    Parameters
    ----------
    table : DataFrame
    key, like : str
        As in `given_names`.
    name : str
        Of the table.

    Raises
    ------
    DataError
    """
    given = given_names(table, key, like)
    row = {label: at + 2 for at, label in enumerate(table[key])}
    known = set(table[key])
    remedy = "name one with failures and machines of its own, or leave the cell empty"
    problems = [
        Problem(name, row[label], like, str(other), f"not in {name}", "correct it or add the row")
        for label, other in given.items()
        if other not in known
    ]
    problems += [
        Problem(name, row[label], like, str(given[label]), f"closes a circle: {' -> '.join(ring)}", remedy)
        for label, ring in circles(given)
    ]
    if problems:
        raise DataError(problems)
