"""Pocket TTS on tiny weights: what `generate` says, heard as it comes; voices by sample, name and memory; the shelf."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_models_speech
import torch
from meta_tracker import cast, weight_bytes
from safetensors.torch import load_file, save_file

from studio.domain import Line, Speech
from studio.errors import Cancelled, EngineError, Refused
from studio.media.hub_files import Wanted, files_of
from studio.pipelines import catalogue
from studio.pipelines.base import Inputs, Machine, Plan, Run, Speaker
from studio.pipelines.manager import PipelineManager
from studio.pipelines.memory.profiles import plan_for
from studio.pipelines.parts import SHELF, Part
from studio.pipelines.pool import Pool
from studio.pipelines.speech.engine import Words
from studio.pipelines.speech.phonon import Phonon
from studio.pipelines.speech.pocket_tts import FIRST, PocketTTS
from studio.pipelines.speech.weights import REPOS, SpokenWeights, chosen_repos, weighing
from studio.settings import Settings

TEXT = "The lamp has been dark for eleven years."
FRAME = 1920  # samples of a latent
MACHINE = Machine(cores=8, ram_gb=64)
GPU = replace(MACHINE, gpu="RTX 4090", vram_gb=24)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def engine(tiny_shelf: Path) -> Iterator[PocketTTS]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHELF, str(tiny_shelf))
        engine = PocketTTS()
        engine.pool = Pool()
        engine.load(Plan())
        yield engine
        engine.close()


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tiny_shelf: Path, tmp_path: Path) -> dict[str, Path]:
    """Folders by repository that a test may change, on a shelf of its own."""
    folders = json.loads((tiny_shelf / "folders.json").read_text("utf-8"))
    mine = {}
    for repo in (part.repo for part in PocketTTS.published):
        mine[repo] = tmp_path / repo.replace("/", "--")
        shutil.copytree(folders[repo][0], mine[repo], dirs_exist_ok=True)
    put(tmp_path / "shelf", mine)
    monkeypatch.setenv(SHELF, str(tmp_path / "shelf"))
    return mine


def put(shelf: Path, folders: dict[str, Path]) -> None:
    shelf.mkdir(exist_ok=True)
    (shelf / "folders.json").write_text(json.dumps({repo: [str(path)] for repo, path in folders.items()}))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(1, Inputs(), Plan(), tmp_path / "take", tmp_path / "small")


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Four seconds at 48 kHz in stereo."""
    seconds = np.arange(4 * 48_000) / 48_000
    tone = 0.3 * np.sin(2 * np.pi * 180 * seconds) * (1 + np.sin(2 * np.pi * 4 * seconds)) / 2
    soundfile.write(tmp_path / "sample.wav", np.stack([tone, tone], 1), 48_000)
    return tmp_path / "sample.wav"


def words(text: str = TEXT, seed: int = 3, language: Any = "en", **speaker: Any) -> Words:
    return Words(text, language, "", Speaker(**speaker), seed)


def said(engine: PocketTTS, asked: Words, run: Run, **options: Any) -> list[np.ndarray]:
    return [sound.samples for sound in engine.say(asked, engine.Options(**options), run)]


# ------------------------------------------------------------------------------------------------ speaking
@pytest.mark.parametrize("temperature", [0.7, 0.0])
def test_what_is_heard_piece_by_piece_is_what_generate_says(engine: PocketTTS, run: Run, temperature: float):
    pieces = said(engine, words(), run, temperature=temperature)
    model, processor = engine.modules["model"], engine._processors["model"]
    with torch.inference_mode():
        asked = engine._asked("model", words())
        torch.manual_seed(3)
        how = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        made = model.generate(**asked, **how, return_dict_in_generate=True)
        whole = processor.decode(made.audio_latents, made.audio_latents_mask)[0].numpy()
    heard = np.concatenate(pieces)
    assert heard.dtype == np.float32 and heard.shape == whole.shape
    assert np.abs(heard - whole).max() < 1e-4 * np.abs(whole).max()
    assert len(pieces[0]) == FIRST * FRAME and len(pieces) > 2


def test_the_first_sound_comes_before_the_sentence_is_thought_of(engine: PocketTTS, run: Run, monkeypatch):
    latents: list[int] = []
    model = engine.modules["model"]
    sample_latent = model.sample_latent
    monkeypatch.setattr(model, "sample_latent", lambda *args: latents.append(1) or sample_latent(*args))
    speaking = iter(engine.say(words(), engine.Options(), run))
    next(speaking)
    assert len(latents) == FIRST
    assert not torch.is_inference_mode_enabled()  # whoever listens does what they like meanwhile
    assert sum(1 for _ in speaking) >= 2 and len(latents) > 2 * FIRST


