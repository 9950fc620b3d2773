"""The parts of the Guide page: the tour, the pad to draw on, the methods, the gallery of what breaks, teacher mode."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import guide, guide_tour, queries, set_lines, sketch, story, text, widgets
from dashboard import text_guide as words
from dashboard.guide import HIDEABLE, PAGES, STEPS, Step
from sslcore import presets
from sslcore.events import Run

PAD = "guide_pad"
NARROW = "\u202f%"  # a number and its sign stay on one line
_story = st.components.v2.component(  # Streamlit takes drawings out of `st.html`
    "ssl_story", html=story.page([(name, words.METHODS_ALT[name]) for name in story.STORY]) + "\n"
)


def tour(number: int) -> None:
    """Progress, the step in hand, and the list of all."""
    done = guide_tour.done(STEPS)
    st.progress(sum(done) / len(done), text=f"{sum(done)} of {len(done)} steps done")
    if all(done):
        st.success(words.FINISHED, icon=":material/celebration:")
    left, right = st.columns([3, 2], gap="large")
    with left, st.container(border=True, key="tour_card"):
        _step(STEPS[number - 1], number, done[number - 1])
    with right, st.container(key="tour_list", gap="xsmall"):
        for i, (step, ok) in enumerate(zip(STEPS, done, strict=True), 1):
            st.button(
                f"{i}. {step.title}" + (" (done)" if ok else ""), icon=":material/check_circle:" if ok else ":material/radio_button_unchecked:",
                key=f"tour_go_{step.id}", type="secondary" if i == number else "tertiary", on_click=guide_tour.go, args=(i,),
            )  # fmt: skip


def _step(step: Step, number: int, done: bool) -> None:
    st.caption(f"Step {number} of {len(STEPS)}")
    st.subheader(step.title, anchor=False)
    st.markdown(step.do)
    st.markdown(f"**{words.QUESTION}.** {step.question}")
    picked = st.radio(
        step.question, range(len(step.choices)), index=None, format_func=step.choices.__getitem__, label_visibility="collapsed",
        key=f"answer_{step.id}",
    )  # fmt: skip
    if picked is not None:
        right = picked == step.right
        (st.success if right else st.info)(
            f"{words.RIGHT if right else words.WRONG} {step.answer}",
            icon=":material/check:" if right else ":material/lightbulb:",
        )
    if step.page != "guide":
        guide_tour.link(step, number)
    elif st.button(words.HERE, icon=":material/arrow_forward:", key="tour_here", on_click=_open_part, args=(step,)):
        st.rerun()  # the whole page: only a fragment was drawn anew
    if done:
        st.badge(words.DONE, icon=":material/check:", color="green")
    else:
        st.caption(f":material/hourglass_empty: {words.OPEN}")
    with st.container(horizontal=True):
        st.button("Back", icon=":material/arrow_back:", key="tour_back", disabled=number == 1, on_click=guide_tour.go, args=(number - 1,))  # fmt: skip
        st.button(
            "Next step", icon=":material/arrow_forward:", key="tour_next", disabled=number == len(STEPS), on_click=guide_tour.go,
            args=(number + 1,), type="primary" if done else "secondary",
        )  # fmt: skip
        if guide_tour.current():
            st.button("End the tour", key="tour_end", type="tertiary", on_click=guide_tour.leave)


def _open_part(step: Step) -> None:
    st.session_state["part"] = step.part


def draw(found: list[Run]) -> None:
    """Draw the mask rate that is expected; then see that of a real run over it."""
    usable = [run for run in found if run.method in ("fixmatch", "flexmatch") and run.step > 0 and guide.sound(run)]
    revealed = bool(st.session_state.get("guide_revealed")) and bool(usable) and sketch.touched(PAD)
    run = None
    if usable:
        with st.container(width=460):
            run = widgets.pick_run(usable)
    else:
        st.info(words.DRAW_EMPTY, icon=":material/info:")
        st.page_link(PAGES["train"][1], label="Go to Train", icon=":material/play_arrow:")
    real = _mask_rate(run) if run is not None and revealed else None
    name = text.METHODS.get(run.method, run.method) if run is not None else ""
    if not revealed:
        st.caption(words.DRAW_HELP)
    expected = sketch.sketch(PAD, alt=words.DRAW_ALT, real=real, name=name)
    if real is not None and run is not None and (apart := guide.distance(expected, *real)) is not None:
        guide_tour.note(guide.DREW_CURVE)
        part = "" if run.step >= run.steps else f", over the first {100 * run.step / run.steps:.0f} % of the run"
        st.markdown(words.RESULT.format(points=f"{100 * apart:.0f}", part=part))
        with st.expander(words.DATA, icon=":material/table:", type="compact"):
            _table(expected, *real)
    with st.container(horizontal=True):
        st.button(
            words.REVEAL, key="guide_reveal", type="primary", icon=":material/visibility:", on_click=_reveal,
            disabled=revealed or not usable or not sketch.touched(PAD),
        )  # fmt: skip
        st.button(
            words.AGAIN,
            key="guide_again",
            icon=":material/draw:",
            disabled=not sketch.touched(PAD),
            on_click=_again,
        )


def _table(expected: tuple[float, ...], share: np.ndarray, rate: np.ndarray) -> None:
    """The two curves as numbers at the moments that were drawn; empty where the run has not got yet."""
    known = ~np.isnan(rate)
    at = np.linspace(0, 1, len(expected))
    real = np.interp(at, share[known], rate[known], right=np.nan)
    column = st.column_config
    st.dataframe(
        {"share": at, "yours": np.array(expected), "real": real}, hide_index=True, alt=words.DATA_ALT, width="content", height="content",
        column_config={
            "share": column.NumberColumn("Of the run", format="percent"),
            "yours": column.NumberColumn("Yours", format="percent"),
            "real": column.NumberColumn("Real", format="percent"),
        },
    )  # fmt: skip


def _reveal() -> None:
    st.session_state["guide_revealed"] = True


def _again() -> None:
    st.session_state["guide_revealed"] = False
    sketch.forget(PAD)


def _mask_rate(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(share of the run, mask rate) as logged so far."""
    train = queries.snapshot(run).train
    steps = np.asarray(train.get("step", np.zeros(0)), float)
    return steps / max(run.steps, 1), np.asarray(train.get("train/mask_rate", np.full(len(steps), np.nan)), float)


