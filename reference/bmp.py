"""BMP files of every kind, and the pixels that Pillow reads in them: fixtures/photos/bmp/.

python reference/bmp.py      needs Pillow 13

Pillow writes four kinds itself; the others are put together here, from the description of the format (Microsoft, "Bitmap Storage").
"""

import io
import json
import pathlib
import struct

from PIL import Image

out = pathlib.Path(__file__).parent.parent / "fixtures" / "photos" / "bmp"
out.mkdir(parents=True, exist_ok=True)
W, H = 11, 5
COLOURS = [((x * 23) % 256, (y * 51 + x) % 256, (x * y * 7) % 256) for y in range(H) for x in range(W)]
at = lambda x, y: COLOURS[y * W + x]
palette = lambda n: [((i * 37) % 256, (i * 91 + 5) % 256, 255 - i * (255 // n)) for i in range(n)]
picture = Image.new("RGB", (W, H))
picture.putdata(COLOURS)
files = {}


def written(name, image):
    made = io.BytesIO()
    image.save(made, "BMP")
    files[name] = made.getvalue()


written("rgb24", picture)
written("palette8", picture.quantize(13))
written("grey8", picture.convert("L"))
written("bits1", picture.convert("1"))
alpha = picture.convert("RGBA")
alpha.putalpha(77)
written("rgba32", alpha)


def bmp(name, bits, pixels, compression=0, colours=(), masks=b"", height=H, header=40, used=None):
    size = len(pixels)
    if header == 12:
        info = struct.pack("<IHHHH", 12, W, height, 1, bits)
        table = b"".join(bytes((b, g, r)) for r, g, b in colours)
    else:
        info = struct.pack("<IiiHHIIiiII", header, W, height, 1, bits, compression, size, 2835, 2835, len(colours) if used is None else used, 0)
        info += masks if header > 40 else b""
        info = info.ljust(header, b"\0") + (masks if header == 40 else b"")
        table = b"".join(bytes((b, g, r, 0)) for r, g, b in colours)
    start = 14 + len(info) + len(table)
    files[name] = struct.pack("<2sIHHI", b"BM", start + size, 0, 0, start) + info + table + pixels


def rows(bits, value, down=False):
    made = b""
    for y in range(H) if down else reversed(range(H)):
        if bits < 8:
            row = "".join(format(value(x, y), f"0{bits}b") for x in range(W))
            row = row.ljust(-(-len(row) // 32) * 32, "0")
            made += int(row, 2).to_bytes(len(row) // 8, "big")
        else:
            row = b"".join(value(x, y).to_bytes(bits // 8, "little") for x in range(W))
            made += row.ljust(-(-len(row) // 4) * 4, b"\0")
    return made


index = lambda n: lambda x, y: (x * 3 + y) % n
bmp("palette4", 4, rows(4, index(16)), colours=palette(16))
bmp("palette4-few", 4, rows(4, index(7)), colours=palette(7))
bmp("palette8-all", 8, rows(8, index(256)), colours=palette(256), used=0)
bmp("bits1-colours", 1, rows(1, index(2)), colours=palette(2))
bmp("os2", 8, rows(8, index(256)), colours=palette(256), header=12)
bmp("os2-rgb24", 24, rows(24, lambda x, y: at(x, y)[0] << 16 | at(x, y)[1] << 8 | at(x, y)[2]), header=12)
rgb = lambda x, y: at(x, y)[0] << 16 | at(x, y)[1] << 8 | at(x, y)[2]
bmp("top-down", 24, rows(24, rgb, down=True), height=-H)
bmp("rgb32", 32, rows(32, lambda x, y: 0xAB000000 | rgb(x, y)))
five = lambda x, y: (at(x, y)[0] >> 3) << 10 | (at(x, y)[1] >> 3) << 5 | at(x, y)[2] >> 3
six = lambda x, y: (at(x, y)[0] >> 3) << 11 | (at(x, y)[1] >> 2) << 5 | at(x, y)[2] >> 3
bmp("rgb555", 16, rows(16, five))
bmp("rgb565", 16, rows(16, six), compression=3, masks=struct.pack("<III", 0xF800, 0x07E0, 0x001F))
bmp("masks-xrgb", 32, rows(32, rgb), compression=3, masks=struct.pack("<III", 0xFF0000, 0xFF00, 0xFF))
turned = lambda x, y: at(x, y)[2] << 16 | at(x, y)[1] << 8 | at(x, y)[0]
bmp("masks-abgr-v5", 32, rows(32, turned), compression=3, masks=struct.pack("<IIII", 0xFF, 0xFF00, 0xFF0000, 0xFF000000), header=124)

run = bytes
rle8 = b"".join(
    [run((6, 3, 5, 9, 0, 0)), run((0, 5, 1, 2, 3, 4, 5, 0, 6, 8, 0, 0)), run((2, 7, 0, 2, 3, 0, 6, 11, 0, 0)), run((11, 12, 0, 0)), run((0, 11, *range(11), 0, 0, 1))]
)
bmp("rle8", 8, rle8, compression=1, colours=palette(16))
rle4 = b"".join(
    [run((11, 0x3A, 0, 0)), run((0, 7, 0x12, 0x34, 0x56, 0x70, 4, 0x99, 0, 0)), run((5, 0x12, 6, 0xCD, 0, 0)), run((11, 0xF0, 0, 0)), run((11, 0x88, 0, 1))]
)
bmp("rle4", 4, rle4, compression=2, colours=palette(16))

expected = {}
for name, data in files.items():
    image = Image.open(io.BytesIO(data)).convert("RGB")
    assert image.size == (W, H), name
    expected[name] = list(image.tobytes())
    (out / f"{name}.bmp").write_bytes(data)
text = json.dumps({"width": W, "height": H, "pixels": expected}, separators=(",", ":"))
(out / "expected.json").write_text(text + "\n")
print(len(files), sum(map(len, files.values())))
