"""The Augmentations page: its numbers are the engine's, every state draws, and what a person brings stays in memory."""

from __future__ import annotations

import base64
import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from dashboard import augment_panels, augmenting, drawn_words, exhibits_augment, sheet_files, text_augment
from dashboard.augmenting import Still
from dashboard.drawn_words import CUTOUT, NOISE
from sslcore import checkpoint, data, presets
from sslcore import events as ev
from sslcore.augment.magnitudes import PRESETS
from sslcore.augment.mixup import draw_beta, mixup
from sslcore.augment.ops import OP_NAMES, OPS
from sslcore.augment.told import Told
from sslcore.augment.views import normalize, strong_view, weak_view
from sslcore.config import AugmentConfig, DataConfig
from sslcore.data import stl10
from sslcore.evaluate import predict_logits
from sslcore.rng import Generators
from sslcore.store import Store
from sslcore.trainer import Trainer
from tests.fill_store import fill
from tests.pages import opened
from tests.pages import store as store

APP = Path(__file__).resolve().parent.parent / "dashboard" / "app.py"
STATES = (ev.QUEUED, ev.RUNNING, ev.PAUSED, ev.STOPPED, ev.FINISHED, ev.FAILED, ev.DIVERGED, ev.INTERRUPTED)
EXHIBITS = list(text_augment.EXHIBITS.values())


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    """Six steps on the digits: weights that are no longer those of the start, in model and average."""
    made = Trainer(
        presets.build("smoke", "fixmatch", {"train.threads": 1}), data.load(DataConfig()), torch.device("cpu")
    )
    for _ in range(6):
        made.train_step()
    return made


def keep(store: Store, trainer: Trainer, state: str = ev.FINISHED) -> str:
    """A run with a real checkpoint."""
    run_id = fill(store, state, "fixmatch", points=2, frames=False)
    checkpoint.save(store.folder(run_id), trainer.state_dict())
    return run_id


def page(**params: str) -> AppTest:
    return opened("views/augment.py", **{"aug_data": "Digits", **params})


