"""What an analyst can learn from the tickets: training, reply time, play-book, rates, and three illusions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm

from recovery.estimate import Company, Estimate
from recovery.ticket_panel import (
    WEEK,
    about_a_defect,
    asked_again,
    broken_line,
    codes,
    dummies,
    faulty_products,
    fit,
    overlap,
    usual_tickets,
)

OTHER_GEAR = ("P20", "P22", "P23", "P25")


def estimates(company: Company) -> list[Estimate]:
    tickets = usual_tickets(company)
    return [
        *satisfaction(company, tickets),
        reply_time(company, tickets),
        *play_book(tickets),
        *ticket_rates(company, tickets),
        coach(company, tickets),
        prospects(company),
        *solved_complaints(company, tickets),
        *defects(company, tickets),
    ]


def satisfaction(company: Company, tickets: pd.DataFrame) -> list[Estimate]:
    """Satisfaction: training by staggered difference in differences, the bend by a broken line."""
    rated = tickets[tickets["csat"].notna() & (tickets["channel"] != "store")]
    log_reply = np.log2(rated["first_reply_min"].to_numpy(float))
    causes = ["trained", "n_transfers", "unsolved", "reopened"]
    first = rated[causes].astype(float).assign(paid=(rated["compensation"] > 0).astype(float)).to_numpy()
    rest = dummies(rated, ["staff_id", "month", "kind", "channel"])
    groups = {"cov_type": "cluster", "cov_kwds": {"groups": codes(rated["customer_id"])}}
    everything = np.column_stack([first, rest])
    bend, error = broken_line(
        rated["csat"].to_numpy(float), log_reply, everything, codes(rated["customer_id"])
    )
    beyond = np.maximum(log_reply - np.log2(bend), 0)
    # The step at the bend stands for not knowing where it lies (Muggeo 2003).
    step = (log_reply > np.log2(bend)).astype(float)
    found = fit(rated["csat"], np.column_stack([beyond, first, step]), rest, **groups)
    spread = np.exp2(1.96 * error)
    method = "two-way fixed effects, broken line in log reply"
    names = ["per_doubling", "trained", "transfer", None, None, "compensation"]
    made = [
        Estimate.from_error(f"tickets.csat.{name}", found.params[i], found.bse[i], method=method)
        for i, name in enumerate(names)
        if name
    ]
    method = "broken line in log reply, wild bootstrap of customers"
    made.append(Estimate("tickets.csat.bend", bend, bend / spread, bend * spread, method=method))
    whole = fit(rated["csat"], rated["trained"], rest, **groups)
    method = "two-way fixed effects, reply left out"
    made.append(
        Estimate.from_error("tickets.csat.trained_in_all", whole.params[0], whole.bse[0], method=method)
    )
    ever = rated[rated["trained_on"].notna()]
    naive = fit(ever["csat"], ever["trained"], np.ones(len(ever)))
    trap = {"kind": "trap", "method": "trained agents, before and after"}
    made.append(Estimate.from_error("tickets.csat.trained_in_all", naive.params[0], naive.bse[0], **trap))
    women = rated[rated["gender"].isin(["f", "m"])]
    of_women = (women["gender"] == "f").to_numpy(float)
    null = fit(
        women["csat"],
        of_women,
        np.ones(len(women)),
        cov_type="cluster",
        cov_kwds={"groups": codes(women["customer_id"])},
    )
    made.append(
        Estimate.from_error(
            "tickets.gender.csat", null.params[0], null.bse[0], kind="null", method="difference of means"
        )
    )
    complaints = rated["kind"] == "complaint"
    raw = fit(rated["csat"][complaints], (rated["compensation"] > 0)[complaints], np.ones(complaints.sum()))
    trap = {"kind": "trap", "method": "difference of means; money follows slow replies"}
    made.append(Estimate.from_error("tickets.csat.compensation", raw.params[0], raw.bse[0], **trap))
    return made


def reply_time(company: Company, tickets: pd.DataFrame) -> Estimate:
    """Training on the first reply, by the same design."""
    answered = tickets[tickets["first_reply_min"].notna() & (tickets["channel"] != "store")]
    rest = dummies(answered, ["staff_id", "month", "kind", "channel", "hour", "weekday"])
    groups = {"cov_type": "cluster", "cov_kwds": {"groups": codes(answered["customer_id"])}}
    found = fit(np.log(answered["first_reply_min"]), answered["trained"], rest, **groups)
    return Estimate.from_error(
        "tickets.reply.trained", found.params[0], found.bse[0], method="two-way fixed effects, log minutes"
    )


def play_book(tickets: pd.DataFrame) -> list[Estimate]:
    """Play-book B against A; its errors hang together within an agent's day."""
    trial = tickets[tickets["playbook"].notna() & tickets["first_reply_min"].notna()]
    trial = trial.assign(b=(trial["playbook"] == "B").astype(float), sold=trial["sale_outcome"].astype(float))
    groups = codes(trial["staff_id"].astype(str) + trial["opened_at"].dt.strftime("%Y%m%d"))

    def difference(rows, **options):
        part = trial[rows]
        found = fit(part["sold"], part["b"], np.ones(len(part)), **options)
        return found.params[0], found.bse[0]

    def clustered(rows):
        return difference(rows, cov_type="cluster", cov_kwds={"groups": groups[rows]})

    every = np.ones(len(trial), dtype=bool)
    quality = (trial["topic"] == "quality").to_numpy()
    by_day = "errors clustered by agent-day"
    return [
        Estimate.from_error("playbook.sale", *clustered(every), method=by_day),
        Estimate.from_error(
            "playbook.sale", *difference(every), kind="trap", method="errors as if independent"
        ),
        Estimate.from_error("playbook.sale.other_topics", *clustered(~quality), method=by_day),
        Estimate.from_error("playbook.sale.quality", *clustered(quality), kind="unprovable", method=by_day),
    ]


