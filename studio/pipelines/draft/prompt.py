"""What a prompt asks of the camera and of the world, read from English, Portuguese or Chinese words.

Latin words match as whole words ("valley" is no "alley", "remembers" no "embers"); Chinese has no word boundaries.
The earliest mention wins. Knows nothing of pictures.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Size = Literal["wide", "medium", "close", "extreme"]
Table = Mapping[str, str]  # name -> alternatives, separated by |

SIZES: Table = {
    "extreme": r"extreme close|macro|plano detalhe|detalhe extremo|大特写",
    "close": r"close[- ]?up|tight shot|face of|primeir[ií]ssimo plano|primeiro plano|plano fechado|特写|近景",
    "medium": r"medium|waist|mid[- ]?shot|plano m[eé]dio|plano americano|中景|中近景",
    "wide": r"wide|establishing|aerial|panorama|landscape|long shot|vista|plano geral|plano aberto|plano conjunto"
    r"|远景|全景|航拍|大远景",
}
MOVES: Table = {
    "push_in": r"push(?:es)?[- ]?in|zoom(?:s|ing)? in|dolly[- ]in|dollies in|moves? in|moves? closer|aproxima\w*"
    r"|zoom de aproxima\w+|推近|推镜|推进|拉近",
    "pull_out": r"pull(?:s|ing)?[- ]?(?:out|back)|zoom(?:s|ing)? out|dolly[- ]out|reveal|afasta\w*|recua\w*"
    r"|拉远|拉镜|后退",
    "pan_left": r"pan(?:s|ning)? (?:to the )?left|panor[aâ]mica (?:para|à|a) (?:a )?esquerda|向左摇|左摇|左移",
    "pan_right": r"pan(?:s|ning)?(?: (?:to the )?right)?|panor[aâ]mica|向右摇|右摇|右移|横摇|摇镜",
    "tilt_up": r"tilt(?:s|ing)? up|crane up|camera rises|inclina\w* para cima|sobe a c[aâ]mera|向上摇|上摇|升起",
    "tilt_down": r"tilt(?:s|ing)? down|crane down|inclina\w* para baixo|desce a c[aâ]mera|向下摇|下摇",
    "track": r"track(?:s|ing)|camera follow|follow(?:s|ing) shot|lateral|travelling|traveling shot|acompanha"
    r"|跟拍|跟随|移镜",
    "handheld": r"hand-?held|shaky|documentary|c[aâ]mera na m[aã]o|tremid[ao]|手持|晃动",
    "orbit": r"orbit|arc shot|around (?:him|her|them|it)|circula|gira em torno|环绕",
    "static": r"static|locked[- ]off|still shot|tripod|c[aâ]mera fixa|plano fixo|est[aá]tic[ao]|固定|静止",
}
TIMES: Table = {
    "night": r"night|midnight|moon|moonlight|moonlit|neon|starr?y|stars|noite|meia-noite|madrugada|luar|lua"
    r"|estrelad[ao]|夜|月光|霓虹|星空",
    "sunset": r"sunset|dusk|golden hour|evening|nightfall|twilight|p[oô]r do sol|entardecer|anoitecer|crep[uú]sculo"
    r"|黄昏|日落|夕阳|傍晚",
    "dawn": r"dawn|sunrise|daybreak|early morning|amanhecer|alvorada|nascer do sol|黎明|清晨|日出|早晨|拂晓",
    "storm": r"storm|thunder|lightning|overcast|gr[ea]y sky|gloomy?|tempestade|temporal|nublad[ao]|暴风|阴天|乌云|雷",
    "day": r"day|daylight|noon|midday|sunny|sunlit|morning|afternoon|dia|manh[aã]|tarde|ensolarad[ao]|meio-dia"
    r"|白天|阳光|中午|下午",
}
WEATHERS: Table = {
    "rain": r"rain|raindrop|downpour|drizzl\w*|storm|chuva|chove\w*|garoa|tempestade|雨",
    "snow": r"snow|snowfall|snowflake|blizzard|neve|nevasca|neva\w*|雪",
    "fog": r"fog|mist|haze|smoke|n[eé]voa|neblina|bruma|fuma[cç]a|雾|烟",
    "embers": r"fire|campfire|bonfire|flame|ember|spark|candle|fogo|fogueira|chama|brasa|fa[ií]sca|火|烛",
    "dust": r"dust|sunbeam|pollen|magic|dream|firefl(?:y|ies)|poeira|m[aá]gic[ao]|sonho|vaga-?lume|尘|萤火|梦",
}
PLACES: Table = {  # words that name the place of the shot
    "space": r"outer space|space ?station|space|galaxy|nebula|starship|spaceship|alien planet|espa[cç]o sideral"
    r"|gal[aá]xia|nave espacial|太空|宇宙|星球|飞船|星系",
    "interior": r"indoors?|interior|room|kitchen|office|bedroom|inside|library|studio|caf[eé]|corridor|hallway"
    r"|classroom|workshop|cabin|quarto|cozinha|sala|escrit[oó]rio|biblioteca|corredor|loja|oficina|dentro de casa"
    r"|房间|厨房|办公室|图书馆|室内|屋里|教室|走廊|客厅|书房",
    "city": r"city|skyline|rooftop|alley|downtown|metropolis|skyscraper|cidade|beco|arranha-c[eé]us?|城市|都市|巷|摩天",
    "forest": r"forest|woods|jungle|woodland|floresta|mata|bosque|selva|森林|树林|丛林|竹林",
    "sea": r"sea|lighthouse|pier|dock|shore|seaside|coast|ocean|beach|harbou?r|bay|headland|lake|cais|farol|costa|mar"
    r"|oceano|praia|porto|ba[ií]a|lago|码头|灯塔|海|湖|港|岸边",
    "desert": r"desert|dune|deserto|duna|沙漠|沙丘|戈壁",
    "mountain": r"mountain|cliff|peak|valley|canyon|summit|montanha|penhasco|vale|serra|desfiladeiro|山|峡谷|悬崖",
    "village": r"village|farm|cottage|town|vila|aldeia|fazenda|vilarejo|村|农|小镇",
    "hills": r"hills?|meadow|field|prairie|countryside|colina|campo|prado|田野|草原|草地",
}
HINTS: Table = {  # weaker words, asked only when no place is named
    "space": r"planet|orbit|astronaut|rocket|comet|planeta|astronauta|foguete|火箭|宇航员",
    "interior": r"window|lamp room|table|desk|bed|door|bar|shop|stage|candle|janela|mesa|cama|porta|palco"
    r"|窗|桌|床|门|店",
    "city": r"street|neon|building|traffic|subway|taxi|rua|pr[eé]dio|tr[aâ]nsito|metr[oô]|街|楼|霓虹",
    "forest": r"tree|pines?|[aá]rvore|pinheiro|树",
    "sea": r"ship|boat|sailor|wave|river|island|tide|navio|barco|onda|rio|ilha|mar[eé]|marinheiro|船|河|岛|浪",
    "desert": r"sand|camel|areia|camelo|沙|骆驼",
    "mountain": r"snow|neve|雪",
    "village": r"house|home|roof|church|market|casa|telhado|igreja|mercado|家|屋",
}
FEATURES: Table = {
    "lighthouse": r"lighthouse|farol|faroleir[ao]|灯塔",
    "boat": r"boat|ship|sail|sailing|yacht|barco|navio|veleiro|barca|船|帆",
    "birds": r"bird|gull|seagull|crow|flock|p[aá]ssaro|gaivota|ave|鸟|海鸥",
    "walking": r"walk(?:s|ed|ing)?|run(?:s|ning)?|climb(?:s|ed|ing)?|anda(?:ndo)?|caminha\w*|corre(?:ndo)?|sobe"
    r"|走|跑|爬",
}
WOMEN = (
    r"girl|woman|women|she|her|mother|queen|daughter|sister|menina|mulher|mulheres|ela|dela|m[aã]e|filha|moça"
    r"|女|她|母|姐|妹"
)
ONE = (
    r"man|woman|girl|boy|he|she|his|her|person|figure|detective|soldier|king|queen|child|hero|keeper|sailor|captain"
    r"|astronaut|traveller|traveler|stranger|homem|mulher|menina|menino|ele|ela|rapaz|velh[oa]|mo[cç]a|garot[ao]"
    r"|crian[cç]a"
    r"|detetive|soldado|rei|rainha|faroleir[oa]|marinheir[oa]|astronauta|figura|男|女|孩|他|她|老人|守塔人|人影|船长"
)
TWO = (
    r"two (?:\w+ )?(?:people|men|women|girls|boys|figures|friends|children)|couple|both|friends|brothers|sisters|lovers"
    r"|dois|duas|casal|amig[oa]s|irm[aã]os|两人|两个|二人|夫妻|朋友|他们|她们"
)
THREE = r"three|group|crowd|family|tr[eê]s|grupo|fam[ií]lia|multid[aã]o|三人|三个|一群|家人"
ANYWHERE = ("hills", "mountain", "village", "sea")  # where shots of a queue play when no word says so
FREE_MOVES: Mapping[str, tuple[str, ...]] = {  # chosen from when the prompt leaves the camera free
    "wide": ("pull_out", "pan_right", "pan_left", "push_in"),
    "medium": ("push_in", "track", "orbit"),
    "close": ("push_in", "handheld", "breathe"),
    "extreme": ("push_in", "breathe"),
}
_HAN = re.compile(r"[\u2e80-\u9fff]")


@dataclass(frozen=True, slots=True)
class Directions:
    """What the prompt asks for; None where it says nothing."""

    size: Size
    move: str  # one of MOVES, or "breathe"
    time: str | None  # one of TIMES
    weather: str | None  # one of WEATHERS
    environment: str | None  # one of PLACES
    people: int  # 0..3 figures worth drawing
    women: int  # how many of them
    features: frozenset[str]  # of FEATURES


def seed_of(*keys: object) -> int:
    """The same 32-bit number for the same keys, on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(keys).encode(), digest_size=4).digest(), "little")


