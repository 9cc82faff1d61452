"""Frames of pictures: depth, transparency, orientation, extras, and data that decoders mend differently."""

import io
import struct

import pikepdf
import pypdfium2
import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from docpipe.convert.readers.image.frames import straightened
from tests.unit.convert import scans
from tests.unit.convert.documents import run

ANEW = "the picture was encoded anew for the PDF"


@pytest.fixture(autouse=True)
def unread(monkeypatch):
    """What is read of pictures is tested elsewhere."""
    scans.choose(monkeypatch, "none")


def sample(mode="RGB", size=(120, 80)):
    """A picture that looks different from each side."""
    made = Image.radial_gradient("L").resize(size)
    made.paste(0, (0, 0, size[0] // 2, size[1] // 4))
    return made.convert(mode)


def displayed(pdf, size, at=0):
    """A page as a person sees it, in so many pixels."""
    with pypdfium2.PdfDocument(pdf) as document:
        page = document[at]
        return page.render(scale=size[0] / page.get_size()[0]).to_pil().convert("RGB").resize(size)


def unlike(one, other):
    """The mean difference of shades, of 255, in squares of four by four pixels."""
    one, other = (picture.convert("RGB").reduce(4) for picture in (one, other))
    difference = ImageChops.difference(one, other)
    return max(ImageStat.Stat(difference).mean)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("JPEG", {"quality": 95}),
        ("TIFF", {"compression": "group4"}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "group4", "big_tiff": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
    ],
    ids=["jpeg", "g4", "lzw", "bigtiff", "png", "webp"],
)
def test_every_orientation_stands_upright_with_its_own_data(orientation, form, more, tmp_path):
    """Turned and mirrored pictures are shown as meant, and are not encoded anew for it."""
    picture = sample("1" if more.get("compression") == "group4" else "L")
    picture = picture.convert("RGB") if form == "WEBP" else picture
    exif = Image.Exif()
    exif[274] = orientation
    kind = {"tiffinfo": {274: orientation}} if form == "TIFF" else {"exif": exif}
    data = scans.saved(picture, form=form, **kind, **more)
    done, outputs = run(tmp_path, data)
    assert ANEW not in done["warnings"]
    tagged = picture.copy()
    tagged.getexif()[274] = orientation
    wanted = ImageOps.exif_transpose(tagged)
    assert unlike(displayed(outputs["document.pdf"], wanted.size), wanted) < 12


def test_sixteen_bits_stay_sixteen_bits(tmp_path):
    """The shades of an X-ray are all there: none is cut off at 255."""
    values = [number * 3 for number in range(128 * 128)]
    picture = Image.frombytes("I;16", (128, 128), struct.pack(f"<{len(values)}H", *values))
    for number, form in enumerate(("PNG", "TIFF")):
        outputs = run(tmp_path / str(number), scans.saved(picture, form=form))[1]
        with pikepdf.open(io.BytesIO(outputs["document.pdf"])) as document:
            (result,) = document.pages[0].get_images().values()
            assert result.BitsPerComponent == 16
            assert struct.unpack(f">{len(values)}H", result.read_bytes()) == tuple(values)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_shades_that_do_not_fit_are_stretched(mode, tmp_path):
    """Numbers in place of shades run from black to white."""
    picture = sample("L").convert(mode).point(lambda shade: shade * 1000 - 70_000)
    outputs = run(tmp_path, scans.saved(picture, form="TIFF"))[1]
    low, high = displayed(outputs["document.pdf"], picture.size).convert("L").getextrema()
    assert (low, high) == pytest.approx((0, 255), abs=8)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode, tmp_path):
    """Black letters on nothing are not black on black."""
    picture = Image.new("LA", (120, 80), (0, 0))
    picture.paste((0, 255), (20, 20, 60, 60))
    data = scans.saved(picture.convert("RGBA").convert(mode) if mode != "LA" else picture)
    done, outputs = run(tmp_path, data)
    seen = displayed(outputs["document.pdf"], (120, 80)).convert("L")
    assert (seen.getpixel((90, 10)), seen.getpixel((40, 40))) == (255, 0)
    assert ANEW in done["warnings"]


def test_small_copies_and_masks_are_no_pages(tmp_path):
    """What a scanner puts beside a page as its preview is not a page of its own."""
    out = io.BytesIO()
    sample().save(
        out, "TIFF", save_all=True, append_images=[small := sample(size=(60, 40)), sample("L")], dpi=(72, 72)
    )
    with Image.open(io.BytesIO(out.getvalue())) as whole:
        assert whole.n_frames == 3
    small.encoderinfo = {"tiffinfo": {254: 1}}
    out = io.BytesIO()
    sample().save(out, "TIFF", save_all=True, append_images=[small, sample("L")], dpi=(72, 72))
    done, _ = run(tmp_path, out.getvalue())
    assert done["metadata"]["pages"] == 2


def test_data_that_a_viewer_would_show_wrong_is_encoded_anew(tmp_path, monkeypatch):
    """The page is compared with the picture, and its own data given up where they differ."""
    real = Image.effect_noise((400, 300), 90).resize((800, 600)).convert("1")
    wrong = scans.saved(ImageOps.invert(real.convert("L")).convert("1"), form="TIFF", compression="group4")
    import img2pdf  # noqa: PLC0415

    convert = img2pdf.convert
    monkeypatch.setattr(
        img2pdf,
        "convert",
        lambda data, **more: convert(wrong if data[:2] == b"II" else data, **more),
    )
    done, outputs = run(tmp_path, scans.saved(real, form="TIFF", compression="group4"))
    assert ANEW in done["warnings"]
    assert unlike(displayed(outputs["document.pdf"], real.size), real) < 2


def test_nonsense_about_resolution_does_not_make_a_stripe(tmp_path):
    """A picture that claims a thousand times more dots across than down is shown in its own shape."""
    out = io.BytesIO()
    sample("L").save(out, "TIFF", dpi=(20_000, 20))
    outputs = run(tmp_path, out.getvalue())[1]
    width, height = pypdfium2.PdfDocument(outputs["document.pdf"])[0].get_size()
    assert width / height == pytest.approx(120 / 80, abs=0.1)


def test_broken_animation_keeps_its_first_picture(tmp_path):
    """Only the first frame of what moves is asked for; those after it may be damaged."""
    out = io.BytesIO()
    sample().save(out, "PNG", save_all=True, append_images=[sample("L").convert("RGB")])
    data = out.getvalue()
    at = data.index(b"fdAT")
    assert run(tmp_path, data[: at - 4])[0]["outcome"] == "converted"


@pytest.mark.parametrize(
    "data", [b"", b"II", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"II*\0\x08\0\0\0\x01\0" + bytes(3)]
)
def test_lists_that_end_early_are_left_alone(data):
    """A TIFF cut off in its first list is not made worse."""
    assert straightened(data) == data


def test_lists_that_go_in_circles_end():
    """A TIFF whose frames follow each other for ever is read once."""
    data = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 274, 3, 1, 6, 8)
    assert straightened(data) == data.replace(struct.pack("<I", 6), struct.pack("<I", 1))