def sheets(at: AppTest) -> str:
    """All pictures and bars of a page as HTML."""
    bodies = [part.proto.body for part in at.get("html")]
    return "\n".join(body for body in bodies if "ssl-" in body and "<style>" not in body)


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_shown_first_is_made_ready_where_it_lies_in_the_cache(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def image_set(source: str, size: int) -> data.ImageSet:
        loaded.append(source)
        return data.load(DataConfig())

    monkeypatch.setattr(data.cache, "has", lambda name: kept)
    monkeypatch.setattr(augmenting, "image_set", image_set)
    augmenting.warm_up()  # nobody has asked for drawings: they are not made for it
    assert loaded == augmenting.sources()[:1] * kept


def digit(at: int = 3) -> Still:
    return augmenting.still(data.load(DataConfig()), at)


def batch(picture: Still, count: int) -> torch.Tensor:
    return torch.from_numpy(picture.pixels.copy()).repeat(count, 1, 1, 1)


# The numbers


@pytest.mark.parametrize("preset", ["paper", "google", "kekmodel", "off"])
def test_the_sheet_holds_the_views_that_train(preset: str) -> None:
    config, picture = AugmentConfig(preset=preset, strength=1.4, cutout=0.25), digit()
    found = augmenting.views(picture, config, False, 5, 7)
    generator = Generators(7, torch.device("cpu"))["augment"]
    assert np.array_equal(found.weak, weak_view(batch(picture, 5), False, generator).numpy())
    assert np.array_equal(found.strong, strong_view(batch(picture, 5), False, config, generator).numpy())
    assert len(found.weak_told) == len(found.strong_told) == 5


@pytest.mark.parametrize(
    "config", [AugmentConfig(num_ops=3), AugmentConfig("google"), AugmentConfig(num_ops=0), AugmentConfig(cutout=0.0)]
)
def test_a_strong_view_grows_operation_by_operation(config: AugmentConfig) -> None:
    picture, flip, count, seed = digit(), True, 4, 5
    views = augmenting.views(picture, config, flip, count, seed)
    for which, told in enumerate(views.strong_told):
        stages = augmenting.stages(picture, config, flip, count, seed, which)
        assert len(stages) == 2 + len(told.ops)
        assert (stages[-1] == views.strong[which]).all(), "the last one is the view itself"
        fill = augmenting.fill_of(config)
        for k, op in enumerate(told.ops):
            before = torch.from_numpy(stages[k : k + 1].copy())
            value = torch.tensor([op.value or 0.0])
            after = OPS[op.name](before, value, fill).numpy() if op.applied else before.numpy()
            assert (stages[k + 1] == after[0]).all(), op
        inside = np.zeros(picture.shape, bool)
        if told.box:
            inside[told.box[0] : told.box[2], told.box[1] : told.box[3]] = True
        assert (stages[-1] == stages[-2])[~inside].all() and (
            stages[-1][inside] == augmenting.fill_of(config, True)
        ).all()


@pytest.mark.parametrize("op", [*OP_NAMES, CUTOUT, NOISE])
def test_an_operation_is_the_engines_own_and_its_slider_holds_all_that_is_drawn(op: str) -> None:
    picture = Still.of(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    for preset in PRESETS:
        config = AugmentConfig(preset=preset)
        span = augmenting.drawn_range(op, config, picture.shape, 60.0)
        if span is None:
            assert op in ("Identity", "AutoContrast", "Equalize")
            values: tuple[float, ...] = (0.0,)
        else:
            low, high, start, step = augmenting.slider_range(op, picture.shape, 60.0)
            assert low - step <= span[0] < span[1] <= high + step and low <= start <= high
            values = augmenting.ladder(op, span)
            assert values[0] == pytest.approx(span[0], abs=0.5) and values[-1] == pytest.approx(span[1], abs=0.5)
        found = augmenting.tried(picture, op, values, 128, 0)
        if op in OPS:
            assert np.array_equal(found, OPS[op](batch(picture, len(values)), torch.tensor(values), 128).numpy())
    if op == CUTOUT:
        half = augmenting.tried(picture, op, (0.0, 0.5), 7, 0)
        assert np.array_equal(half[0], picture.pixels)
        assert (half[1][8:24, 8:24] == 7).all() and np.array_equal(half[1][:8], picture.pixels[:8])


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_drawn_magnitude_lies_in_the_range_that_is_told(preset: str) -> None:
    config = AugmentConfig(preset=preset, strength=1.3, num_ops=8)
    found = augmenting.views(digit(), config, False, 200, 1)
    seen = set()
    for told in found.strong_told:
        for op in told.ops:
            span = augmenting.drawn_range(op.name, config, digit().shape, 60.0)
            seen.add(op.name)
            if span is None:
                assert op.value is None
            else:
                assert op.value is not None and span[0] - 0.51 <= op.value <= span[1] + 0.51, (op, span)
    assert seen == set(OP_NAMES)


def test_a_blend_is_mixup_of_what_the_network_sees() -> None:
    first, second = digit(0), digit(1)
    shares = (0.5, 0.75, 1.0)
    found = augmenting.blended(first, second, shares)
    mean, std = torch.tensor([0.3]), torch.tensor([0.4])
    a, b = (normalize(batch(picture, 3), mean, std) for picture in (first, second))
    pixels = ((mixup(a, b, torch.tensor(shares)) * 0.4 + 0.3) * 255).permute(0, 2, 3, 1)
    assert np.abs(found - pixels.numpy()).max() <= 0.51
    label = augment_panels.mixed_label([2, 5], 0.7, 10)
    assert label is not None and label[2] == 0.7 and label[5] == pytest.approx(0.3) and label.sum() == pytest.approx(1)
    assert augment_panels.mixed_label([4, 4], 0.7, 10)[4] == pytest.approx(1)  # type: ignore[index]
    assert (
        augment_panels.mixed_label([None, 4], 0.7, 10) is None and augment_panels.mixed_label([-1, 4], 0.7, 10) is None
    )


def test_the_draws_are_mixmatchs_and_the_density_is_betas() -> None:
    ours = augmenting.beta_draws(0.75, 500, 3)
    assert np.array_equal(ours, draw_beta(0.75, 500, Generators(3, torch.device("cpu"))["mixup"], "cpu").numpy())
    x = np.linspace(0.01, 0.99, 99)
    for alpha in (0.05, 0.75, 1.0, 4.0):
        exact = torch.distributions.Beta(alpha, alpha).log_prob(torch.tensor(x)).exp().numpy()
        assert np.allclose(exhibits_augment.beta_density(alpha, x), exact, rtol=1e-5)
    figure = exhibits_augment.beta_chart(augmenting.beta_draws(0.75, 4000, 0), 0.75, 0.3)
    assert [trace["name"] for trace in figure["data"]] == [
        "4,000 draws",
        "density of \u03bb",
        "of \u03bb\u2032",
    ]
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [0.3, 0.7]
    bars, density, folded = (
        {axis: np.frombuffer(base64.b64decode(trace[axis]["bdata"]), "<f4") for axis in "xy"}
        for trace in figure["data"]
    )
    assert bars["y"].mean() == pytest.approx(1), "of a density, too, the area is 1"
    assert np.allclose(density["y"], exhibits_augment.beta_density(0.75, density["x"].astype(float)), rtol=1e-4)
    upper = folded["x"] > 0.499
    assert np.isnan(folded["y"][~upper]).all() and np.allclose(folded["y"][upper], 2 * density["y"][upper])
    for share, lines in ((0.8, [0.8]), (0.5, [0.5])):  # the larger share already
        drawn = exhibits_augment.beta_chart(np.array([0.5]), 0.75, share)["layout"]["shapes"]
        assert [shape["x0"] for shape in drawn] == lines


def test_the_models_bars_are_predict_logits_of_the_averaged_weights(store: Store, trainer: Trainer) -> None:
    path = store.folder(keep(store, trainer)) / "last.pt"
    model = augmenting.predictor(path)
    pictures = augmenting.views(digit(), AugmentConfig(), False, 6, 0).strong
    logits = predict_logits(trainer.ema.model, torch.from_numpy(pictures), trainer.stream.mean, trainer.stream.std)
    assert np.array_equal(augmenting.probs(model, pictures), logits.softmax(dim=1).numpy())
    raw = predict_logits(trainer.model, torch.from_numpy(pictures), trainer.stream.mean, trainer.stream.std)
    assert not np.allclose(augmenting.probs(model, pictures), raw.softmax(dim=1).numpy(), atol=1e-4)
    assert augmenting.predictor(path) is model and not model.model.training  # loaded once
    trainer.train_step()
    checkpoint.save(path.parent, trainer.state_dict())
    assert augmenting.predictor(path) is not model  # the file is another one


def test_seek_goes_round_within_a_class() -> None:
    labels = np.array([0, 1, 0, 2, 1, 0])
    assert [augmenting.seek(labels, at, None, 1) for at in (0, 5)] == [1, 0]
    assert [augmenting.seek(labels, at, None, -1) for at in (0, 5)] == [5, 4]
    assert [augmenting.seek(labels, at, 0, 1) for at in (0, 2, 5)] == [2, 5, 0]
    assert [augmenting.seek(labels, at, 1, -1) for at in (0, 1, 4)] == [4, 4, 1]
    assert [augmenting.seek(labels, at, 1, 0) for at in (1, 2, 5)] == [1, 4, 1]
    assert augmenting.seek(labels, 3, 9, 1) == 3


# The page


@pytest.mark.parametrize("exhibit", EXHIBITS)
def test_without_a_run_every_exhibit_shows_pictures(store: Store, exhibit: str) -> None:
    at = page(aug_exhibit=exhibit)
    assert not at.error and sheets(at).count("<img") >= 11
    assert any("No run with a checkpoint" in caption.value for caption in at.caption)


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_a_run_draws_with_and_without_a_checkpoint(store: Store, trainer: Trainer, state: str) -> None:
    fill(store, state, "fixmatch", points=2, frames=False)
    at = page()
    assert not at.error and "bars" not in sheets(at)
    if state != ev.QUEUED:
        run_id = keep(store, trainer, state)
        at = page(run=run_id)
        assert not at.error and sheets(at).count('class="bars"') == 1 + 2 * 6 + 4


@pytest.mark.parametrize("exhibit", EXHIBITS)
def test_with_a_model_its_opinion_stands_under_every_picture(store: Store, trainer: Trainer, exhibit: str) -> None:
    run_id = keep(store, trainer)
    at = page(aug_exhibit=exhibit)  # the newest run on these data is asked without being chosen
    assert not at.error and 'class="bars"' in sheets(at)
    at = page(aug_exhibit=exhibit, run="none")
    assert 'class="right"' not in sheets(at) and text_augment.MODEL_SAYS not in sheets(at)
    at = page(aug_exhibit=exhibit, run=run_id, aug_checkpoint="no such one")
    assert not at.error


def test_the_drawn_operations_stand_under_the_strong_views(store: Store) -> None:
    at = page(aug_preset="google", aug_draw="5", aug_views="4")
    told = augmenting.views(digit(0), AugmentConfig(preset="google"), False, 4, 5).strong_told
    for about in told:
        for line in drawn_words.strong(about):
            assert f"<div>{line}</div>" in sheets(at)
    assert any(not op.applied for about in told for op in about.ops) and "skipped" in sheets(at)


def test_one_strong_view_is_shown_step_by_step_and_framed(store: Store) -> None:
    at = page()
    told = augmenting.views(digit(0), AugmentConfig(), False, 6, 0).strong_told
    for which in (0, 3):
        at.segmented_control(key="aug_which_6").set_value(which + 1).run() if which else None
        *_, strong, grown = [part.proto.body for part in at.get("html") if 'class="ssl-sheet' in part.proto.body]
        figures = strong.split("<figure")[1:]
        assert [k for k, figure in enumerate(figures) if 'class="marked"' in figure] == [which]
        assert [operation in grown for operation in map(drawn_words.operation, told[which].ops)] == [True, True]
        assert text_augment.WEAK_STAGE in grown and drawn_words.cut(told[which]) in grown
    at = page(aug_preset="off")
    assert text_augment.STEPS not in "".join(part.value for part in at.markdown), "nothing to show"


def test_draw_again_draws_other_views_and_the_same_number_the_same(store: Store) -> None:
    at = page()
    first = sheets(at)
    at.button(key="aug_again").click().run()
    assert sheets(at) != first and at.number_input(key="aug_draw").value == 1
    at.number_input(key="aug_draw").set_value(0).run()
    assert sheets(at) == first


def test_previous_next_random_and_the_class_filter(store: Store) -> None:
    labels = data.load(DataConfig()).train_labels.numpy()
    at = page(aug_image="4")
    at.button(key="aug_image_Next").click().run()
    assert at.number_input(key="aug_image").value == 5
    at.selectbox(key="aug_class").set_value(7).run()
    assert labels[at.number_input(key="aug_image").value] == 7
    for name in ("Next", "Next", "Previous", "Random"):
        before = at.number_input(key="aug_image").value
        at.button(key=f"aug_image_{name}").click().run()
        assert labels[at.number_input(key="aug_image").value] == 7
        assert name == "Random" or at.number_input(key="aug_image").value != before
    assert not at.exception


def test_a_knob_changes_the_strong_views_only(store: Store) -> None:
    at = page()
    before = sheets(at)
    at.slider(key="aug_cutout").set_value(0.0).run()
    assert "cut 8 x 8 px" in before and "cut 8 x 8 px" not in sheets(at)
    weak = re.findall(r'src="([^"]+)"', before)[:7]  # the picture and six weak views
    assert re.findall(r'src="([^"]+)"', sheets(at))[:7] == weak


def test_presets_bring_their_own_n_and_p(store: Store) -> None:
    at = page()
    assert (at.slider(key="aug_n").value, at.slider(key="aug_p").value) == (2, 1.0)
    at.get_by_key("aug_preset").set_value("google").run()
    assert (at.slider(key="aug_n_google").value, at.slider(key="aug_p_google").value) == (2, 0.5)
    at.get_by_key("aug_preset").set_value("off").run()
    assert at.slider(key="aug_n_off").disabled and "cut" not in sheets(at)


def test_the_runs_own_settings_can_be_taken(store: Store, trainer: Trainer) -> None:
    run_id = fill(store, ev.FINISHED, config=presets.build("digits-lesson"), points=2, frames=False)
    checkpoint.save(store.folder(run_id), trainer.state_dict())
    at = page(run=run_id)
    at.button(key="aug_use").click().run()
    lesson = presets.build("digits-lesson").augment
    assert at.slider(key="aug_strength").value == lesson.strength and at.slider(key="aug_cutout").value == lesson.cutout
    assert at.selectbox(key="aug_fill").value == lesson.fill and not at.exception
    strong = augmenting.views(digit(0), lesson, False, 6, 0).strong
    assert exhibits_augment.data_uri(strong[0].tobytes(), strong[0].shape) in sheets(at)


def test_digits_are_not_mirrored_and_the_page_says_why(store: Store) -> None:
    at = page()
    assert any(caption.value.startswith("**Not mirrored**: in Digits") for caption in at.caption)
    assert "mirrored" not in sheets(at)
    at.selectbox(key="aug_flip").set_value("on").run()
    assert "mirrored" in sheets(at) and any("switched on by hand" in caption.value for caption in at.caption)


@pytest.mark.parametrize("op", [*OP_NAMES, CUTOUT, NOISE])
def test_every_operation_draws(store: Store, op: str) -> None:
    at = page(aug_exhibit="One operation", aug_op=op)
    assert not at.error and op in sheets(at)
    if op in ("Identity", "AutoContrast", "Equalize"):
        assert sheets(at).count("<img") == 2
    else:
        slider = at.slider(key=f"aug_{op}")
        slider.set_value(slider.max).run()
        assert not at.exception and drawn_words.magnitude(op, slider.max) in sheets(at)
    assert (op == NOISE) == any("Not part of the four methods" in caption.value for caption in at.caption)


@pytest.mark.parametrize(
    "params",
    [
        {"aug_image": "999999"}, {"aug_image": "-4"}, {"aug_image": "x"}, {"aug_preset": "nobody"}, {"aug_n": "99"}, {"aug_p": "7"},
        {"aug_exhibit": "Nothing"}, {"aug_op": "Explode", "aug_exhibit": "One operation"}, {"aug_Rotate": "1e9", "aug_exhibit": "One operation"},
        {"aug_lam": "nan", "aug_exhibit": "MixUp"}, {"aug_second": "1e99", "aug_exhibit": "MixUp"}, {"run": "<b>gone</b>"}, {"aug_data": "Paintings"},
        {"aug_class": "eleven"}, {"aug_draw": "-1"}, {"aug_from": "Mars"}, {"aug_views": "0"}, {"aug_alpha": "0", "aug_exhibit": "MixUp"},
    ],
)  # fmt: skip
def test_nonsense_in_the_url_falls_back(store: Store, params: dict[str, str]) -> None:
    at = page(**params)
    assert not at.error and sheets(at).count("<img") >= 11


def png(shape: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_upload_is_shown_in_the_size_of_the_data_set_and_written_nowhere(store: Store, tmp_path: Path) -> None:
    at = page(aug_from="Upload")
    assert "Choose or take a picture" in at.info[0].value and not sheets(at)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if "lab.db" not in path.name}
    at.get("file_uploader")[0].upload("me *and* <you>.png", png(), "image/png").run()
    assert not at.exception and not at.error and sheets(at).count("<img") == 1 + 2 * 6 + 4
    assert any("middle square" in caption.value for caption in at.caption)
    from sslcore.data.upload import picture

    own = picture(png(), 16, 1).pixels
    assert exhibits_augment.data_uri(own.tobytes(), own.shape) in sheets(at)
    at.toggle(key="aug_invert").set_value(True).run()
    turned = 255 - own
    assert exhibits_augment.data_uri(turned.tobytes(), turned.shape) in sheets(at)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if "lab.db" not in path.name} == before


def test_an_upload_that_is_no_picture_is_one_sentence(store: Store) -> None:
    at = page(aug_from="Upload")
    at.get("file_uploader")[0].upload("a.png", b"not a picture", "image/png").run()
    assert not at.exception and "not a picture that can be read" in at.error[0].value and not sheets(at)
    at.get("file_uploader")[0].upload("a.png", png(), "image/png").run()
    assert not at.error and sheets(at)


def test_a_folder_that_is_not_there_is_one_sentence_and_names_are_escaped(store: Store, tmp_path: Path) -> None:
    at = page(aug_data="My own folder")
    assert "Type the path" in at.info[0].value
    at.text_input(key="aug_folder").set_value(str(tmp_path / "no *such* one")).run()
    assert r"no \*such\* one" in at.error[0].value and not at.exception
    for name in ("<b>bold & co", "plain"):
        folder = tmp_path / "mine" / name
        folder.mkdir(parents=True)
        for i in range(12):
            (folder / f"{i}.png").write_bytes(png((20 + i, 20 + i)))
    at.text_input(key="aug_folder").set_value(str(tmp_path / "mine")).run()
    assert not at.error and "<b>bold" not in sheets(at) and "class &lt;b&gt;bold &amp; co" in sheets(at)
    at.get_by_key("aug_exhibit").set_value("mixup").run()
    assert not at.exception and "<b>bold" not in sheets(at)


def test_a_checkpoint_that_can_not_be_read_is_one_sentence(store: Store, trainer: Trainer) -> None:
    run_id = keep(store, trainer)
    (store.folder(run_id) / "last.pt").write_bytes(b"cut short")
    at = page(run=run_id)
    assert not at.exception and "can't be read" in at.error[0].value.replace("\\", "") and sheets(at)


def test_a_run_on_pictures_of_another_size_is_not_asked(store: Store, trainer: Trainer) -> None:
    run_id = fill(store, ev.FINISHED, config=presets.build("cifar10-tutorial"), points=2, frames=False)
    checkpoint.save(store.folder(run_id), trainer.state_dict())
    at = page(run=run_id)
    assert not at.error and text_augment.OTHER_SHAPE in [caption.value for caption in at.caption]


def test_the_end_of_a_long_name_is_never_cut_off() -> None:
    told = exhibits_augment.opinion_bars(np.array([0.6, 0.4]), ["animal_041", "<cat>"])
    assert (
        "<bdi>animal</bdi><bdi>_041</bdi>" in told and "<bdi>&lt;cat&gt;</bdi>" in told and 'title="animal_041"' in told
    )


def test_the_sheet_can_be_kept_as_picture_and_as_table() -> None:
    found = augmenting.views(digit(), AugmentConfig(preset="google"), True, 3, 2)
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 3)
    rows = list(
        csv.reader(
            io.StringIO(sheet_files.table([("strong", told) for told in found.strong_told], probs, ["=1+1", "b", "c"]))
        )
    )
    assert rows[0][-3:] == ["p(=1+1)", "p(b)", "p(c)"] and len(rows) == 4
    for row, told, expected in zip(rows[1:], found.strong_told, probs, strict=True):
        assert row[:4] == ["strong", str(int(told.mirrored)), str(told.right), str(told.down)]
        assert row[4] == "; ".join(drawn_words.operation(op) for op in told.ops)
        assert [float(p) for p in row[-3:]] == pytest.approx(expected, abs=1e-6)
    views = [
        exhibits_augment.View(pixels, ("one", "two"), probs=p) for pixels, p in zip(found.strong, probs, strict=True)
    ]
    with Image.open(io.BytesIO(sheet_files.png([views], ["a", "b", "c"]))) as picture:
        shown = np.asarray(picture)[14 : 14 + 128, 14 : 14 + 128, 0]
    assert np.array_equal(shown[::8, ::8], found.strong[0][..., 0]) and (np.asarray(picture)[142 + 5 :] < 128).any()


