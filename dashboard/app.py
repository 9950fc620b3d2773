"""The entry point: `streamlit run dashboard/app.py`. Page set-up and navigation; everything else is in `views/`."""

import streamlit as st

from dashboard import augmenting, guide_tour, queries, text
from dashboard.keyboard import keyboard
from dashboard.live_chart import STATIC, install_plotly
from sslcore.store import StoreError

# The icon is a file: Streamlit would fetch its own icons for the tab from the internet.
st.set_page_config(
    page_title="SSL Lab", page_icon=STATIC / "icon.png", layout="wide",
    initial_sidebar_state=330,  # pixels: of two lists side by side either shows "constant" whole; the methods stay two and two
)  # fmt: skip
st.html(STATIC.parent / "page.css")
page = st.navigation(
    [
        st.Page("views/train.py", title="Train", icon=":material/play_circle:", default=True, help=text.PAGES["train"]),
        st.Page("views/augment.py", title="Augmentations", icon=":material/auto_fix_high:", help=text.PAGES["augment"]),
        st.Page(
            "views/pseudo.py",
            title="Pseudo-labels",
            icon=":material/labs:",
            url_path="pseudo",
            help=text.PAGES["pseudo"],
        ),
        st.Page(
            "views/time.py", title="Time machine", icon=":material/history:", url_path="time", help=text.PAGES["time"]
        ),
        st.Page(
            "views/curves.py",
            title="Label curves",
            icon=":material/stacked_line_chart:",
            url_path="curves",
            help=text.PAGES["curves"],
        ),
        st.Page(
            "views/images.py",
            title="Images",
            icon=":material/photo_library:",
            url_path="images",
            help=text.PAGES["images"],
        ),
        st.Page("views/runs.py", title="Runs", icon=":material/table_rows:", help=text.PAGES["runs"]),
        st.Page("views/guide.py", title="Guide", icon=":material/school:", url_path="guide", help=text.PAGES["guide"]),
    ],
    position="top",
)
if not st.get_option(
    "server.enableStaticServing"
):  # .streamlit/config.toml was not read: not only the charts would be lost
    st.error(text.WRONG_FOLDER, icon=":material/error:")
    st.stop()
try:
    install_plotly()
    engine = queries.engine()
except (StoreError, OSError) as problem:
    st.error(text.escape(str(problem)), icon=":material/error:")
    st.stop()
if engine.trouble:
    st.error(text.escape(engine.trouble), icon=":material/error:")
guide_tour.enter(page.url_path)
try:
    page.run()
except StoreError as problem:  # damaged, or full, since it was opened
    st.error(text.escape(str(problem)), icon=":material/error:")
keyboard()
engine.warm_up(augmenting.warm_up)  # last: the page is painted before torch is imported
