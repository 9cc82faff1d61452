"""Fonts that draw signs where their text has letters: Symbol, Wingdings, Webdings and Zapf Dingbats.

Word, Excel, RTF and old web pages write a sign as a byte and the font's name: the letter m in Symbol is a
mu, and 100 mg are not 100 micrograms. A byte that stands in no text is the private character U+F000 plus
the byte. Signs that differ in looks alone become the common one, such as one arrow for a dozen.
After Unicode L2/11-052 (Wingdings, Webdings) and the mappings of Adobe (Symbol, Zapf Dingbats).
"""
# ruff: noqa: RUF001 - the signs are the data

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from docpipe.convert.core.blocks import Block, mapped

UNKNOWN: Final = "[symbol]"
"""The replacement for characters that only an unknown font could draw."""
LOST: Final = "some characters could not be read and became [symbol]; see the original"
_PRIVATE: Final = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]+")
_FIRST: Final = 0x20
_BYTE: Final = 0xF000
_NO_BREAK_SPACE: Final = 0xA0
_LAST: Final = 0xFF
UNLISTED: Final = "docpipe unlisted signs"
"""The name of a font of signs that no table knows: each of its signs is a gap."""
_BARS: Final = re.compile(
    r"bar\s*code|code\s*[-_]?(?:39|93|128)|3\s*of\s*9|\b(?:ean|upc|itf|qr)|idaut", re.IGNORECASE
)
"""Names of fonts that draw bars for letters, which are what the bars mean."""
_UNICODE: Final = re.compile(r"(?:open|star)\s?symbol|segoe|arial|noto|dejavu|ms gothic", re.IGNORECASE)
"""Names of fonts that are declared so by some writers, and have the characters of Unicode."""
_GAP: Final = "\ue000"
"""A private character that no font uses for a byte: what the font has no sign for."""
_OTHER_NAMES: Final = {
    "symbolmt": "symbol",
    "standardsymbolsps": "symbol",
    "standardsymbolsl": "symbol",
    "itczapfdingbats": "zapfdingbats",
    "dingbats": "zapfdingbats",
    "monotypesorts": "zapfdingbats",
    "d050000l": "zapfdingbats",
}
_UNLISTED: Final = {
    "marlett": dict.fromkeys(map(ord, "ab"), "✓"),
    "mtextra": {ord("l"): "ℓ"},
    "wingdings4": {},
    "msoutlook": {},
    "msreferencespecialty": {},
    "bookshelfsymbol7": {},
}
"""Fonts of signs of which only some signs have a meaning in text: those, by their bytes."""
# The signs of the bytes 20 to FF, 32 a line; U+FFFD where the font has none.
_SIGNS: Final = {
    "symbol": (
        " !∀#∃%&∋()*+,-./0123456789:;<=>?"
        "≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_"
        "‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}~\ufffd"
        "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"
        "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐—↵"
        "ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓"
        "◊⟨®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪⟩∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭\ufffd"
    ),
    "wingdings": (
        " 🖉✂✁👓🕭🕮🕯☎✆✉✉📪📫📬📭🗀🗁🗎🗏🗐🗄⌛🖮🖰🖲🖳🖴🖫🖬✇✍"
        "🖎✌🖏👍👎☜☞☝☟🖐☺😐☹💣🕱🏳🏱✈☼🌢❄🕆✞🕈✠✡☪☯🕉☸♈♉"
        "♊♋♌♍♎♏♐♑♒♓🙰🙵●❍■☐☐❑❒◆◆◆❖◆☒⮹⌘🏵🏶🙶🙷▯"
        "🄋➀➁➂➃➄➅➆➇➈➉🄌➊➋➌➍➎➏➐➑➒➓🙢🙠🙡🙣🙞🙜🙝🙟∙•"
        "▪○○○○◎○▪☐★★★★★★★▣⌖⯎⯏⯑✪✰🕐🕑🕒🕓🕔🕕🕖🕗🕘"
        "🕙🕚🕛⮰⮱⮲⮳⮴⮵⮶⮷🙪🙫🙕🙔🙗🙖🙐🙑🙒🙓⌫⌦←➢↑↓←→↑↓←"
        "→↑↓↖↗↙↘←→↑↓↖↗↙↘⇦⇨⇧⇩↔⇳↖↗↙↘🢬🢭✗✓☒☑\ufffd"
    ),
    "wingdings2": (
        " 🖊🖋🖌🖍✄✀🕾🕽🗅🗆🗇🗈🗉🗊🗋🗌🗍📋🗑🗔🖵🖶🖷🖸🖭🖯🖱🖒🖓🖘🖙"
        "🖚🖛👈👉🖜🖝🖞🖟🖠🖡👆👇🖢🖣🖑✗✓☒☑☒☒⊗⊗⊘⊘🙱🙴🙲🙳‽🙹🙺"
        "🙻🙦🙤🙥🙧🙚🙘🙙🙛⓪①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿\ufffd"
        "☉🌕☽☾⸿✝🕇🕜🕝🕞🕟🕠🕡🕢🕣🕤🕥🕦🕧🙨🙩⋅◎⦁●○○○○⊙⦿▪"
        "▣◾■☐□□□□▣□◎◆◈◆◆◇◇◈◇◎⧫◊⧫⧫◊⧫◖◗●●■◆"
        "⬟⯂⬣⬢⯃⯄✚✚✚✚✚✚✚✕✕✕✕✕✕✕✱✱✱✱✱✱✱✱✱✱✱✱"
        "✱✱✱✱✱★★★★★★✶★★★★✹★★✯★★⯌⯍※⁂\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"
    ),
    "wingdings3": (
        " ←→↑↓↖↗↙↘⭰⭲⭱⭳⭶⭸⭻⭽↔↕←→↑↓⭍⮠⮡⮢⮣⮤⮥⮦⮧"
        "⮐⮑⮒⮓⮀⮃⭾⭿←→↑↓⮏⮍⮎⮌⭮⭯⎋⌤⌃⌥\u2423⍽⇪⮸←→←→←→"
        "←→←→←→←→↑↓↖↗↙↘↔↕▲▼△▽◀▶◁▷◣◢◤◥◀▶▲\ufffd"
        "▼▲▼◀▶←→↑↓←→↑↓←→↑↓←→↑↓←→↑↓←→↑↓←→↑"
        "↓←→↑↓←→←→←→←🢜🢝🢞🢟→←→←→←→↑↓←→↑↓←→↑"
        "↓←→↑↓←→↑↓⮨⮩⮪⮫⮬⮭⮮⮯←→↑↓↖↗↙↘←→↑↓↖↗↙"
        "↘←→↑↓↖↗↙↘←→↑↓←→↑↓\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"
    ),
    "webdings": (
        " 🕷🕸🕲🕶🏆🎖🖇🗨🗩🗰🗱🌶🎗🙾🙼🗕🗖🗗⏴⏵⏶⏷⏪⏩⏮⏭⏸⏹⏺🗚🗳"
        "🛠🏗🏘🏙🏚🏜🏭🏛🏠🏖🏝🛣🔍🏔👁👂🏞🏕🛤🏟🛳🕬🕫🕨🔈🎔🎕🗬🙽🗭🗪🗫"
        "⮔✔🚲☐🛡📦🛱■🚑ℹ🛩🛰★🕴◎🛥🚔🗘✕❓🛲🚇🚍⛳⊘⊖🚭🗮⏐🗯🗲\ufffd"
        "🚹🚺🛉🛊🚼👽🏋⛷🏂🏌🏊🏄🏍🏎🚘🗠🛢💰🏷💳👪🗡🗢🗣✯🖄🖅🖃🖆🖹🖺🖻"
        "🕵🕰🖽🖾📋🗒🗓🕮📚🗞🗟🗃🗂🖼🎭🎜🎘🎙🎧💿🎞📷🎟🎬📽📹📾📻🎚🎛📺💻"
        "🖥🖦🖧🕹🎮🕻🕼📟🖁🖀🖨🖩🖿🖪🗜🔒🔓🗝📥📤🕳🌣🌤🌥🌦☁🌨🌧🌩🌪🌬🌫"
        "🌜🌡🛋🛏🍽🍸🛎🛍Ⓟ♿🛆🖈🎓🗤🗥🗦🗧🛪🐿🐦🐟🐕🐈🙬🙮🙭🙯🗺🌍🌏🌎🕊"
    ),
    "zapfdingbats": (
        " ✁✂✃✄☎✆✇✈✉☛☞✌✍✎✏✐✑✒✓✔✕✖✗✘✙✚✛✜✝✞✟"
        "✠✡✢✣✤✥✦✧★✩✪✫✬✭✮✯✰✱✲✳✴✵✶✷✸✹✺✻✼✽✾✿"
        "❀❁❂❃❄❅❆❇❈❉❊❋●❍■❏❐❑❒▲▼◆❖◗❘❙❚❛❜❝❞\ufffd"
        "❨❩❪❫❬❭❮❯❰❱❲❳❴❵\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"
        "\ufffd❡❢❣❤❥❦❧♣♦♥♠①②③④⑤⑥⑦⑧⑨⑩❶❷❸❹❺❻❼❽❾❿"
        "➀➁➂➃➄➅➆➇➈➉➊➋➌➍➎➏➐➑➒➓➔→↔↕➘➙➚➛➜➝➞➟"
        "➠➡➢➣➤➥➦➧➨➩➪➫➬➭➮➯\ufffd➱➲➳➴➵➶➷➸➹➺➻➼➽➾\ufffd"
    ),
}