def methods() -> None:
    """The picture of the three, and what each method's own file says."""
    _story(key="guide_story")
    names = list(text.METHODS)
    chosen = st.segmented_control(
        "Method", names, default="fixmatch", required=True, format_func=text.METHODS.__getitem__, key="told", bind="query-params",
        label_visibility="collapsed", wrap=True,
    )  # fmt: skip
    told = guide.told(chosen if chosen in names else "fixmatch")
    with st.container(border=True, key="told_card"):
        st.markdown(f"**{text.escape(told.first)}**")
        for formula, block in told.blocks:
            if formula:
                st.html(set_lines.page(block))
            else:
                st.markdown(text.escape(block))


def gallery() -> None:
    """A card for every preset that breaks something."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            PAGES["train"][1], label=words.LESSON_LINK, icon=":material/play_arrow:", query_params=_with_tour({}),
        )  # fmt: skip
    for row in (list(presets.BROKEN)[i : i + 2] for i in range(0, len(presets.BROKEN), 2)):
        for column, name in zip(st.columns(2), row, strict=False):
            with column, st.container(border=True, key=f"card_{name}", height="stretch"):
                chosen = presets.BROKEN[name]
                st.subheader(text.escape(_heading(chosen.title)), anchor=False)
                st.caption(f"{text.METHODS[chosen.config.method.name]} on the digits lesson")
                st.markdown(f"**{words.LOOK}.** {text.escape(chosen.note).replace(' %', NARROW)}")
                with st.expander(words.DIAGNOSIS, icon=":material/stethoscope:", type="compact"):
                    st.markdown(text.escape(words.DIAGNOSES[name]))
                st.page_link(
                    PAGES["train"][1], label=words.BREAK_LINK, icon=":material/play_arrow:", query_params=_with_tour(guide.break_params(name)),
                )  # fmt: skip


def _heading(title: str) -> str:
    """Title of a broken preset as a heading; the name of a setting keeps its small letter."""
    plain = title.partition(": ")[2]
    return plain if "=" in plain else plain[:1].upper() + plain[1:]


def _with_tour(params: dict[str, str]) -> dict[str, str]:
    number = guide_tour.current()
    return params | ({guide.TOUR: str(number)} if number else {})


def teach() -> None:
    """Build a link to a page without its controls."""
    names = list(PAGES)
    page = st.selectbox(words.TEACH_PAGE, names, format_func=lambda name: PAGES[name][2], key="teach_page")
    hide = st.pills(
        words.TEACH_HIDE, list(HIDEABLE), selection_mode="multi", default=["controls"], format_func=HIDEABLE.__getitem__, key="teach_hide"
    )  # fmt: skip
    st.code(guide.address(st.context.url or "", page, hide), language=None, wrap_lines=True)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            PAGES[page][1], label="Try it", icon=":material/co_present:", query_params={guide.HIDE: ",".join(hide)} if hide else {}, width="content"
        )  # fmt: skip
        if st.button(
            words.SHOW_ALL, key="teach_all", icon=":material/visibility:", on_click=guide_tour.show_all, disabled=not guide_tour.hidden()
        ):  # fmt: skip
            st.rerun()  # the whole page: what hides stands outside of this fragment
    st.caption(words.TEACH_NOTE)
