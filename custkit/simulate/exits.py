"""Exit surveys: those gone silent are asked why. What they say is not always what drove them away."""

from __future__ import annotations

import numpy as np
import pandas as pd

from custkit.simulate import comments
from custkit.simulate.attitudes import decades, is_lost
from custkit.simulate.draft import Draft, parameters
from custkit.simulate.people import chance
from custkit.simulate.questionnaire import HEAD, cut
from custkit.simulate.streams import choose_each


def sheets(draft: Draft) -> pd.DataFrame:
    """Answers of silent customers: `reason` (with comments) and `would_return`, 1 to 5."""
    silent = asked(draft)
    rng, given = draft.rng("survey exit"), parameters("surveys")["exit"]
    logit = given["response_logit"]
    left = silent["left"].to_numpy()
    score = logit["base"] + logit["age_per_decade"] * decades(silent) + logit["many_orders"] * silent["many"]
    answered = rng.random(len(silent)) < chance(score)
    table = pd.DataFrame(given["stated"]).T
    said = table.columns.to_numpy(object)[choose_each(rng, table.loc[silent["churn_reason"]].to_numpy())]
    reason = np.where(left, said, "not_left")
    back = given["would_return"]
    pull = silent["churn_reason"].map(back).fillna(0).to_numpy(float) + 1.5 * ~left
    plant(draft, silent, reason)
    chinese = comments.writes_chinese(draft)[silent["customer"]]
    writes = answered & (rng.random(len(silent)) < given["comments"])
    told = np.full(len(silent), None, dtype=object)
    told[writes] = [
        comments.on_leaving(rng, *row) for row in zip(reason[writes], chinese[writes], strict=True)
    ]
    return silent.assign(
        reason=reason,
        reason_text=told,
        would_return=cut(back["mean"] + pull + back["noise"] * rng.standard_normal(len(silent))),
        respondent_type="customer",
        respondent_id=silent["customer_id"],
        form="exit",
        channel="email",
    ).loc[answered, [*HEAD, "reason", "reason_text", "would_return"]]


def asked(draft: Draft) -> pd.DataFrame:
    """One row for each silence long enough to be asked about: `people`, week, wave, left, many (orders)."""
    given, rng = parameters("surveys")["exit"], draft.rng("survey exit frame")
    orders = draft.tables["orders"][["customer", "week"]].sort_values(["customer", "week"])
    following = orders.groupby("customer")["week"].shift(-1).fillna(np.inf)
    number = orders.groupby("customer").cumcount() + 1
    orders = orders.assign(many=number >= given["many_orders"], asked=orders["week"] + given["silent_weeks"])
    orders = orders[(following > orders["asked"]) & (orders["asked"] + given["delay"] < draft.clock.weeks)]
    # An answer comes before the next order, if there is one.
    room = np.minimum(given["delay"], following[orders.index] - orders["asked"])
    week = orders["asked"] + room * rng.random(len(orders))
    silent = draft.tables["people"].loc[orders["customer"]].reset_index(drop=True)
    silent = silent.assign(
        customer=orders["customer"].to_numpy(), many=orders["many"].to_numpy(), week=week.to_numpy()
    )
    waves = list(parameters("surveys")["waves"])
    half = np.minimum((silent["week"] // 26).astype(int), len(waves) - 1)
    return silent.assign(left=is_lost(silent, silent["week"]), wave=np.array(waves, dtype=object)[half])


def plant(draft: Draft, silent: pd.DataFrame, reason: np.ndarray) -> None:
    """True shares of what leavers say, answered or not, and of what drove them away."""
    left = silent["left"].to_numpy()
    for name in parameters("surveys")["exit"]["stated"]:
        said = (reason[left] == name).mean()
        true = (silent.loc[left, "churn_reason"] == name).mean()
        draft.plant(f"surveys.exit.stated.{name}", said, "share", f"leavers who would say {name}")
        draft.plant(f"surveys.exit.true.{name}", true, "share", f"leavers driven away by {name}")