def test_it_ends_by_itself_and_never_goes_on_for_ever(engine: PocketTTS, run: Run, monkeypatch):
    model = engine.modules["model"]
    monkeypatch.setattr(model.generation_config, "eos_threshold", 1e9, raising=False)
    endless = sum(map(len, said(engine, words("Hi."), run)))
    assert endless == int(np.ceil((3 / 3 + 2) * 12.5)) * FRAME  # three signs, by the authors' rule
    monkeypatch.setattr(model.generation_config, "eos_threshold", -1e9, raising=False)
    monkeypatch.setattr(model.generation_config, "min_frames_before_eos", 2, raising=False)
    assert sum(map(len, said(engine, words("Hi there you two, how is it."), run))) == (2 + 1 + 2) * FRAME


def test_cancelled_at_the_next_latent(engine: PocketTTS, tmp_path: Path):
    looks: list[int] = []
    run = Run(1, Inputs(), Plan(), tmp_path / "t", tmp_path / "p", cancelled=lambda: looks.append(1) or len(looks) > 6)  # type: ignore[func-returns-value]
    heard = []
    with pytest.raises(Cancelled):
        heard += [len(sound.samples) for sound in engine.say(words(), engine.Options(), run)]
    assert len(looks) == 7


def test_chance_is_the_sentences_own(engine: PocketTTS, run: Run):
    first = np.concatenate(said(engine, words(seed=3), run))
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert np.array_equal(np.concatenate(said(engine, words(seed=3), run)), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not np.array_equal(np.concatenate(said(engine, words(seed=4), run))[: len(first)], first)


# ------------------------------------------------------------------------------------------------ voices
def test_a_sample_makes_another_voice_and_is_listened_to_once(engine: PocketTTS, run: Run, sample: Path, monkeypatch):
    listened: list[int] = []
    encode = engine.modules["codec"].encode
    monkeypatch.setattr(engine.modules["codec"], "encode", lambda *args: listened.append(1) or encode(*args))
    usual = np.concatenate(said(engine, words(), run))
    for _ in range(2):
        cloned = np.concatenate(said(engine, words(voice="Inês", sample=sample, print="one"), run))
    assert not np.array_equal(cloned[: len(usual)], usual[: len(cloned)])
    assert len(listened) == 1
    said(engine, words(voice="Inês", sample=sample, print="another sample"), run)
    assert len(listened) == 2
    assert 49 <= len(engine._prompts["model/one"]) <= 52  # latents: 4 s at 12.5 Hz, its end as they want it


def test_no_more_of_a_sample_is_used_than_helps(engine: PocketTTS, sample: Path, monkeypatch):
    assert len(engine.sample(Speaker(sample=sample))) == 4 * engine.rate
    monkeypatch.setattr(PocketTTS, "speaks", replace(PocketTTS.speaks, sample=(1.0, 2.5)))
    assert len(engine.sample(Speaker(sample=sample))) == pytest.approx(2.5 * engine.rate, abs=1)


def test_voices_that_it_brings_along_are_those_that_are_here(engine: PocketTTS, run: Run, tiny_shelf: Path):
    assert PocketTTS.speaks.presets == ("alba", "jean")
    alba, usual, jean = (np.concatenate(said(engine, words(preset=name), run)) for name in ("alba", "", "jean"))
    assert np.array_equal(alba, usual)
    assert not np.array_equal(jean[: len(alba)], alba[: len(jean)])
    with pytest.raises(Refused) as refused:
        said(engine, words(preset="nobody"), run)
    assert refused.value.code == "speech.no_such_voice" and refused.value.params["known"] == "alba, jean"


def test_a_voice_may_be_what_the_model_has_in_mind_of_it(shelf: dict[str, Path], run: Run):
    """As a cache of keys and values: the same as the latents that it was made of."""
    engine = PocketTTS()
    engine.load(Plan())
    usual = np.concatenate(said(engine, words(preset="alba"), run))
    voices = shelf["eustlb/pocket-tts"] / "voices"
    latents, model = load_file(voices / "alba.safetensors")["audio_prompt_latents"], engine.modules["model"]
    ids = torch.tensor([[model.config.audio_prompt_bos_token_id, *[model.config.audio_prompt_token_id] * len(latents)]])
    with torch.no_grad():
        cache = model(input_ids=ids, audio_prompt_latents=latents[None], use_cache=True).past_key_values
    tensors = {}
    for number, layer in enumerate(cache.layers):
        tensors |= {
            f"layers.{number}.key": layer.keys.contiguous(),
            f"layers.{number}.value": layer.values.contiguous(),
        }
    save_file(tensors, voices / "minded.safetensors")
    save_file({"something": torch.zeros(3), "else": torch.zeros(3)}, voices / "other.safetensors")
    minded = np.concatenate(said(engine, words(preset="minded"), run))
    assert np.abs(minded - usual).max() < 1e-3 * np.abs(usual).max()
    assert np.array_equal(np.concatenate(said(engine, words(preset="minded"), run)), minded)  # it did not grow
    with pytest.raises(EngineError, match=r"speech\.voice_unreadable"):
        said(engine, words(preset="other"), run)
    engine.close()


def test_a_codec_without_ears_clones_nobody(engine: PocketTTS, run: Run, sample: Path, monkeypatch):
    monkeypatch.setattr(type(engine.modules["codec"].config), "encoder_config", None)
    with pytest.raises(Refused, match=r"speech\.no_encoder"):
        said(engine, words(voice="Inês", sample=sample, print="x"), run)
    assert said(engine, words(), run)


# ------------------------------------------------------------------------------------------------ weights
def test_other_repositories_take_the_place_of_the_published_ones(monkeypatch):
    assert [part.repo for part in PocketTTS.parts] == [part.repo for part in PocketTTS.published]
    monkeypatch.setenv(REPOS, "pocket-tts=me/mine, pocket-tts.codec=me/codec,phonon=you/phonon, =x, broken")
    assert [part.repo for part in PocketTTS.parts] == ["me/mine", "me/mine", "me/codec"]
    assert [part.repo for part in Phonon.parts] == ["you/phonon", "you/phonon", PocketTTS.published[2].repo]
    assert [part.where for part in PocketTTS.parts] == ["", "voices", ""]
    assert PocketTTS().availability(MACHINE).bytes == sum(part.bytes for part in PocketTTS.published)


def test_the_setting_says_so_to_app_and_workers_and_nobody_asks_for_a_token_of_ours(tmp_path: Path, monkeypatch):
    told: dict[str, str] = {}
    wish = "pocket-tts=me/mine, vibevoice-1.5b.codec=me/its_codec"
    Settings(root=tmp_path, model_repos=wish).export(told)
    assert told[REPOS] == wish
    assert catalogue.gated("pocket-tts") and not catalogue.gated("phonon")
    monkeypatch.setenv(REPOS, wish)
    assert not catalogue.gated("pocket-tts")
    assert chosen_repos() == {"pocket-tts": "me/mine", "vibevoice-1.5b.codec": "me/its_codec"}
    for wrong in ("pocket-tts", "pocket-tts=mine", "pocket-tts=https://example.org/a", "pocket-tts=a/b/c", "=a/b"):
        with pytest.raises(Refused) as refused:
            Settings(root=tmp_path, model_repos=f"phonon=a/b,{wrong}")
        assert refused.value.params["setting"] == "model_repos" and wrong[:20] in refused.value.params["reason"]


def test_a_language_may_have_a_model_of_its_own(shelf: dict[str, Path], run: Run, tmp_path: Path, monkeypatch):
    monkeypatch.setenv(REPOS, "pocket-tts.pt=me/portuguese")
    assert PocketTTS().availability(MACHINE).state == "needs_download"
    torch.manual_seed(5)
    tiny_models_speech.pocket_tts().save_pretrained(tmp_path / "portuguese")
    put(tmp_path / "shelf", {**shelf, "me/portuguese": tmp_path / "portuguese"})
    engine = PocketTTS()
    assert engine.availability(MACHINE).state == "ready"
    engine.load(Plan())
    english, other = (np.concatenate(said(engine, words(language=one), run)) for one in ("en", "pt"))
    assert not np.array_equal(english[: len(other)], other[: len(english)])
    engine.close()


def test_the_codec_is_the_one_that_the_model_names(shelf: dict[str, Path], monkeypatch):
    file = shelf["eustlb/pocket-tts"] / "processor_config.json"
    said = json.loads(file.read_text("utf-8"))
    for named, codec in (("owner/its-codec", "owner/its-codec"), ("/tmp/somewhere", ""), (7, "")):
        file.write_text(json.dumps({**said, "audio_tokenizer": {"audio_tokenizer_name_or_path": named}}))
        assert PocketTTS.parts[2].repo == (codec or PocketTTS.published[2].repo)
    file.write_text(json.dumps({**said, "audio_tokenizer": {"audio_tokenizer_name_or_path": "owner/its-codec"}}))
    assert PocketTTS().availability(MACHINE).state == "needs_download"
    monkeypatch.setenv(REPOS, "pocket-tts.codec=eustlb/pocket-tts-audio-tokenizer")
    assert PocketTTS().availability(MACHINE).state == "ready"
    file.write_text("no JSON")
    assert PocketTTS.parts[2].repo == PocketTTS.published[2].repo


def test_other_weights_are_another_revision_and_are_read_anew(shelf: dict[str, Path], run: Run):
    engine = PocketTTS()
    engine.load(Plan())
    first, sound = engine.revision(), np.concatenate(said(engine, words(), run))
    model = engine.modules["model"]
    engine.load(Plan())
    assert engine.modules["model"] is model and engine.revision() == first
    weights = shelf["eustlb/pocket-tts"] / "model.safetensors"
    tensors = {name: tensor * 1.5 for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    engine.load(Plan())
    assert engine.revision() != first
    assert not np.array_equal(np.concatenate(said(engine, words(), run))[: len(sound)], sound)
    engine.close()
    assert engine.held() == {} and engine.modules == {}


def test_its_template_is_fetched_with_it_and_no_program():
    names = ("config.json", "model.safetensors", "chat_template.jinja", "tokenizer.json", "modeling.py", "README.md")
    rows = [SimpleNamespace(path=name, size=3, lfs=None, blob_id="a" * 40) for name in names]
    found = {file.name for file in files_of(Wanted("owner/name", ""), rows)}
    assert found == {"config.json", "model.safetensors", "chat_template.jinja", "tokenizer.json"}


def test_half_a_model_is_refused_by_name(shelf: dict[str, Path]):
    (shelf["eustlb/pocket-tts-audio-tokenizer"] / "model.safetensors").unlink()
    assert PocketTTS().availability(MACHINE).state == "needs_download"
    with pytest.raises(Refused) as refused:
        PocketTTS().load(Plan())
    assert refused.value.params["part"] == "codec"


def test_what_it_holds_is_what_its_weights_weigh(engine: PocketTTS):
    (room,) = engine.held().values()
    modules = (engine.modules["model"], engine.modules["codec"])
    assert room.ram == sum(t.nbytes for m in modules for t in (*m.parameters(), *m.buffers()))
    assert (room.device, room.pinned) == (0, 0)


def test_the_manager_lets_it_go_where_another_needs_the_ram(tiny_shelf: Path, monkeypatch):
    from studio.pipelines.base import Room

    monkeypatch.setenv(SHELF, str(tiny_shelf))
    manager = PipelineManager(free=lambda plan: Room(0, 100_000, 0))
    with manager.lease("pocket-tts", Plan()):
        assert manager.held().ram > 200_000
    with manager.lease("phonon", Plan()):
        assert not manager.holds("pocket-tts")
    manager.close()


# ------------------------------------------------------------------------------------------------ memory
def test_the_footprint_weighs_what_the_published_sizes_weigh():
    from transformers import PocketTTSAudioTokenizerConfig, PocketTTSAudioTokenizerModel, PocketTTSConfig
    from transformers import PocketTTSForConditionalGeneration as Model

    with torch.device("meta"):
        made = [
            Model(PocketTTSConfig(flow_head_config={})),
            PocketTTSAudioTokenizerModel(PocketTTSAudioTokenizerConfig()),
        ]
    weighed = sum(weight_bytes(cast(one, torch.bfloat16)) for one in made)
    assert PocketTTS.footprint.network.rest_bytes == pytest.approx(weighed, rel=0.03)
    in_float32 = sum(part.bytes for part in PocketTTS.published if part.name != "voices")
    assert in_float32 == pytest.approx(2 * weighed, rel=0.03)


def test_it_leaves_the_gpu_to_others_and_speaks_whatever_the_films_profile_is():
    engine = PocketTTS()
    shape = engine.shape(Speech(lines=[Line(text="x")]), engine.Options(), Inputs())
    for machine in (MACHINE, GPU):
        for dial in ("auto", "smallest", "tight", "hybrid", "disk", "stream8", "cpu"):
            plan = plan_for(engine.footprint, shape, machine, dial)
            assert (plan.device, plan.dtype, plan.profile) == ("cpu", "float32", "cpu")
    assert plan_for(engine.footprint, shape, GPU, "resident").device == "cuda:0"  # who names it, gets it


class Large(SpokenWeights):
    """Five GB in 16 bit, that belong on a GPU."""

    id = "large"
    published = (Part("model", "owner/large", 5_000_000_000),)


def test_a_large_one_takes_the_gpu_where_it_fits_and_the_cpu_where_not():
    footprint, shape = weighing(5_000_000_000, 1_000_000_000), Large().shape(None, None, Inputs())
    plan = plan_for(footprint, shape, GPU)
    assert (plan.device, plan.dtype, plan.profile) == ("cuda:0", "bfloat16", "resident")
    assert plan.peak_bytes == 6_000_000_000
    for small in (replace(GPU, vram_gb=6), replace(GPU, vram_free_gb=3), replace(GPU, ceiling_gb=5), MACHINE):
        plan = plan_for(footprint, shape, small)
        assert (plan.device, plan.dtype, plan.profile) == ("cpu", "float32", "cpu")
    with pytest.raises(Refused) as refused:
        plan_for(footprint, shape, replace(GPU, vram_gb=4, ram_gb=4))
    assert refused.value.code == "memory.nothing_fits"
