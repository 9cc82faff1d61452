"""LibreOffice's settings for one document: nothing runs, nothing is fetched, nothing is set up first.

Source: officecfg/registry/schema of LibreOffice; see "Expert Configuration" in its help.
"""

from html import escape
from pathlib import Path
from typing import Final

_SETUP: Final = "/org.openoffice.Setup/Office"
_PRODUCT: Final = "/org.openoffice.Setup/Product"
_COMMON: Final = "/org.openoffice.Office.Common"
_PDF: Final = f"{_COMMON}/Filter/PDF/Export"
_SETTINGS: Final = (
    (_SETUP, "ooSetupInstCompleted", "true"),
    (_SETUP, "MigrationCompleted", "true"),
    (f"{_COMMON}/Misc", "FirstRun", "false"),
    # Macros and whatever else acts.
    (f"{_COMMON}/Security/Scripting", "MacroSecurityLevel", "3"),
    (f"{_COMMON}/Security/Scripting", "DisableMacrosExecution", "true"),
    (f"{_COMMON}/Security/Scripting", "DisableActiveContent", "true"),
    (f"{_COMMON}/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    (f"{_COMMON}/Security/Scripting", "HyperlinksWithCtrlClick", "true"),
    ("/org.openoffice.Office.Java/VirtualMachine", "Enable", "false"),
    # Links to other files stay as they are; formulas keep their stored results.
    ("/org.openoffice.Office.Writer/Content/Update", "Link", "0"),
    ("/org.openoffice.Office.Writer/Content/Update", "Field", "false"),
    ("/org.openoffice.Office.Calc/Content/Update", "Link", "2"),
    ("/org.openoffice.Office.Calc/Formula/Load", "OOXMLRecalcMode", "1"),
    ("/org.openoffice.Office.Calc/Formula/Load", "ODFRecalcMode", "1"),
    # Forms as they look, comments beside the text, slides that are hidden as well.
    (_PDF, "ExportFormFields", "false"),
    (_PDF, "ExportNotesInMargin", "true"),
    (_PDF, "ExportHiddenSlides", "true"),
    (_PDF, "ExportBookmarks", "false"),
)
_NO_INPUT_LINE: Final = (
    '<item oor:path="/org.openoffice.Office.Views/Windows"><node oor:name="scalc/26100" oor:op="replace">'
    '<prop oor:name="Visible" oor:op="fuse"><value>false</value></prop>'
    '<node oor:name="UserData"><prop oor:name="Data" oor:op="fuse" oor:type="xs:string">'
    "<value>V2,H,0</value></prop></node></node></item>"
)
"""The line above a sheet to type into: packages without windows (Debian's nogui) lack its description, and no
sheet can be opened without it. The number is FID_INPUTLINE_STATUS of sc/inc/sc.hrc."""


_FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <cachedir>{cache}</cachedir>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
</fontconfig>
"""
"""Fontconfig reads every cache that is named, and writes the first one: never that of the machine."""


def write_fonts(folder: Path) -> Path:
    """Write Fontconfig's settings into a folder, where its cache will be, too; returns their file.

    Source: the manual page fonts-conf(5).
    """
    file = folder / "fonts.conf"
    file.write_text(_FONTS.format(cache=escape(str(folder / "fonts"), quote=False)), "utf-8")
    return file


def write_profile(folder: Path, version: str) -> None:
    """Make the folder of a profile that has nothing but these settings.

    Args:
        folder: made here.
        version: of LibreOffice, such as `7.4`. A profile of another one has it test how it can draw, for a
            second of CPU at each start.
    """
    items = "".join(
        f'<item oor:path="{path}"><prop oor:name="{name}" oor:op="fuse">'
        f"<value>{escape(value, quote=False)}</value></prop></item>"
        for path, name, value in (*_SETTINGS, (_PRODUCT, "ooSetupLastVersion", version))
    )
    (folder / "user").mkdir(parents=True, mode=0o700)
    (folder / "user" / "registrymodifications.xcu").write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><oor:items xmlns:oor="http://openoffice.org/2001/registry" '
        f'xmlns:xs="http://www.w3.org/2001/XMLSchema">{items}{_NO_INPUT_LINE}</oor:items>',
        "utf-8",
    )
