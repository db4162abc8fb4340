"""What the user may set, and where each value came from. Knows no face, store or engine.

Order: flags > environment > .env > data/settings.toml > defaults. Every setting has its own name LANTERNA_<FIELD>;
those that users of the peers know by another name (HOST, HF_HOME, FAL_KEY …) answer to that one too.
docs/settings.md holds the table.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from installer.place import Place
from studio.errors import Refused
from studio.naming import DEFAULT_TAKE, check_take_name

ROOT = Path(__file__).resolve().parent.parent  # the folder of launch.py
ORIGINS = ("flag", "environment", ".env", "data/settings.toml")  # in order; what none of them names is the default
EXPORTED = "LANTERNA_EXPORTED"  # environment: what `export` wrote over, so that nobody takes it for the user's wish
REPOSITORY = re.compile(r"[a-z0-9][a-z0-9._-]*=[\w.-]+/[\w.-]+")  # one entry of `model_repos`
LOOPBACK = ("127.0.0.1", "localhost", "::1")
BELOW = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")  # a `root_path`
BY_PROXY = ("allowed_hosts", "root_path", "trusted_proxies")  # each says that a proxy of the user's own leads in
OURS = re.compile(  # how addresses of the studio begin: a `root_path` like one of them would lead astray
    r"/(api|ui|assets|config|gradio_api|static|svelte|login|logout|monitoring|sign-in|sign-out|invite|review|health"
    r"|healthz|ready|download|file|generate|nqueues|projects|queue|skyreels|soul|status|stream|system-prompt|tasks"
    r"|uploads|video|video-meta|videos|favicon\.ico|manifest\.\w+|pwa_icon|robots\.txt|theme\.css)(/.*)?"
)
SERVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*:[1-9][0-9]{0,4}")  # of a public link
PASSWORD = re.compile("(//[^/:@]*:)(.*)@")  # of an address
ADDRESSES = ("elevenlabs_url", "openai_url", "speech_server_url", "cosyvoice_url")  # of services that speak
OWN_PYTHONS = ("pocket_tts_python", "qwen3_tts_python", "voxcpm_python")
SPEAKING_KEYS = ("elevenlabs_api_key", "openai_api_key", "speech_server_key")
PROGRAMS = ("wan2gp_dir", "wan2gp_python")  # of the user's own, beside us
WILDCARDS = ("0.0.0.0", "::", "")  # every address of this computer


def users_root() -> Path:
    """Beside launch.py; of a bundle in the user's home (`~/Lanterna`, or LANTERNA_HOME): updates replace its folder."""
    return Place.at(ROOT).user


def _named(field: str, *peers: str, default: Any = None, **more: Any) -> Any:
    """A setting that answers to LANTERNA_<FIELD>, to its own name (flags, settings.toml) and to the peers' names."""
    return Field(default, validation_alias=AliasChoices(f"LANTERNA_{field.upper()}", *peers, field), **more)


