"""What `custkit report lifecycle-health --demo` runs on: the company of the course, with all six stages.

CDNOW would do for the customers, but all of them came in one quarter and nothing is known of visits or spend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..course_tables import load
from .lifecycle_files import CONTRACT

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Demo:
    """The course's company: orders of its consumers, their visits, media spend, and who came by what."""

    orders: pd.DataFrame
    visits: pd.DataFrame
    spend: pd.DataFrame
    customers: pd.DataFrame
    name: str = "Juniper Lane, consumers"
    currency: str = "¥"


def demo() -> Demo:
    """The tables of Juniper Lane in the form of the contract.

    Raises
    ------
    DataError
        The tables are not there: custkit was installed without its repository.
    """
    people = load("customers").query("customer_type == 'consumer'")[["customer_id", "acq_channel"]]
    orders = load("orders").rename(columns={"ordered_at": "order_date", "net_amount": "amount"})
    orders = orders[orders["customer_id"].isin(people["customer_id"])]
    orders["order_date"] = orders["order_date"].dt.normalize()
    sessions = load("sessions").rename(columns={"started_at": "seen_at"})
    sessions["identified"] = sessions["furthest_step"] >= 4  # at the checkout a visitor says who he is
    media = load("campaigns").query("audience == 'consumer' and kind == 'media'")
    media = media.rename(columns={"start_on": "first_day", "end_on": "last_day"})
    return Demo(
        orders[["order_id", "customer_id", "order_date", "amount"]],
        sessions[list(CONTRACT["visits"])],
        media[list(CONTRACT["spend"])],
        people,
    )
