"""What the page wears: the Gradio theme, the head of the page, the icons. Knows no tab and no user text.

The head must stand in the HTML before Gradio's own script: Gradio adds `head=` only after it has read the browser's
language and painted once. `PageHead` puts it there.
"""

import functools
import json
import re
from pathlib import Path
from urllib.parse import quote

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ASSETS = Path(__file__).resolve().parents[3] / "assets"
LANGUAGES = ("en", "pt", "zh")
STYLES = (  # later ones win
    "tokens", "shell", "form", "queues", "takes", "generate", "gallery", "welcome", "editing", "notices", "preflight",
    "packages", "timeline", "film", "importer", "settings", "plan", "voice", "avatar", "share", "review",
)  # fmt: skip

MANIFEST = "/manifest.webmanifest"  # kit/manifest.py answers
BACKGROUND, INK, PANEL, CONTROL = "#08090b", "#0d0f12", "#13161a", "#1a1e23"
TEXT, TEXT_2, TEXT_3 = "#ece9e2", "#a6a8ab", "#7f848b"
LINE, LINE_2 = "rgba(255,255,255,.055)", "rgba(255,255,255,.10)"
LAMP = gr.themes.Color(
    "#fdf4e6", "#fbe6c6", "#f6d39c", "#f0c07a", "#ecb266", "#e8a855", "#d08f3c", "#a8702c", "#7d5321", "#553817",
    "#33210d",
)  # fmt: skip
THEME_VARIABLES = {
    "body_background_fill": BACKGROUND,
    "body_text_color": TEXT,
    "body_text_color_subdued": TEXT_3,
    "background_fill_primary": INK,
    "background_fill_secondary": PANEL,
    "block_background_fill": INK,
    "block_border_color": LINE,
    "block_label_text_color": TEXT_3,
    "block_label_background_fill": "transparent",
    "block_title_text_color": TEXT_2,
    "border_color_primary": "rgba(255,255,255,.08)",
    "input_background_fill": CONTROL,
    "input_background_fill_focus": "#1f242a",
    "input_border_color": LINE,
    "input_border_color_focus": "rgba(232,168,85,.42)",
    "input_shadow_focus": "0 0 0 3px rgba(232,168,85,.10)",
    "input_placeholder_color": "#6a7078",
    "button_primary_background_fill": "#e8a855",
    "button_primary_background_fill_hover": "#f0b96d",
    "button_primary_text_color": "#1b1206",
    "button_primary_border_color": "transparent",
    "button_secondary_background_fill": "#1f242a",
    "button_secondary_background_fill_hover": "#282e36",
    "button_secondary_text_color": TEXT,
    "button_secondary_border_color": LINE,
    "slider_color": "#e8a855",
    "shadow_drop": "none",
    "shadow_drop_lg": "0 12px 40px rgba(0,0,0,.6)",
    "checkbox_background_color": CONTROL,
    "checkbox_background_color_selected": "#e8a855",
    "checkbox_border_color": "rgba(255,255,255,.14)",
    "checkbox_label_background_fill": "transparent",
}


def make_theme() -> gr.themes.Base:
    """One look: light and dark carry the same values, so the browser's preference changes nothing."""
    theme = gr.themes.Base(
        primary_hue=LAMP,
        neutral_hue="zinc",
        font=["Inter", "PingFang SC", "Microsoft YaHei", "Noto Sans SC", "Noto Sans CJK SC", "system-ui", "sans-serif"],
        font_mono=["Geist Mono", "ui-monospace", "monospace"],
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_sm,
        text_size=gr.themes.sizes.text_sm,
    )
    known = vars(theme)
    dark = {f"{name}_dark": value for name, value in THEME_VARIABLES.items() if f"{name}_dark" in known}
    theme.set(**THEME_VARIABLES, **dark)
    return theme