def ticket_rates(company: Company, tickets: pd.DataFrame) -> list[Estimate]:
    """Ticket rate by the latent factors: with the truth at hand, since no record shows who is active."""
    truth = company.truth["truth_customers"]
    people = company.tables["customers"][["customer_id", "joined_at"]].merge(truth, on="customer_id")
    services = company.tables["vas_subscriptions"]
    advised = services.loc[services["service"] == "COACH", "customer_id"]
    people = people[people["reactivated_at"].isna() & ~people["customer_id"].isin(advised)]
    first_asked = tickets[~about_a_defect(company, tickets)]
    number = first_asked.loc[~asked_again(first_asked), "customer_id"].value_counts()
    end = np.datetime64(pd.to_datetime(company.tables["tickets"]["opened_at"]).max())
    until = (people["dropped_at"] + 3 * WEEK).fillna(end).clip(upper=end)
    weeks = (until - people["joined_at"]) / WEEK
    known = weeks > 0.2
    people, weeks = people[known], weeks[known]
    y = people["customer_id"].map(number).fillna(0).to_numpy(float)
    x = np.column_stack(
        [
            people["quality"],
            people["service"],
            np.log(people["order_rate"].clip(lower=1e-3)),
            np.ones(len(people)),
        ]
    )
    found = sm.GLM(y, x, family=sm.families.Poisson(), offset=np.log(weeks.to_numpy(float))).fit(
        cov_type="HC1"
    )
    method = "regression of counts on latent factors"
    return [
        Estimate.from_error(f"tickets.rate.{name}", found.params[i], found.bse[i], method=method)
        for i, name in enumerate(["quality", "service"])
    ]


def coach(company: Company, tickets: pd.DataFrame) -> Estimate:
    """Ticket rate with COACH against without: Poisson with effects of customers and of 4-week months.

    Customers are followed from their first order to three weeks after the last: surely active. Complaints
    about faulty products are left out; no advice could prevent them.
    """
    orders = company.tables["orders"].dropna(subset="customer_id")
    window = orders.groupby("customer_id")["ordered_at"].agg(["min", "max"])
    months = np.datetime64("2024-01-01") + 4 * WEEK * np.arange(27)
    window["max"] = (window["max"] + 3 * WEEK).clip(upper=months[-1])
    spells = (
        company.tables["vas_subscriptions"]
        .query("service == 'COACH'")
        .join(window, on="customer_id", how="inner")
    )
    stop = spells["ended_on"].fillna(months[-1])
    begin = spells["started_on"].clip(lower=spells["min"])
    advised = pd.DataFrame(
        overlap(begin, stop.clip(upper=spells["max"]), months), index=spells["customer_id"]
    )
    advised = advised.groupby(level=0).sum().reindex(window.index).fillna(0).to_numpy()
    other = (overlap(window["min"], window["max"], months) - advised).clip(0)

    asked = (
        tickets[~about_a_defect(company, tickets)]
        .join(window, on="customer_id", how="inner")
        .query("min < opened_at < max")
    )
    spelled = asked.merge(spells[["customer_id", "started_on", "ended_on"]], on="customer_id")
    inside = (spelled["opened_at"] >= spelled["started_on"]) & ~(spelled["opened_at"] >= spelled["ended_on"])
    with_coach = asked["ticket_id"].isin(spelled.loc[inside, "ticket_id"]).sum()
    row = window.index.get_indexer(asked["customer_id"])
    month = np.searchsorted(months, asked["opened_at"].to_numpy(), "right") - 1
    by_customer, by_month = np.bincount(row, minlength=len(window)), np.bincount(month, minlength=26)
    ratio, month_effect = 1.0, np.ones(26)
    for _ in range(30):  # alternating maximum-likelihood steps
        weeks = other + ratio * advised
        level = by_customer / (weeks @ month_effect)
        month_effect = by_month / (level @ weeks)
        ratio = with_coach / (level @ advised @ month_effect)
    share = ratio * (advised @ month_effect) / ((other + ratio * advised) @ month_effect)
    error = 1 / np.sqrt((by_customer * share * (1 - share)).sum())
    low, high = ratio * np.exp(1.96 * error * np.array([-1, 1]))
    method = "Poisson with customer and month effects"
    return Estimate("tickets.rate.coach", float(ratio), float(low), float(high), null=1, method=method)