def test_numbers_are_written_with_their_unit() -> None:
    write: Any = drawn_words.magnitude
    assert [write("Rotate", -12.4), write("TranslateX", 3.0), write("TranslateY", 2.0), write("TranslateX", 0.0)] == [
        "\u221212°", "3 px left", "2 px up", "0 px"
    ]  # fmt: skip
    assert [write("Brightness", 0.5), write("Posterize", 4.0), write("Solarize", 12.0), write(CUTOUT, 0.5), write("Equalize", None)] == [
        "x 0.50", "4 bits", "from 12", "50%", ""
    ]  # fmt: skip


@pytest.mark.parametrize("truth", [0, 1, None])
def test_a_wrong_guess_is_told_where_the_truth_is_known(truth: int | None) -> None:
    weak, strong = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]])
    told = augment_panels.verdict(weak, strong, 0, ("fish", "<b>bird"), [Told(False, 0, 0)], truth)
    assert "**fish** on 1 of 1 weak and 0 of 1 strong views" in told
    assert ("it is **\\<b\\>bird**" in told) == (truth == 1)


def test_the_shape_of_a_runs_pictures_is_that_of_its_data() -> None:
    for source in ("digits", "shapes"):
        assert augmenting.shape_of({"source": source}) == data.load(DataConfig(source=source)).train_images.shape[1:]
    assert augmenting.shape_of({"source": "stl10"}) == (stl10.SIDE, stl10.SIDE, 3)
    assert augmenting.shape_of({"source": "fashion_mnist"}) == (32, 32, 1) != augmenting.shape_of({"source": "cifar10"})
    assert augmenting.shape_of({"source": "folder:x", "image_size": 48}) == (48, 48, 3)


def test_a_run_without_a_checkpoint_is_told_as_one(store: Store) -> None:
    run_id = fill(store, ev.DIVERGED, points=2, frames=False)
    captions = [caption.value for caption in page(run=run_id).caption]
    assert text_augment.NO_CHECKPOINT in captions and text_augment.OTHER_SHAPE not in captions