@functools.cache
def icon_css() -> str:
    """One CSS mask per file in assets/icons: an icon is there with the first paint and takes the colour of its text."""
    rules = []
    for path in sorted((ASSETS / "icons").glob("*.svg")):
        svg = re.sub(r"<!--.*?-->|\s+class=\"[^\"]*\"", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        svg = (
            re.sub(r"\s+", " ", svg)
            .replace("> <", "><")
            .replace('"', "'")
            .replace("stroke-width='2'", "stroke-width='1.7'")
        )
        source = quote(svg, safe=" =:/'.,-")
        rules.append(f'.l-ic-{path.stem}{{--i:url("data:image/svg+xml,{source}")}}')
    return "".join(rules)


HEAD_SCRIPT = """
(() => {
  const known = %(languages)s, set = %(setting)s, base = %(base)s;
  const read = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const cookie = (document.cookie.match(/(?:^|; )lanterna_lang=(\\w+)/) || [])[1];
  const browser = (navigator.languages || [navigator.language]).map((l) => l.slice(0, 2).toLowerCase());
  const lang = [read("lanterna_lang"), cookie, set, ...browser].find((l) => known.includes(l)) || "en";
  const region = { pt: "pt-BR", zh: "zh-CN" }[lang] || lang;
  for (const [name, value] of [["language", region], ["languages", [region, lang]]])
    Object.defineProperty(navigator, name, { get: () => value, configurable: true });
  document.documentElement.lang = lang === "zh" ? "zh-Hans" : lang;
  if (cookie !== lang) document.cookie = `lanterna_lang=${lang}; path=${base}/; max-age=31536000; samesite=lax`;
  window.lanterna = {
    base, lang, words: fetch(`${base}/api/dictionary?lang=${lang}`).then((answer) => answer.json()),
    module: (name) => import(`${base}/ui/js/${name}.js`),
  };
  const here = new URL(location);
  if (here.searchParams.get("__theme") !== "dark") {
    here.searchParams.set("__theme", "dark");
    history.replaceState(null, "", here);
  }
})();
"""  # Gradio reads navigator.language (only regions it knows itself) and ?__theme= once, when its own script starts


def page_head(lang: str = "", nav_icons: dict[str, str] | None = None, root_path: str = "") -> str:
    """Everything that must be in <head> before Gradio's script. `lang`: the setting, "" for the browser's own;
    `root_path`: below which the browser finds us."""
    script = HEAD_SCRIPT % {
        "languages": json.dumps(LANGUAGES), "setting": json.dumps(lang), "base": json.dumps(root_path),
    }  # fmt: skip
    styles = [name for name in STYLES if (ASSETS / "css" / f"{name}.css").is_file()]
    modules = sorted(path.name for path in (ASSETS / "js").glob("*.js"))
    nav = "".join(
        f'#l-nav>.tab-wrapper button[data-tab-id="{tab}"]{{{rule}}}'
        for tab, name in (nav_icons or {}).items()
        if (rule := _icon_rule(name))
    )
    return "\n".join(
        [
            f"<style>html,body{{background:{BACKGROUND}}}</style>",
            f"<script>{script}</script>",
            f'<link rel="icon" type="image/svg+xml" href="{root_path}/ui/favicon.svg">',
            f'<link rel="apple-touch-icon" href="{root_path}/ui/app/apple-touch-icon.png">',
            # without credentials a studio with a password would refuse it
            f'<link rel="manifest" href="{root_path}{MANIFEST}" crossorigin="use-credentials">',
            f'<meta name="theme-color" content="{INK}">',
            *(f'<link rel="stylesheet" href="{root_path}/ui/css/{name}.css">' for name in styles),
            f"<style>{icon_css()}{nav}</style>",
            *(f'<link rel="modulepreload" href="{root_path}/ui/js/{name}">' for name in modules),
        ]
    )


def _icon_rule(name: str) -> str:
    found = re.search(rf"\.l-ic-{re.escape(name)}\{{(.*?)\}}", icon_css())
    return found.group(1) if found else ""


class PageHead:
    """ASGI middleware: puts the head into the page, first thing after <head>; takes out what Gradio says of itself."""

    def __init__(self, app: ASGIApp, head: str) -> None:
        self.app = app
        self.head = b"<head>\n" + head.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        here = scope["type"] == "http" and scope["path"].removeprefix(scope.get("root_path", ""))
        if here != "/" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = bytearray()

        async def hold(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":  # an extension of the server's
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            assert start is not None  # ASGI: the start comes first
            page = self._dressed(bytes(body), dict(start["headers"]))
            kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            await send({**start, "headers": [*kept, (b"content-length", str(len(page)).encode())]})
            await send({"type": "http.response.body", "body": page})

        await self.app(scope, receive, hold)

    def _dressed(self, page: bytes, headers: dict[bytes, bytes]) -> bytes:
        if not headers.get(b"content-type", b"").startswith(b"text/html"):
            return page
        page = re.sub(rb'<(?:meta\s+(?:property="og:|name="twitter:)|link rel="manifest")[^>]*>\s*', b"", page)
        return page.replace(b"<head>", self.head, 1)


def page_middleware(lang: str = "", nav_icons: dict[str, str] | None = None, root_path: str = "") -> Middleware:
    """For `launch(app_kwargs={"middleware": [...]})`; it must see the page before it is compressed."""
    return Middleware(PageHead, head=page_head(lang, nav_icons, root_path))