def read_prompt(prompt: str, seed: int) -> Directions:
    """Everything the words say, and for the camera also what they leave free (chosen by prompt and seed)."""
    text = prompt.lower()
    features = frozenset(name for name, words in FEATURES.items() if find(words, text) is not None)
    size = earliest(SIZES, text) or "medium"
    people = 3 if _has(THREE, text) else 2 if _has(TWO, text) else 1 if _has(ONE, text) else 0
    free = FREE_MOVES[size]
    return Directions(
        size=size,
        move=earliest(MOVES, text) or free[seed_of("move", prompt, seed) % len(free)],
        time=earliest(TIMES, text),
        weather=earliest(WEATHERS, text),
        environment=earliest(PLACES, text) or earliest(HINTS, text),
        people=people,
        women=min(
            people,
            (1 if _has(WOMEN, text) else 0) + (1 if _has(r"women|girls|sisters|mulheres|irmãs|她们", text) else 0),
        ),
        features=features,
    )


def anywhere(style: str) -> str:
    """The place of shots that name none: the same for all shots of one style."""
    return ANYWHERE[seed_of("anywhere", style) % len(ANYWHERE)]


def earliest(table: Table, text: str) -> str | None:
    """The row whose word comes first in a lower-case text; on a tie the earlier row."""
    found = [(at, row) for row, words in enumerate(table.values()) if (at := find(words, text)) is not None]
    return list(table)[min(found)[1]] if found else None