def prospects(company: Company) -> Estimate:
    """First order on the hours until the reply, among questions asked before it."""
    joined = company.tables["customers"].set_index("customer_id")["joined_at"]
    tickets = company.tables["tickets"]
    before = tickets["customer_id"].isna() | (tickets["opened_at"] < tickets["customer_id"].map(joined))
    asked = tickets[before & tickets["first_reply_min"].notna()]
    ordered = asked["order_id"].notna().to_numpy(float)
    x = np.column_stack([asked["first_reply_min"] / 60, dummies(asked, ["topic"])])
    found = sm.Logit(ordered, x).fit(disp=0)
    return Estimate.from_error(
        "tickets.prospects.per_hour", found.params[0], found.bse[0], method="logit by topic"
    )


def solved_complaints(company: Company, tickets: pd.DataFrame) -> list[Estimate]:
    """Still ordering in the second quarter (weeks 14 to 26) after a complaint, solved or not."""
    orders = company.tables["orders"].loc[lambda t: t["customer_id"].notna(), ["customer_id", "ordered_at"]]
    end = orders["ordered_at"].max()
    mine = tickets[(tickets["kind"] == "complaint") & (tickets["opened_at"] < end - 26 * WEEK)]
    # The last order up to the 26th week lies after the 13th.
    asked = mine.assign(until=mine["opened_at"] + 26 * WEEK).sort_values("until")
    seen = orders.assign(again=orders["ordered_at"]).sort_values("ordered_at")
    asked, seen = (table.astype({"customer_id": "str"}) for table in (asked, seen))
    asked = pd.merge_asof(asked, seen, left_on="until", right_on="ordered_at", by="customer_id")
    again = (asked["again"] > asked["opened_at"] + 13 * WEEK).to_numpy(float)
    solved = 1 - asked["unsolved"].to_numpy()
    cluster = {"cov_type": "cluster", "cov_kwds": {"groups": codes(asked["customer_id"])}}
    raw = fit(again, solved, np.ones(len(asked)), **cluster)
    minutes = asked["first_reply_min"].fillna(1440.0)
    wait = pd.qcut(minutes, 15, labels=False, duplicates="drop")
    handled = asked.assign(wait=wait, transfers=asked["n_transfers"].clip(upper=3))
    line = np.log(minutes)
    adjusted = fit(
        again,
        np.column_stack([solved, line]),
        dummies(handled, ["wait", "transfers", "topic", "channel"]),
        **cluster,
    )
    name = "tickets.solved.retention"
    return [
        Estimate.from_error(
            name, adjusted.params[0], adjusted.bse[0], kind="null", method="adjusted for wait and transfers"
        ),
        Estimate.from_error(name, raw.params[0], raw.bse[0], kind="trap", method="solved less unsolved"),
    ]


def defects(company: Company, tickets: pd.DataFrame) -> list[Estimate]:
    """Complaints an order about a faulty product, beyond those about orders of other gear."""
    lines = company.tables["order_lines"]
    people = company.tables["customers"]
    consumers = people.loc[people["customer_type"] == "consumer", "customer_id"]
    orders = company.tables["orders"]
    orders = orders[orders["customer_id"].isin(consumers)].set_index("order_id")["ordered_at"]
    old = orders.index[orders < orders.max() - 6 * WEEK]  # a complaint may take some weeks
    about = tickets["topic"].isin(["quality", "function"]) & (tickets["kind"] == "complaint")
    number = tickets.loc[about & ~asked_again(tickets), "order_id"].value_counts()
    held = {name: set(group) for name, group in lines.groupby("product_id")["order_id"]}
    made = []
    faulty = faulty_products(company)
    for product in faulty:
        blurred = set.union(*(held[name] for name in faulty if name != product))  # two faults in one order
        clear = old[~old.isin(blurred)]
        others = set.union(*(held[name] for name in OTHER_GEAR)) - held[product]
        counts = [number.reindex(clear[clear.isin(group)]).fillna(0) for group in (held[product], others)]
        gap = counts[0].mean() - counts[1].mean()
        error = np.sqrt(sum(count.var() / len(count) for count in counts))
        name, method = f"tickets.defect.{product}", "complaints an order, less those of other gear"
        made.append(Estimate.from_error(name, gap, error, method=method))
    return made