def _split(value: Any) -> Any:
    """`a,b` as environments write lists; a list of the TOML file stays what it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """Everything the user may set. `Settings(root=folder)` reads that folder's .env and data/settings.toml."""

    # case_sensitive: without it the field `lang` would listen to LANG=C.UTF-8, `auth` to AUTH and so on
    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, validate_default=True, case_sensitive=True)

    root: Path = Field(
        default_factory=users_root, description="the folder that holds outputs/ and data/ unless they are set"
    )

    host: str = _named("host", "HOST", default="127.0.0.1", description="address to listen on")
    port: int = _named("port", "PORT", default=7860, ge=1, le=65535, description="port to listen on")
    share: bool = _named("share", default=False, description="a public link through Gradio's tunnel; needs auth")
    share_server: str = _named(
        "share_server", default="", description="a share server of your own, host:port; else the one of Gradio's makers"
    )
    share_server_certificate: str = _named(
        "share_server_certificate", default="", description="the certificate that it must show"
    )
    auth: SecretStr | None = _named("auth", description="user:password that opens the studio")
    allowed_hosts: Annotated[list[str], NoDecode] = _named(
        "allowed_hosts", default=[], description="more names under which a browser may reach the studio"
    )
    root_path: str = _named("root_path", default="", description="the path below which your own proxy shows the studio")
    trusted_proxies: Annotated[list[str], NoDecode] = _named(
        "trusted_proxies", default=[], description="addresses of your own proxies, whose word is believed"
    )
    open_browser: bool = _named("open_browser", default=True, description="open the page on start")
    window: bool = _named("window", default=False, description="open it in a window of its own, not in a browser's tab")
    lang: Literal["auto", "en", "pt", "zh"] = _named(
        "lang", default="auto", description="language of screen and terminal; auto: what browser or system ask for"
    )

    output_dir: Path = _named("output_dir", default=Path("outputs"), description="where takes and films go")
    data_dir: Path = _named("data_dir", default=Path("data"), description="database, logs, cache, models, settings")
    media_roots: Annotated[list[Path], NoDecode] = _named(
        "media_roots", default=[], description="more folders from which scenes may read files by path"
    )
    max_upload_mb: int = _named("max_upload_mb", default=2048, ge=1, le=1_000_000, description="largest upload, in MB")
    trash_days: int = _named(
        "trash_days", default=30, ge=0, le=36_500, description="days that the trash keeps a take; 0: for ever"
    )

    name_template: str = _named(
        "name_template", default=DEFAULT_TAKE, description="how files of takes are called, without folder and suffix"
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _named(
        "log_level", "LOG_LEVEL", default="INFO", description="how much the log files say"
    )
    force_cpu: bool = _named("force_cpu", "FORCE_CPU", default=False, description="never use a GPU")
    max_concurrent_tasks: int = _named(
        "max_concurrent_tasks", "MAX_CONCURRENT_TASKS", default=4, ge=1, le=64, description="waiting calls at once"
    )
    vram_ceiling_gb: float = _named(
        "vram_ceiling_gb", default=0.0, ge=0, le=10_000, description="GB of video memory we may have; 0: all of it"
    )
    vram_headroom_gb: float | None = _named(
        "vram_headroom_gb", ge=0, le=1_000, description="GB of video memory that stay free; 1, on Windows 1.5"
    )
    cuda_alloc_conf: str = _named(
        "cuda_alloc_conf", "PYTORCH_CUDA_ALLOC_CONF", default="expandable_segments:True", description="torch allocator"
    )
    hf_home: Path = _named("hf_home", "HF_HOME", default=Path(), description="model cache; default data/models")
    transformers_cache: Path | None = _named("transformers_cache", "TRANSFORMERS_CACHE", description="its hub folder")
    hf_endpoint: str = _named("hf_endpoint", "HF_ENDPOINT", default="", description="where models come from; a mirror")
    model_repos: str = _named(
        "model_repos", default="", description="other repositories of models that speak: engine=owner/name, …"
    )
    offline: bool = _named("offline", "HF_HUB_OFFLINE", default=False, description="fetch nothing from the internet")
    proxy: str = _named("proxy", "HTTPS_PROXY", "https_proxy", default="", description="through which models come")

    fal_key: SecretStr | None = _named("fal_key", "FAL_KEY", description="key of fal.ai")
    elevenlabs_api_key: SecretStr | None = _named(
        "elevenlabs_api_key", "ELEVENLABS_API_KEY", description="key of ElevenLabs"
    )
    dashscope_api_key: SecretStr | None = _named(
        "dashscope_api_key", "DASHSCOPE_API_KEY", description="key of DashScope (Wan)"
    )
    sora_api_key: SecretStr | None = _named(
        "sora_api_key", "SORA_API_KEY", description="key of a Sora-compatible provider"
    )
    webhook_secret: SecretStr | None = _named(
        "webhook_secret", description="signs what is posted to the callback_url of a run"
    )
    openai_api_key: SecretStr | None = _named(
        "openai_api_key", "OPENAI_API_KEY", description="key of OpenAI and of servers that speak its protocol"
    )
    elevenlabs_url: str = _named("elevenlabs_url", default="", description="another address of ElevenLabs")
    openai_url: str = _named(
        "openai_url", default="", description="another address of OpenAI's speech, that costs money"
    )
    speech_server_url: str = _named(
        "speech_server_url", default="", description="a server of your own that speaks by OpenAI's protocol"
    )
    speech_server_key: SecretStr | None = _named("speech_server_key", description="its key, where it wants one")
    cosyvoice_url: str = _named("cosyvoice_url", default="", description="a CosyVoice server of your own")
    pocket_tts_python: str = _named(
        "pocket_tts_python", default="", description="the Python that has the package pocket-tts, or its environment"
    )
    qwen3_tts_python: str = _named(
        "qwen3_tts_python", default="", description="the Python that has the package qwen-tts, or its environment"
    )
    voxcpm_python: str = _named(
        "voxcpm_python", default="", description="the Python that has the package voxcpm, or its environment"
    )
    wan2gp_dir: str = _named("wan2gp_dir", default="", description="the folder of your Wan2GP, where wgp.py lies")
    wan2gp_python: str = _named(
        "wan2gp_python", default="", description="its Python, or its environment, where that lies elsewhere"
    )
    hf_token: SecretStr | None = _named("hf_token", "HF_TOKEN", description="token for gated models of Hugging Face")

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _file: Path = PrivateAttr(default=Path())

    def __init__(self, **values: Any) -> None:
        """`values` are flags, by field name. Raises Refused("settings.invalid") naming the setting and its origin."""
        files = _files(type(self), values)
        origins = _origins(type(self), [values, *(source() for source in files)])
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = field_named(type(self), str(first["loc"][0])) if first["loc"] else "auth"
            raise Refused(
                "settings.invalid",
                setting=field,
                origin=origins.get(field, "default"),
                reason=first["msg"].removeprefix("Value error, "),
            ) from None  # its text would show the value, which may be a key
        self._origins, self._file = origins, Path(str(files[-1].toml_file_path))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, *_files(settings_cls, init_settings())

    @field_validator("media_roots", "allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return _split(value)

    @field_validator("media_roots")
    @classmethod
    def _names_apart(cls, value: list[Path]) -> list[Path]:
        """The database knows a media root by its last name: two of one name would be one, and lead astray."""
        names = [path.name for path in dict.fromkeys(value)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two folders are called {twice[0]}: rename one, or name the folder above both")
        return value

    @field_validator("output_dir", "data_dir", "hf_home", "transformers_cache", "media_roots")
    @classmethod
    def _is_a_path(cls, value: Any) -> Any:
        for path in value if isinstance(value, list) else [value or Path()]:
            try:
                path.expanduser()
            except RuntimeError as error:  # ~nobody
                raise ValueError(str(error)) from error
            if "\0" in str(path):
                raise ValueError("a path without a NUL")
        return value

    @field_validator("model_repos")
    @classmethod
    def _are_repositories(cls, value: str) -> str:
        wrong = [one for one in _split(value) if one.strip() and not REPOSITORY.fullmatch(one.strip())]
        if wrong:
            raise ValueError(f"write each as engine=owner/name, or engine.part=owner/name: {wrong[0].strip()[:80]}")
        return value.strip()

    @field_validator(*ADDRESSES)
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("write it as http://host:port or https://host")
        return value

    @field_validator("root_path")
    @classmethod
    def _is_below(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        if value and (not BELOW.fullmatch(value) or OURS.fullmatch(value)):
            raise ValueError("write it as /lanterna, and not like a path of the studio's own")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for one in value:
            try:
                everybody = ip_network(one, strict=False).prefixlen == 0
            except ValueError as error:
                raise ValueError(f"write an address, 127.0.0.1, or a network, 172.18.0.0/16: {one[:80]}") from error
            if everybody:
                raise ValueError(f"{one} is everybody: name the proxy's own address or network")
        return value

    @field_validator("share_server")
    @classmethod
    def _is_a_server(cls, value: str) -> str:
        value = value.strip()
        if value and not SERVER.fullmatch(value):
            raise ValueError("write it as host:port")
        return value

    @field_validator(*OWN_PYTHONS, "share_server_certificate")
    @classmethod
    def _is_a_program(cls, value: str) -> str:
        cls._is_a_path(Path(value.strip()))
        return value.strip()

    @field_validator("name_template")
    @classmethod
    def _names_a_take(cls, value: str) -> str:
        check_take_name(value)
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("auth")
    @classmethod
    def _user_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            user, _, password = value.get_secret_value().partition(":")
            if not user or not password:
                raise ValueError("write it as user:password")
        return value

    @model_validator(mode="after")
    def _absolute(self) -> "Settings":
        """Relative folders are beside launch.py, wherever the terminal stands."""
        self.root = self.root.expanduser().resolve()
        self.output_dir = self.inside(self.output_dir)
        self.data_dir = self.inside(self.data_dir)
        self.hf_home = self.inside(self.hf_home) if self.hf_home != Path() else self.data_dir / "models"
        self.media_roots = [self.inside(path) for path in self.media_roots]
        return self

    def inside(self, path: Path) -> Path:
        """A path as the user wrote it, beside launch.py where it is relative."""
        return (self.root / path.expanduser()).resolve()

    # ------------------------------------------------------------------------------------------------ what follows
    @property
    def database(self) -> Path:
        return self.data_dir / "studio.db"

    @property
    def file(self) -> Path:
        """settings.toml, where it was read: a `data_dir` that stands in it does not move it."""
        return self._file

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def cache_dir(self) -> Path:
        return self.data_dir / "cache"

    @property
    def models_dir(self) -> Path:
        """Checkpoints, LoRAs and the list of folders that models were imported from."""
        return self.data_dir / "models"

    @property
    def roots(self) -> dict[str, Path]:
        """Folders by the names that the database knows: they never change and do not hang on the order of a list."""
        media = {f"media:{path.name}": path for path in self.media_roots}
        bundled = self.assets_dir / "samples"
        return {"outputs": self.output_dir, "data": self.data_dir, "bundled": bundled, **media}

    @property
    def assets_dir(self) -> Path:
        """Fonts, icons, styles, locales and the sample: they come with the program, not with the user's folders."""
        return ROOT / "assets"

    @property
    def opens(self) -> list[str]:
        """The settings by which somebody besides this computer may reach the studio."""
        found = {"host": self.host not in LOOPBACK, "share": self.share}
        found |= {name: bool(getattr(self, name)) for name in BY_PROXY}
        return [name for name, is_set in found.items() if is_set]

    @property
    def local_only(self) -> bool:
        """Nobody but this computer can reach the studio."""
        return not self.opens

    @property
    def at_home(self) -> bool:
        """It is one user's own while nothing is shared: no password speaks of others, no proxy leads in. A proxy may
        send nothing by which its visitors could be told from the user."""
        return self.auth is None and not set(BY_PROXY) & set(self.opens)

    @property
    def address(self) -> str:
        """Where a browser on this computer finds the studio."""
        host = self.host if self.host in LOOPBACK else LOOPBACK[0]
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def secrets(self) -> list[str]:
        """Every key and password as text, for the log filter."""
        found = [getattr(self, name) for name in type(self).model_fields]
        texts = [value.get_secret_value() for value in found if isinstance(value, SecretStr)]
        if self.auth:
            texts.append(self.auth.get_secret_value().partition(":")[2])
        urls = (self.proxy, self.hf_endpoint, *(getattr(self, name) for name in ADDRESSES))
        addresses = [PASSWORD.search(url) for url in urls]
        return texts + [found[2] for found in addresses if found]

    def origin(self, field: str) -> str:
        """flag | environment | .env | data/settings.toml | default"""
        return self._origins.get(field, "default")

    def learn_origin(self, field: str, origin: str) -> None:
        """A value was changed while the studio runs."""
        self._origins[field] = origin

    def described(self) -> list[tuple[str, ...]]:
        """(setting, value with secrets masked, origin) for --print-config."""
        rows: list[tuple[str, ...]] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            shown = "set" if isinstance(value, SecretStr) else "" if value is None else _written(value)
            rows.append((name, shown, self.origin(name)))
        return rows

    def export(self, environment: dict[str, str] | Any = os.environ) -> None:
        """Tell the libraries by environment, before they are imported; workers inherit it."""
        told = {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "GRADIO_TEMP_DIR": str(self.cache_dir / "gradio"),
            "HF_HOME": str(self.hf_home),
            "LANTERNA_SHELF": str(self.models_dir),
            "LANTERNA_CACHE": str(self.cache_dir),
            "PYTORCH_CUDA_ALLOC_CONF": self.cuda_alloc_conf,
            "HF_HUB_CACHE": str(self.inside(self.transformers_cache)) if self.transformers_cache else "",
            "HF_ENDPOINT": self.hf_endpoint,
            "LANTERNA_MODEL_REPOS": self.model_repos,
            "HF_HUB_OFFLINE": "1" if self.offline else "",
            "HF_TOKEN": self.hf_token.get_secret_value() if self.hf_token else "",
            "LANTERNA_ENVS": str(self.data_dir / "envs"),
        }
        for name in (*ADDRESSES, *OWN_PYTHONS, *SPEAKING_KEYS):  # read by the engines that speak with them
            value = getattr(self, name)
            told[f"LANTERNA_{name.upper()}"] = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
        for name in filter(told.get, (f"LANTERNA_{name.upper()}" for name in OWN_PYTHONS)):
            # not resolved: the Python of an environment is a link to another one, and is itself only by its place
            told[name] = str(self.root / Path(told[name]).expanduser())
        for name in PROGRAMS:
            given = getattr(self, name).strip()
            told[f"LANTERNA_{name.upper()}"] = str(self.root / Path(given).expanduser()) if given else ""
        before = json.loads(environment.get(EXPORTED, "{}"))
        for name, value in told.items():
            if value:
                before[name] = [before[name][0] if name in before else environment.get(name), value]
                environment[name] = value
            elif name in before:  # told earlier, and taken back since
                environment.pop(name, None)
        if self.force_cpu:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        environment[EXPORTED] = json.dumps(before)


def _written(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else without_password(str(value))


def without_password(text: str) -> str:
    """An address as anybody may see it."""
    return PASSWORD.sub(r"\1***@", text)


def _files(
    cls: type[BaseSettings], flags: Mapping[str, Any]
) -> tuple[EnvSettingsSource, DotEnvSettingsSource, TomlConfigSettingsSource]:
    """Environment, .env and settings.toml. The last lies in the data folder, which the others may move."""
    root = Path(flags.get("root") or users_root()).expanduser().resolve()
    env = EnvSettingsSource(cls)
    env.env_vars = _given(env.env_vars)
    dotenv = DotEnvSettingsSource(cls, env_file=root / ".env")
    data_dir: Any = "data"
    for source in (dict(flags), env(), dotenv()):
        data_dir = next((v for k, v in source.items() if field_named(cls, k) == "data_dir"), None) or data_dir
        if data_dir != "data":
            break
    toml_file = root / os.path.expanduser(data_dir) / "settings.toml"
    try:
        toml = TomlConfigSettingsSource(cls, toml_file=toml_file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise Refused("settings.toml", path=str(toml_file), reason=str(error)) from error
    return env, dotenv, toml


def _origins(cls: type[BaseSettings], given: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """`given`: what each of ORIGINS says."""
    found: dict[str, str] = {}
    for origin, values in zip(ORIGINS, given, strict=True):
        for key in values:
            found.setdefault(field_named(cls, key), origin)
    return found


def _given(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """The environment as the user gave it: without what this program told its libraries by it."""
    given = dict(variables)
    for name, (before, told) in json.loads(os.environ.get(EXPORTED, "{}")).items():
        if given.get(name) == told:
            given[name] = before
    return {name: value for name, value in given.items() if value is not None}


def field_named(cls: type[BaseSettings], name: str) -> str:
    """The field behind any of its names."""
    for field, info in cls.model_fields.items():
        alias = info.validation_alias
        names = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else []
        if name == field or name in names:
            return field
    return name
