"""Numbers as lists write them: letters, Roman numerals, words and signs (ECMA-376-1, 17.18.59)."""

from collections.abc import Callable, Mapping
from typing import Final

_ROMAN: Final = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
    (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_MOST_ROMAN: Final = 32_767
_LONGEST: Final = 20
_LATIN: Final = "abcdefghijklmnopqrstuvwxyz"
_RUSSIAN: Final = "абвгдежзиклмнопрстуфхцчшщыэюя"
_GREEK: Final = "αβγδεζηθικλμνξοπρστυφχψω"
_HEBREW: Final = "אבגדהוזחטיכלמנסעפצקרשת"
_ARABIC: Final = "أبتثجحخدذرزسشصضطظعغفقكلمنهوي"
_ABJAD: Final = "أبجدهوزحطيكلمنسعفصقرشتثخذضظغ"
_THAI: Final = "กขคงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ"
_AIUEO: Final = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン"
_IROHA: Final = (
    "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセス"
)
_GANADA: Final = "가나다라마바사아자차카타파하"
_CHOSUNG: Final = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"
_STEMS: Final = "甲乙丙丁戊己庚辛壬癸"
_BRANCHES: Final = "子丑寅卯辰巳午未申酉戌亥"
_CHINESE: Final = "〇一二三四五六七八九"
_CHICAGO: Final = "*†‡§"
_SMALL: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: Final = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS: Final = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_ZEROS: Final = {
    "decimalFullWidth": "\uff10", "decimalFullWidth2": "\uff10", "thaiNumbers": "\u0e50",
    "hindiNumbers": "\u0966", "arabicIndic": "\u0660",
}  # fmt: skip


def numeral(number: int, form: str) -> str:
    """A number in a form, by the form's name in OOXML; a form that is not known here gives digits."""
    if number < 0 or form in {"", "decimal", "decimalHalfWidth"}:
        return str(number)
    if form in _ZEROS:
        return "".join(chr(ord(_ZEROS[form]) + int(digit)) for digit in str(number))
    return _FORMS.get(form, str)(number)


def _roman(number: int) -> str:
    if not 0 < number <= _MOST_ROMAN:
        return str(number)
    text = ""
    for value, sign in _ROMAN:
        text += sign * (number // value)
        number %= value
    return text


def _repeated(letters: str) -> Callable[[int], str]:
    """a, b to z, aa, bb: as Word counts."""

    def write(number: int) -> str:
        if number < 1:
            return str(number)
        times, at = divmod(number - 1, len(letters))
        return letters[at] * min(times + 1, _LONGEST)

    return write


def letters(number: int) -> str:
    """a, b to z, aa, ab: as columns of sheets and lists of OpenDocument count."""
    text = ""
    while number > 0:
        number, at = divmod(number - 1, len(_LATIN))
        text = _LATIN[at] + text
    return text


def _range(first: str, most: int) -> Callable[[int], str]:
    """Signs that follow each other in Unicode, from 1."""
    return lambda number: chr(ord(first) + number - 1) if 0 < number <= most else str(number)


def _ordinal(number: int) -> str:
    teen = number // 10 % 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _cardinal(number: int) -> str:
    if number < len(_SMALL):
        return _SMALL[number]
    if number < 100:  # noqa: PLR2004 - digits
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")
    return str(number)


def _ordinal_words(number: int) -> str:
    text = _cardinal(number)
    if text.isdigit():
        return _ordinal(number)
    before, dash, last = text.rpartition("-")
    end = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return f"{before}{dash}{end}"


def _chinese(number: int) -> str:
    if not 0 < number < 100:  # noqa: PLR2004 - digits
        return "".join(_CHINESE[int(digit)] for digit in str(number))
    tens, ones = divmod(number, 10)
    head = "" if not tens else "十" if tens == 1 else f"{_CHINESE[tens]}十"
    return head + (_CHINESE[ones] if ones else "")


def _upper(write: Callable[[int], str]) -> Callable[[int], str]:
    return lambda number: write(number).upper()


def _capital(write: Callable[[int], str]) -> Callable[[int], str]:
    return lambda number: write(number).capitalize()


_FORMS: Final[Mapping[str, Callable[[int], str]]] = {
    "lowerRoman": _roman,
    "upperRoman": _upper(_roman),
    "lowerLetter": _repeated(_LATIN),
    "upperLetter": _upper(_repeated(_LATIN)),
    "lowerLetterCounted": letters,
    "upperLetterCounted": _upper(letters),
    "lowerGreek": _repeated(_GREEK),
    "upperGreek": _upper(_repeated(_GREEK)),
    "russianLower": _repeated(_RUSSIAN),
    "russianUpper": _upper(_repeated(_RUSSIAN)),
    "hebrew1": _repeated(_HEBREW),
    "hebrew2": _repeated(_HEBREW),
    "arabicAlpha": _repeated(_ARABIC),
    "arabicAbjad": _repeated(_ABJAD),
    "thaiLetters": _repeated(_THAI),
    "aiueo": _repeated(_AIUEO),
    "aiueoFullWidth": _repeated(_AIUEO),
    "iroha": _repeated(_IROHA),
    "irohaFullWidth": _repeated(_IROHA),
    "ganada": _repeated(_GANADA),
    "chosung": _repeated(_CHOSUNG),
    "ideographTraditional": _repeated(_STEMS),
    "ideographZodiac": _repeated(_BRANCHES),
    "chicago": _repeated(_CHICAGO),
    "ordinal": _ordinal,
    "cardinalText": _capital(_cardinal),
    "ordinalText": _capital(_ordinal_words),
    "decimalZero": lambda number: f"{number:02d}",
    "numberInDash": lambda number: f"- {number} -",
    "hex": lambda number: f"{number:X}",
    "decimalEnclosedCircle": _range("①", 20),
    "decimalEnclosedCircleChinese": _range("①", 20),
    "decimalEnclosedParen": _range("⑴", 20),
    "decimalEnclosedFullstop": _range("⒈", 20),
    **dict.fromkeys(
        ("chineseCounting", "chineseCountingThousand", "japaneseCounting", "taiwaneseCounting",
         "taiwaneseCountingThousand", "japaneseDigitalTenThousand", "koreanCounting"),
        _chinese,
    ),
    **dict.fromkeys(
        ("ideographDigital", "taiwaneseDigital"),
        lambda number: "".join(_CHINESE[int(digit)] for digit in str(number)),
    ),
}  # fmt: skip
