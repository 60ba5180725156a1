"""The store at a glance, over the SQLite file or over the Parquet feed.

    DELTAMART_WAREHOUSE=store.db streamlit run examples/dashboards/app.py
    DELTAMART_WAREHOUSE=feed     streamlit run examples/dashboards/app.py
"""

import datetime
import os

import pandas
import streamlit as st

import tiles

st.set_page_config(page_title="Store", layout="wide")
there = os.environ.get("DELTAMART_WAREHOUSE", "store.db")
try:
    tables = tiles.there(there)
except FileNotFoundError as why:
    st.error(f"{why}. Say where it is: DELTAMART_WAREHOUSE=store.db")
    st.stop()

st.title("Store")
days = tables.days()
if days is None:
    st.info("No purchase yet.")
    st.stop()
chosen = st.sidebar.date_input("Period", days, min_value=days[0], max_value=days[1], key="period")
top = st.sidebar.slider("How many categories and brands", 5, 30, 15, key="top")
every = st.sidebar.select_slider("Read again every, in seconds", [2, 5, 10, 60], 10, key="every")
# While somebody chooses, there is only the first day.
first, last = (chosen[0], chosen[-1]) if isinstance(chosen, tuple) else (chosen, chosen)
period = {"from": first.isoformat(), "until": (last + datetime.timedelta(days=1)).isoformat(), "top": top}


def frame(name, **more):
    return pandas.DataFrame(tables.tile(name, **period, **more))


# Bars are in the order of names, if nobody says another one.
def bars(place, title, data, x, y, **more):
    place.subheader(title)
    if data.empty:
        place.write("none in this period")
    else:
        place.bar_chart(data, x=x, y=y, **more)


@st.fragment(run_every=every)
def board():
    progress = tables.progress()
    st.caption(f"complete up to {progress['watermark']}, committed {progress['committed_at']}, from `{there}`")
    now = tables.tile("sessions_now", recent=tables.recent())[0]
    funnel = tables.tile("funnel", **period)[0]
    for place, (label, value) in zip(st.columns(7), [
        ("Sessions now", now["sessions"]), ("with a full cart", now["with_cart"]), ("that bought", now["bought"]),
        ("Visits", funnel["visits"]), ("viewed", funnel["viewed"]), ("carted", funnel["carted"]), ("bought", funnel["purchased"]),
    ]):
        place.metric(label, f"{value or 0:,}")
    left, right = st.columns(2)
    bars(left, "Categories by revenue", frame("top_categories"), "category_code", "revenue", horizontal=True, sort="-revenue")
    bars(right, "Brands by revenue", frame("top_brands"), "brand", "revenue", horizontal=True, sort="-revenue")
    bars(left, "Daily revenue", frame("daily_revenue"), "day", "revenue")
    right.subheader("Sales by product and five minutes")
    right.dataframe(frame("sales_by_five_minutes"), hide_index=True)


board()
