"""Text that declares no encoding, one that lies, and one that switches between sets of characters."""

# ruff: noqa: RUF001, E501 -- the signs are meant, a language a line

import pytest

from docpipe.convert.core.detect import detect
from docpipe.convert.core.encoding import GUESSED, decode
from tests.unit.convert.documents import run, text_of

NOTES = {
    "en": "Levothyroxine 100 µg daily; temp 38.5°C; dose ½ tab twice daily.\nPatient José García allergic to penicillin.",
    "de": "Der Patient ist allergisch gegen Penicillin. Temperatur 38,5 °C. Größe 180 cm, Übelkeit, Müdigkeit.\nKalium 6,9 mmol/l. Bitte prüfen.",
    "fr": "Le patient est allergique à la pénicilline. Fièvre 38,5 °C. Créatinine 90 µmol/L ± 5.\nTraitement arrêté après l'opération, déjà signalé.",
    "pt": "O doente é alérgico à penicilina. Pressão arterial elevada, coração normal. Medicação: metformina. Não fuma.",
    "sv": "Patienten är allergisk mot penicillin. Högt blodtryck. Ont i bröstet, åter på måndag.",
    "pl": "Pacjent ma alergię na penicylinę, nadciśnienie tętnicze, żółtaczka. Zażywa metforminę 500 mg dwa razy dziennie.",
    "cs": "Pacient má alergii na penicilin. Metformin 500 mg dvakrát denně. Obtíže: dušnost, žízeň, únava, příznaky zhoršení.",
    "hu": "A beteg penicillinre allergiás. Magas vérnyomás, szédülés, hőemelkedés. Gyógyszer: metformin naponta kétszer, étkezés után.",
    "ro": "Pacientul este alergic la penicilină. Tensiune arterială crescută, dureri în piept. Urmează tratament cu metformină.",
    "hr": "Bolesnik je alergičan na penicilin. Povišeni tlak, žeđ, mučnina. Lijek: metformin 500 mg dvaput dnevno, poslije jela, češće kontrole šećera.",
    "ru": "У пациента аллергия на пенициллин. Метформин 500 мг два раза в день. Жалобы на одышку и боль в груди.",
    "uk": "У пацієнта алергія на пеніцилін. Метформін 500 мг двічі на день. Скарги на біль у грудях, їжа без солі.",
    "bg": "Пациентът има алергия към пеницилин. Метформин 500 мг два пъти дневно. Оплаквания от задух и болка в гърдите.",
    "el": "Ο ασθενής έχει αλλεργία στην πενικιλίνη. Λαμβάνει μετφορμίνη 500 mg δύο φορές την ημέρα. Πόνος στο στήθος.",
    "tr": "Hastanın penisilin alerjisi var. Tansiyon yüksek, şeker hastalığı. Ağrı yok. Metformin günde iki kez alıyor, İlaç değişmedi.",
    "he": "למטופל יש אלרגיה לפניצילין. מטפורמין 500 מג פעמיים ביום. תלונות על קוצר נשימה וכאבים בחזה.",
    "ar": "المريض لديه حساسية من البنسلين. ميتفورمين 500 ملغ مرتين يوميا. يشكو من ضيق التنفس وألم في الصدر.",
    "lt": "Pacientas alergiškas penicilinui. Aukštas kraujospūdis, skausmas krūtinėje. Metforminas 500 mg du kartus per dieną, jaučiasi gerai, šąla.",
    "lv": "Pacientam ir alerģija pret penicilīnu. Augsts asinsspiediens, sāpes krūtīs. Metformīns 500 mg divas reizes dienā, ķermeņa temperatūra.",
    "th": "ผู้ป่วยแพ้ยาเพนิซิลลิน รับประทานเมตฟอร์มิน 500 มก. วันละสองครั้ง มีอาการเจ็บหน้าอก",
    "ja": "患者はペニシリンにアレルギーがある。メトホルミン500mg 1日2回。胸痛と呼吸困難を訴える。",
    "zh": "患者对青霉素过敏。二甲双胍500毫克，每日两次。主诉胸痛、呼吸困难。",
    "zht": "患者對青黴素過敏。二甲雙胍500毫克，每日兩次。主訴胸痛、呼吸困難。",
    "ko": "환자는 페니실린 알레르기가 있습니다. 메트포르민 500mg 하루 두 번. 가슴 통증과 호흡 곤란을 호소함.",
}
ENCODINGS = {
    "en": "cp1252 cp437 mac_roman cp850",
    "de": "cp1252 cp850 mac_roman cp437",
    "fr": "cp1252 iso8859_15 cp437 mac_roman cp850",
    "pt": "cp1252 cp850",
    "sv": "cp1252 cp850",
    "pl": "cp1250 iso8859_2 cp852",
    "cs": "cp1250 iso8859_2 cp852",
    "hu": "cp1250 iso8859_2 cp852",
    "ro": "cp1250 iso8859_2",
    "hr": "cp1250 iso8859_2 cp852",
    "ru": "cp1251 koi8_r iso8859_5 cp866 mac_cyrillic",
    "uk": "cp1251 koi8_u",
    "bg": "cp1251",
    "el": "cp1253 iso8859_7",
    "tr": "cp1254 cp857",
    "he": "cp1255 iso8859_8 cp862",
    "ar": "cp1256 iso8859_6 cp720",
    "lt": "cp1257 iso8859_13 cp775",
    "lv": "cp1257",
    "th": "cp874 tis_620",
    "ja": "cp932 euc_jp",
    "zh": "gb18030",
    "zht": "big5",
    "ko": "cp949",
}
CASES = [(language, encoding) for language, names in ENCODINGS.items() for encoding in names.split()]