def is_symbol_font(font: str | None) -> bool:
    """Whether a font, by its name in a document, draws signs where its text has letters."""
    return font is not None and _table(font) is not None


def in_font(font: str | None, text: str) -> str:
    """The text as the font shows it: signs for letters and for private characters.

    Text in any other font, None too, and characters that are no byte stay as they are. A byte without a sign
    becomes a private character, for which `without_private` writes "[symbol]".
    """
    table = _table(font) if font else None
    return text if table is None else text.translate(table)


def font_of_signs(*names: str | None) -> str | None:
    """The font by which text is read in a font that a file declares to have signs for letters.

    Args:
        names: its name, and the names of fonts that may stand for it.

    Returns:
        The first name of a known font of signs; None for bars, whose letters say what they mean, and for
        fonts that have letters as well; else UNLISTED.
    """
    if known := next((name for name in names if is_symbol_font(name)), None):
        return known
    lettered = any(name and (_BARS.search(name) or _UNICODE.match(name)) for name in names)
    return None if lettered else UNLISTED


def is_private(text: str) -> bool:
    """Whether a text has a character that only its font gives a meaning."""
    return _PRIVATE.search(text) is not None


@lru_cache(maxsize=1000)
def _table(font: str) -> dict[int, str] | None:
    """What each character becomes, None for a font of letters. The name may have a subset's tag, a list of
    fonts or a style behind it, quotes and blanks.
    """
    name = re.sub(r"^\W*(?:[A-Z]{6}\+)?", "", font)
    name = re.sub(r"[^a-z0-9]", "", re.split(r"[,;-]|\bregular\b", name.lower())[0])
    signs = _SIGNS.get(_OTHER_NAMES.get(name, name))
    if font == UNLISTED or name in _UNLISTED:
        known = _UNLISTED.get(name, {})
        codes = (code for code in range(_FIRST + 1, _LAST + 1) if code != _NO_BREAK_SPACE)
        gaps = {place: known.get(code, _GAP) for code in codes for place in (code, _BYTE + code)}
        return {**gaps, _BYTE + _FIRST: " "}
    if signs is None:
        return None
    table: dict[int, str] = {}
    for byte, sign in enumerate(signs, _FIRST):
        table[_BYTE + byte] = _GAP if sign == "\ufffd" else sign
        if byte != _NO_BREAK_SPACE:  # a space in every font
            table[byte] = table[_BYTE + byte]
    return table


def without_private(blocks: Iterable[Block]) -> tuple[tuple[Block, ...], bool]:
    """The blocks with "[symbol]" for each run of private characters, and whether there was any."""
    listed = tuple(blocks)
    replaced = mapped(listed, lambda text: _PRIVATE.sub(UNKNOWN, text))
    return replaced, replaced != listed