def find(words: str, text: str) -> int | None:
    """Where the first of the words stands in a lower-case text."""
    match = _pattern(words).search(text)
    return match.start() if match else None


def _has(words: str, text: str) -> bool:
    return find(words, text) is not None


@cache
def _pattern(words: str) -> re.Pattern[str]:
    alternatives = _split(words)
    latin = "|".join(word for word in alternatives if not _HAN.search(word))
    han = [word for word in alternatives if _HAN.search(word)]
    return re.compile("|".join([rf"\b(?:{latin})(?:e?s)?\b", *han]))


def _split(words: str) -> list[str]:
    """Split at | outside brackets."""
    parts, depth = [""], 0
    for char in words:
        depth += (char in "([") - (char in ")]")
        if char == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


# ------------------------------------------------------------------------------------------------ words for the card
_STYLE_WORDS = re.compile(
    r"\b(?:\d+ ?mm|\d+k|cinematic|photo-?realistic|film grain|shallow depth of field|lens|bokeh|high detail|masterpiece"
    r"|cinematogr[aá]fic[oa]|realista|profundidade de campo|slow|smooth|camera|c[aâ]mera|shot|lento|suave)\b"
    r"|电影感|镜头|画质"
)


def action_text(prompt: str) -> str:
    """What happens, without cut tags and without clauses that only speak of camera and lens."""
    text = re.sub(r"\[[A-Z_]+\]\s*", "", prompt).strip()
    kept = ""
    for words, mark in re.findall(r"([^.,;:，。；：!?！？]+)((?:[.,;:，。；：!?！？]+[\"”』」]?\s*)?)", text):
        if not _only_camera(words):
            kept += words + mark
        elif kept and mark.strip() and mark.strip()[0] in ".。!！?？":  # the sentence still ends here
            kept = kept.rstrip(",;:，；：.。 ") + mark
    kept = kept.strip().rstrip(",;:，；： ")
    return (kept[:1].upper() + kept[1:]) if kept else text


def _only_camera(clause: str) -> bool:
    words = clause.lower().strip()
    speaks = any(find(row, words) is not None for table in (SIZES, MOVES) for row in table.values())
    short = len(words.split()) <= 4 and len(_HAN.findall(words)) <= 6
    return short and (speaks or _STYLE_WORDS.search(words) is not None)