def encoded(text, encoding):
    """The text in an encoding, without what it has no character for."""
    return text.encode(encoding, "ignore")


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_undeclared_text_is_read_in_its_encoding(language, encoding):
    """Notes of two lines in the languages of Europe, Asia and the Near East, and that they were guessed."""
    data = encoded(NOTES[language], encoding)
    decoded = decode(data)
    assert decoded.text == data.decode(encoding)
    assert decoded.warnings == (GUESSED,)


WESTERN = [
    "Temp 38°C",
    "José García, penicillin",
    "Größe 180 cm",
    "100 µg",
    "½ tab",
    "± 5",
    "Café au lait spots",
    "Sjögren syndrome",
    "Ménière’s disease",
    "Behçet",
    "Raynaud – cold hands",
    "“no known allergies”",
    "à jeun",
    "§ 5",
    "€ 20",
    "Fièvre élevée",
    "São Paulo, pressão",
    "Ærø",
    "smørrebrød",
    "Hjärtsvikt, åter",
    "maçã",
    "2 × 5 mg",
    "5 mg/m²",
    "ça va",
    "• aspirin",
    "37,2 °C · BP",
    "1º control",
    "œdème",
    "¿Alergias? ¡No!",
    "Diagnóstico: faringitis",
    "Ångström",
]


@pytest.mark.parametrize("text", WESTERN)
def test_short_western_text_stays_western(text):
    """One line with a sign or two is what most of it is."""
    assert decode(text.encode("cp1252")).text == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("language", ["ru", "el", "he", "ar", "th", "fr"])
def test_wide_text_without_a_mark(language, encoding):
    """Letters of other scripts have no zeros in UTF-16, but all of them the same upper half."""
    data = NOTES[language].encode(encoding)
    assert decode(data).text == NOTES[language]
    assert detect(data) == "text/plain"


def test_small_numbers_are_no_wide_text():
    """Samples of 16 bits have small upper halves, too."""
    data = b"".join((n * 37 % 1800).to_bytes(2, "little") for n in range(900))
    assert detect(data) == "application/octet-stream"


STATEFUL = {"ja": "iso2022_jp", "ko": "iso2022_kr", "zh": "hz"}


