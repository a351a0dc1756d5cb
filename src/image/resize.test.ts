import fc from "fast-check";
import { expect, test } from "vitest";
import { type ResizeFilter, resize } from "./resize.ts";
import { type Rgb8, rgb8 } from "./rgb8.ts";

const filters: ResizeFilter[] = ["bilinear", "bicubic", "lanczos"];
const side = fc.integer({ min: 1, max: 24 });
const photo: fc.Arbitrary<Rgb8> = fc
  .tuple(side, side)
  .chain(([width, height]) =>
    fc.uint8Array({ minLength: width * height * 3, maxLength: width * height * 3 }).map((data) => rgb8(width, height, data)),
  );
const filter = fc.constantFrom(...filters);

test("a picture of one colour stays so at every size", () => {
  const value = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(side, side, side, side, value, filter, (w, h, width, height, colour, name) => {
      const { data } = resize(rgb8(w, h, new Uint8Array(w * h * 3).fill(colour)), width, height, name);
      expect(data).toEqual(new Uint8Array(width * height * 3).fill(colour));
    }),
  );
});

test("the same size gives the same picture", () => {
  fc.assert(
    fc.property(photo, filter, (picture, name) => {
      expect(resize(picture, picture.width, picture.height, name)).toEqual(picture);
    }),
  );
});

test("resizing to a crop gives the same pixels as cropping the whole result", () => {
  fc.assert(
    fc.property(photo, side, side, filter, fc.tuple(side, side, side, side), (picture, width, height, name, [a, b, c, d]) => {
      const [left, top] = [a % width, b % height];
      const crop = { left, top, width: 1 + (c % (width - left)), height: 1 + (d % (height - top)) };
      const whole = resize(picture, width, height, name);
      const rows = Array.from({ length: crop.height }, (_, y) => {
        const from = ((top + y) * width + left) * 3;
        return [...whole.data.subarray(from, from + crop.width * 3)];
      });
      expect([...resize(picture, width, height, name, crop).data]).toEqual(rows.flat());
    }),
  );
});

// Made with Pillow 13.0.0:
//   Image.frombytes("RGB", (5, 9), bytes(i * i * 7 % 256 for i in range(135))).resize(size, filter).tobytes().hex()
const source = rgb8(
  5,
  9,
  Uint8Array.from({ length: 135 }, (_, i) => (i * i * 7) % 256),
);
const pillow: [ResizeFilter, number, number, string][] = [
  ["bilinear", 2, 3, "6f72939782a3679b618cb69f9676737c6e8c"],
  ["bilinear", 4, 3, "574e7d808fa6807597b590b180a741518d7471bca3b3b5a29d78719478727855807b889d"],
  [
    "bilinear",
    7,
    4,
    "30116d6e679d938fb47a5093826b88a37e9dcc88bf729e436b8f6157918135b59b7ababe9ebfb4abc4939bb535869850688b69439e729ba091be9b9fbd92a193507aad828ea97d7e6d1130624d8a607aa664969c",
  ],
  ["bicubic", 2, 3, "6b6b919786a663a25b91bba298717277688d"],
  ["bicubic", 4, 3, "5044758590ab7c7297b594b286b037468f7075c7a9c0b89fa1777894756e71487c7987a6"],
  [
    "bicubic",
    7,
    4,
    "24006b6d6ba39fa0c0804b947e637da67c99d286c378a73a718c58558b7e31bc9a77c3cba1c7bca7ca929cc02e87974e5e846d3da577a4a897ce9aa2c38b9f91457eb58d98b58a8170082b5c418b5b7dad609a9a",
  ],
  [
    "bicubic",
    8,
    12,
    "00000609304d406cb1e159ccd676a533c25199b54bfe9f550700a74e4ec4a4bbdf7469ad653a7c8b4762d36a9bff83c44a0fa29963b9e5d0cd5372873d3a76b544a7b861eba975ff9b5200a9742db39c7a7e827c7790a59ac5f566afee3a96dc6bd4623fc0590aaf6011dbae52ddd7bab5c9cdda6fcbf92f61d8355e8555513083209f8d1ce7ac4eecd89fdea9d3d08097df0f918a2c7d2f55499a5b3ddd7062dd98adcaafdfbabad4ec28a0d01759ad0d50cb4d8bbe5ff68943fc9d76efb5a0857b69858c8b7199b60b69a0415caeff71ddc83fd18018c1693c15988679d0cce9b240779f29809d93ff728ea6527b4f8c3a58b37c82e0b79fc52c2e850d32346ba942a9955bc96fc557ffc264b9a5672e3c220200000200102d4573b77abaff",
  ],
  ["lanczos", 2, 3, "686790978aa861a65a92bca8986d7077648a"],
  ["lanczos", 4, 3, "5045778991ae746e94b39ab38cb0343e8f7078cfb0c7b4a0a57c809573696e3e727d8aac"],
  [
    "lanczos",
    7,
    4,
    "2100696d6ca4abadc98345957b5777a97e9dcf81c77bae3f7b8a565088792ac0966dc5cda6c7bea5d09698c62588984b527e7541a97ba3b39bd79ca1c489948f387eb894a3ba8f7e71022b5c2e855c82b75b949a",
  ],
];

test.each(pillow)("resize is Pillow's: %s to %i x %i", (name, width, height, hex) => {
  expect(Buffer.from(resize(source, width, height, name).data).toString("hex")).toBe(hex);
});

test.each([
  [0, 4],
  [4, -1],
])("a size of %i x %i is refused", (width, height) => {
  expect(() => resize(source, width, height, "bicubic")).toThrow(TypeError);
});
