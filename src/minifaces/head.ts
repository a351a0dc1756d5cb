import { type Colour, luma, mix, multiply, ramp } from "./colour.ts";
import { svg } from "./markup.ts";
import type { AgeGroup, Beard, DrawnPerson, HairColour, HairStyle, IdentityNumber } from "./person.ts";
import type { Scene } from "./scene.ts";

/**
 * A person's head as one picture shows it, in units of the head: the origin is the centre of the face, y points down,
 * and a face is about 40 wide and 50 high.
 */
export interface Head {
  readonly male: boolean;
  readonly age: AgeGroup;
  readonly hairStyle: HairStyle;
  readonly beard: Beard;
  readonly skin: Colour;
  readonly hair: Colour;
  readonly beardColour: Colour;
  readonly lips: Colour;
  /** Half of the face's width and height. */
  readonly width: number;
  readonly height: number;
  /** Half of the width between the lower corners of the face, and of the chin. */
  readonly jaw: number;
  readonly chin: number;
  readonly ear: number;
  /** Horizontal shift of the features as the head turns. */
  readonly shift: number;
  readonly eyes: {
    readonly y: number;
    /** Half of the distance between the centres of the eyes. */
    readonly spacing: number;
    readonly rx: number;
    readonly ry: number;
    readonly tilt: number; // degrees, outer corner up
  };
  readonly brows: { readonly y: number; readonly thickness: number; readonly angle: number };
  readonly nose: { readonly tip: number; readonly width: number; readonly length: number };
  readonly mouth: { readonly y: number; readonly width: number; readonly lip: number };
  /** How far hair stands off the head. */
  readonly volume: number;
  /** Height of the hairline. */
  readonly hairline: number;
  /** Horizontal position of the parting. */
  readonly parting: number;
}

const SKIN_TONES: readonly Colour[] = [0xfde3d2, 0xf6cfae, 0xe6b384, 0xcb8f5c, 0xa26b40, 0x774a2c, 0x543220];
const HAIR: Readonly<Record<HairColour, Colour>> = {
  black: 0x26222b,
  brown: 0x6f4325,
  red: 0xc9562b,
  blonde: 0xebc063,
  grey: 0xc6c9d0,
  pink: 0xee7fb0,
  blue: 0x4a80d8,
  purple: 0x8a5cc2,
};

const GREY = HAIR.grey;
const AGED = 0.72; // share of grey in hair that greys only because a picture shows the person old
const FADED = 0.2; // share of grey in the hair colour of an old person

/** Whether the picture shows hair greyed by an age that is not the person's own. */
export const hasGreyed = (person: DrawnPerson, scene: Pick<Scene, "age">): boolean =>
  scene.age === "old" && person.ageGroup !== "old";

export function headOf(person: DrawnPerson, scene: Scene): Head {
  const { age, expression, yaw } = scene;
  const male = person.gender === "male";
  const [child, old] = [age === "child", age === "old"];
  /** An identity number scaled to `middle - reach` … `middle + reach`. */
  const n = (name: IdentityNumber, middle: number, reach: number): number => middle + reach * person.numbers[name];

  const warmth = person.numbers.skinWarmth;
  const tone = multiply(ramp(SKIN_TONES, n("skinTone", 0.5, 0.5)), 1 + 0.025 * warmth, 1 - 0.005 * warmth, 1 - 0.05 * warmth);
  const skin = old ? mix(tone, 0xbfa693, 0.1) : tone;
  const own = multiply(HAIR[person.hairColour], n("hairTone", 1, 0.12));
  const grey = hasGreyed(person, scene) ? AGED : old ? FADED : 0;
  const hair = withContrast(mix(own, GREY, grey), skin);
  const red = male ? 0xb0564c : 0xcf3350;
  const lips = mix(multiply(skin, 0.8, 0.68, 0.66), red, n("lipRedness", male ? 0.25 : 0.5, male ? 0.2 : 0.4));

  const width = n("faceWidth", male ? 20.2 : 19.6, 3);
  const height = n("faceHeight", 24.6, 3.1) * (child ? 0.9 : 1);
  const opening = n("eyeOpenness", 0.86, 0.12) * (child ? 1.06 : old ? 0.9 : 1);
  const rx = n("eyeSize", 5.35, 0.85) * (child ? 1.12 : 1);
  const ry = rx * opening;
  const eyeY = n("eyeHeight", -0.6, 2.2) + (child ? 3 : 0);
  const thickness = n("browThickness", male ? 2.5 : 1.9, male ? 1.1 : 0.9) * (child ? 0.75 : 1);
  const mouthY = height * n("mouthHeight", 0.6, 0.045);
  const noseLength = n("noseLength", 0.53, 0.13) * (child ? 0.85 : 1); // of the way from the eyes to the mouth
  return {
    male,
    age,
    hairStyle: child && person.hairStyle === "bald" ? "buzz" : person.hairStyle,
    beard: child ? "none" : person.beard,
    skin,
    hair,
    beardColour: withContrast(multiply(hair, 0.9), skin),
    lips,
    width,
    height,
    jaw: width * n("jawWidth", male ? 0.86 : 0.76, 0.22) * (child ? 0.95 : 1),
    chin: width * n("chinWidth", male ? 0.36 : 0.28, 0.16),
    ear: n("earSize", 4.1, 1.7) * (old ? 1.1 : 1),
    shift: yaw * 2.4,
    eyes: {
      y: eyeY,
      spacing: width * n("eyeSpacing", 0.455, 0.06),
      rx,
      ry: ry * (expression === "surprised" ? 1.15 : expression === "smiling" ? 0.94 : expression === "angry" ? 0.86 : 1),
      tilt: n("eyeTilt", 1, 11),
    },
    brows: {
      y: eyeY - ry - n("browHeight", 2.9, 1.2) - thickness / 2 - (expression === "surprised" ? 2.2 : 0),
      thickness,
      angle: n("browAngle", 2, 13) + (expression === "sad" ? -15 : expression === "angry" ? 17 : 0),
    },
    nose: {
      tip: eyeY + (mouthY - eyeY) * noseLength + 1,
      width: n("noseWidth", 3.7, 1.4) * (child ? 0.8 : 1),
      length: (mouthY - eyeY) * noseLength,
    },
    mouth: {
      y: mouthY,
      width: n("mouthWidth", 7.2, 2) * (child ? 0.86 : 1),
      lip: n("lipThickness", male ? 1.7 : 2.3, male ? 0.8 : 1),
    },
    volume: n("hairVolume", 3.6, 1.8),
    hairline: -height * (n("hairline", 0.6, 0.1) + (old && male ? 0.06 : 0)),
    parting: n("hairParting", 0, 0.6),
  };
}

/** The colour or, where it is too close to the skin's, a darker one (a lighter one on dark skin). */
function withContrast(colour: Colour, skin: Colour): Colour {
  const near = LEAST_CONTRAST - Math.abs(luma(colour) - luma(skin));
  if (near <= 0) return colour;
  return luma(skin) > 0.3 ? multiply(colour, 1 - near) : mix(colour, 0xffffff, near);
}
const LEAST_CONTRAST = 0.14;

/** The outline of the face from its right side along the jaw and the chin to its left, as the rest of a path. */
export const jawPath = ({ width: w, height: h, jaw, chin }: Head, drop = 1): string =>
  svg`C${w},${h * 0.42} ${jaw},${h * 0.76 * drop} ${chin},${h * 0.95 * drop} Q0,${h * 1.05 * drop} ${-chin},${h * 0.95 * drop} C${-jaw},${h * 0.76 * drop} ${-w},${h * 0.42} ${-w},${-h * 0.05}`;