@pytest.mark.parametrize(("language", "encoding"), STATEFUL.items())
def test_text_of_seven_bits_that_switches(language, encoding, tmp_path):
    """It is ASCII to the eye of UTF-8; declared or not, it is read, and nothing had to be guessed."""
    data = NOTES[language].encode(encoding)
    assert decode(data).text == NOTES[language]
    assert decode(data).warnings == ()
    assert text_of(tmp_path, data) == NOTES[language] + "\n"


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("utf-7", b"Gr+APYA3w-e 5 +ALU-g"),
        ("iso-2022-jp", "投薬".encode("iso2022_jp")),
        ("hz-gb-2312", "对青霉素过敏".encode("hz")),
        ("iso-2022-kr", "알레르기".encode("iso2022_kr")),
    ],
)
def test_declared_charsets_of_seven_bits_are_obeyed(charset, body, tmp_path):
    """In mails and pages alike."""
    text = {
        "utf-7": "Größe 5 µg",
        "iso-2022-jp": "投薬",
        "hz-gb-2312": "对青霉素过敏",
        "iso-2022-kr": "알레르기",
    }[charset]
    head = f"From: a\r\nTo: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert text in text_of(tmp_path / "a", head + body)
    assert text in text_of(tmp_path / "b", f'<html><meta charset="{charset}"><body>'.encode() + body)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"M+APw-ller, 5 +ALU-g t+AOQ-glich", "Müller, 5 µg täglich"),
        (b"+BBAEPQQwBDsEOAQ3BEs- +BDoEMAQ7BDgEOQ- 6.9", "Анализы калий 6.9"),
        (b"one +ALU-g alone", "one +ALU-g alone"),
        (b"AST+ALT-ratio, AST+ALT-sum", "AST+ALT-ratio, AST+ALT-sum"),
        (b"+49 30 123-4, +ABCD-x, +ALU-y", "+49 30 123-4, +ABCD-x, +ALU-y"),
    ],
)
def test_undeclared_utf_7(data, text):
    """Where it is beyond doubt, with a warning; plus and minus signs are signs else."""
    decoded = decode(data)
    assert decoded.text == text
    assert decoded.warnings == ((GUESSED,) if b"+" in data and "+" not in text else ())


def test_polish_has_no_hacek():
    """A word with one is in cp1250, in which it is an ogonek."""
    text = "Proszę zbadać potas jutro rano, żółtaczka, wątroba."
    assert decode(text.encode("cp1250")).text == text
    assert decode(text.encode("iso8859-2")).text == text


def test_czech_words_end_with_e_and_n_with_a_hacek():
    """In cp1252 these are the last letters of Italian words; beside s or z with a hacek they are Czech."""
    text = "Léky: metformin dvakrát denně. Bolest na hrudi, dušnost, žízeň."
    assert decode(text.encode("cp1250")).text == text
    italian = "Lunedì il paziente però è stabile, perciò torna venerdì in città."
    assert decode(italian.encode("cp1252")).text == italian


def test_braces_and_tildes_are_no_chinese():
    """What looks a little like HZ is not."""
    assert decode(b"about ~{a} and ~} and ~5 mg").text == "about ~{a} and ~} and ~5 mg"


HL7 = {
    "8859/2": ("8859/2", "Wątroba".encode("iso8859-2"), "Wątroba"),
    "windows-1253": ("windows-1253", "ΠΑΠΑΔΟΠΟΥΛΟΣ".encode("cp1253"), "ΠΑΠΑΔΟΠΟΥΛΟΣ"),
    "IR100": ("ISO IR100", "Größe".encode("cp1252"), "Größe"),
    "IR87": ("ISO IR87", "山田".encode("iso2022_jp"), "山田"),
    "IR87 as a switch": ("~ISO IR87", "Yamada 山田".encode("iso2022_jp"), "Yamada 山田"),
    "as in DICOM": ("ISO 2022 IR 87", "山田".encode("iso2022_jp"), "山田"),
    "two alphabets": (
        "8859/1~8859/5",
        "Größe ".encode("cp1252") + b"\x1b-L" + "Боль".encode("iso8859-5"),
        "Größe Боль",
    ),
    "Korean": ("ISO IR6~KS X 1001", b"Kim \x1b$)C" + "김희중".encode("euc_kr"), "Kim 김희중"),
    "Chinese": ("GB 18030-2000", "过敏".encode("gb18030"), "过敏"),
    "undeclared switches": ("", "山田".encode("iso2022_jp"), "山田"),
    "half-width": ("ISO IR13", "ﾔﾏﾀﾞ".encode("cp932"), "ﾔﾏﾀﾞ"),
}


@pytest.mark.parametrize(("name", "value", "text"), HL7.values(), ids=HL7)
def test_character_sets_of_hl7(name, value, text, tmp_path):
    """MSH-18 names them, and escapes switch between them within a line."""
    head = f"MSH|^~\\&|LAB|H|EHR|C|202405011200||ORU^R01|1|P|2.5.1||||||{name}\r".encode()
    data = head + b"OBX|1|ST|1^Note^L||" + value + b"||||||F\rOBX|2|ST|2^Other^L||plain||||||F\r"
    done, outputs = run(tmp_path, data)
    whole = outputs["text.md"].decode()
    assert f"| {text} |" in whole
    assert "| plain |" in whole
    assert GUESSED not in done["warnings"]


def test_a_guess_is_reported_wherever_text_is_read(tmp_path):
    """Texts, pages, mails and messages; not where a charset is declared, and not for UTF-8."""
    note = NOTES["pl"].encode("cp1250")
    head = b"From: a\r\nTo: b\r\nMIME-Version: 1.0\r\n"
    hl7 = b"MSH|^~\\&|LAB|H\rOBX|1|ST|1^Note^L||" + note + b"||||||F\r"
    for at, data in enumerate([note, b"<html><body>" + note, head + b"\r\n" + note, hl7]):
        done, outputs = run(tmp_path / f"a{at}", data)
        assert done["warnings"] == [GUESSED]
        assert "żółtaczka" in outputs["text.md"].decode()
    declared = b"Content-Type: text/plain; charset=windows-1250\r\n\r\n"
    for at, data in enumerate([NOTES["pl"].encode(), head + declared + note]):
        assert run(tmp_path / f"b{at}", data)[0]["warnings"] == []


def test_a_charset_that_lies_is_a_guess(tmp_path):
    """Bytes that are none in the declared charset are read by what they look like."""
    done, outputs = run(tmp_path, NOTES["ru"].encode("koi8-r"), declared="text/plain; charset=shift_jis")
    assert (outputs["text.md"].decode(), done["warnings"]) == (NOTES["ru"] + "\n", [GUESSED])


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Pacjent: Łukasz Żółć, uczulenie na penicylinę, dawka 5 µg"),
        ("cp1250", "Pacienta: Levotiroxină 25 µg zilnic, fără alergii, ţine"),
        ("cp1250", "Bolnik: šećerna bolest, 75 µg dnevno"),
        ("cp1253", "Ασθενής: λεβοθυροξίνη 100 µg ημερησίως"),
        ("iso8859-2", "Pacient má ľavú ruku zlomenú, dávka 5 mg"),
        ("iso8859-5", "Больной: аллергия на пенициллин, доза 5 мг"),
        ("iso8859-15", "Prix 5 €, œdème du cœur"),
        ("cp437", "│Dose│½ tab│\r\n└──────┴─────┘ 100 µg, 38.5°C"),
        ("cp866", "║Больной║аллергия на пенициллин║\r\n╚═══════╩══════════════════════╝"),
        ("cp437", "┌────────┐ Potassium 6.9"),
    ],
)
def test_what_cannot_be_text_is_no_guess(encoding, text):
    """A micro sign stays one before its unit, and no word has a frame or a fraction within it."""
    assert decode(text.encode(encoding)).text == text
