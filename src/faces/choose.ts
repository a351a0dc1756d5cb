import { UserError } from "../core/errors.ts";
import type { Notice } from "../core/notice.ts";
import type { Box, Point } from "./face.ts";
import { areaOf, centreOf, heightOf, holds, sideOf, widthOf } from "./geometry.ts";
import { averageCosine, groupPeople, likeness } from "./people.ts";

/** The face that a user asks for: its index from the left, counted from 0, the largest, or the one at a point in shares of width and height. */
export type FaceWish = number | "largest" | { readonly at: Point };

export interface PhotoToChooseFrom {
  /** Name of the photo in messages. */
  readonly name: string;
  readonly width: number; // pixels
  readonly height: number;
  /** Faces from left to right. */
  readonly faces: readonly { readonly box: Box; readonly vector: Float32Array }[];
  readonly wish?: FaceWish | undefined;
}

export interface ChosenFace {
  /** Index of the face among those of the photo, or undefined if the photo has none. */
  readonly face: number | undefined;
  /** Why this face: asked for, the only one, that of the person of the other photos, or the largest. */
  readonly reason: "asked" | "only" | "same-person" | "largest" | "none";
  /** Average cosine to the faces of the other photos, where there are others. */
  readonly likeness?: number;
}

export interface Choices {
  /** A face of each photo, in the order of the photos. */
  readonly chosen: readonly ChosenFace[];
  readonly notices: readonly Notice[];
}

/** Smaller faces than this share of the largest one do not compete with it. */
const NEARLY_ALIKE = 0.8;

/**
 * Chooses the person's face in each photo: the one asked for; else that of the person who is asked for in other photos, or who is in most of them; else
 * the largest. Whatever was not sure is said in the notices.
 *
 * @param same cosine from which on two faces are one person's; it belongs to the recogniser
 * @throws UserError face/no-such-index, face/not-at-point
 */
export function chooseFaces(photos: readonly PhotoToChooseFrom[], same: number): Choices {
  const notices: Notice[] = [];
  const asked = photos.map(faceAskedFor);
  const person = personOf(photos, asked, same, notices);
  const choices = photos.map((photo, n): Omit<ChosenFace, "likeness"> => {
    if (photo.faces.length === 0) return { face: undefined, reason: "none" };
    if (asked[n] !== undefined) return { face: asked[n], reason: "asked" };
    const member = person.find((each) => each.photo === n) ?? (person.length > 0 ? nearest(photo, n, person, same) : undefined);
    if (photo.faces.length === 1) return { face: 0, reason: "only" };
    if (member !== undefined) return { face: member.face, reason: "same-person" };
    const face = largestOf(photo);
    sayAlike(photo, face, notices);
    return { face, reason: "largest" };
  });
  return { chosen: compared(photos, choices, person, same, notices), notices };
}

/** A face among those of several photos. */
interface Member {
  readonly photo: number;
  readonly face: number;
  readonly side: number;
  readonly vector: Float32Array;
}

const memberOf = (photos: readonly PhotoToChooseFrom[], photo: number, face: number): Member => {
  const { box, vector } = photos[photo]!.faces[face]!;
  return { photo, face, side: sideOf(box), vector };
};

/** Faces of the person that all photos are about: those asked for, or the faces of whoever is in most photos; none if nobody is in two. */
function personOf(
  photos: readonly PhotoToChooseFrom[],
  asked: readonly (number | undefined)[],
  same: number,
  notices: Notice[],
): Member[] {
  const wished = photos.flatMap((_, n) => (asked[n] === undefined ? [] : [memberOf(photos, n, asked[n])]));
  if (wished.length > 0) return wished;
  const all = photos.flatMap(({ faces }, n) => faces.map((_, i) => memberOf(photos, n, i)));
  const people = groupPeople(all, same).map((group) => group.map((i) => all[i]!));
  const [first, ...others] = people.filter(({ length }) => length > 1);
  if (first === undefined) return [];
  const rivals = others
    .filter(({ length }) => length === first.length)
    .filter((each) => each.every(({ photo }) => first.some((one) => one.photo === photo)));
  if (rivals.length > 0)
    notices.push({
      code: "face/several-people",
      message: `${rivals.length + 1} people are in the same ${first.length} photos. The one with the largest faces is taken: ${listed(first, photos)}. Choose another with ${asIndex(photos[rivals[0]![0]!.photo]!.name, rivals[0]![0]!.face)}.`,
    });
  return first;
}

/** The face of a photo that is most like a person, if it is alike. */
function nearest(photo: PhotoToChooseFrom, n: number, person: readonly Member[], same: number): Member | undefined {
  const faces = photo.faces.map(({ box, vector }, face) => ({ photo: n, face, side: sideOf(box), vector }));
  const alike = faces.map((face) => likeness(face, person, same));
  const best = alike.indexOf(Math.max(...alike));
  return alike[best]! >= same ? faces[best] : undefined;
}

const largestOf = ({ faces }: PhotoToChooseFrom): number =>
  faces.reduce((best, { box }, i) => (areaOf(box) > areaOf(faces[best]!.box) ? i : best), 0);

function faceAskedFor(photo: PhotoToChooseFrom): number | undefined {
  const { name, wish, faces, width, height } = photo;
  if (wish === undefined) return undefined;
  if (wish === "largest") return faces.length === 0 ? undefined : largestOf(photo);
  const seen =
    faces.length === 0
      ? "no face was found in it"
      : `it has ${faces.length === 1 ? "one face" : `${faces.length} faces`}: ${faces.map(({ box }, i) => `${i + 1} at ${centreOf(box).map((v, axis) => (v / [width, height][axis]!).toFixed(2))}`).join(", ")}`;
  if (typeof wish === "number") {
    if (wish in faces) return wish;
    throw new UserError(
      "face/no-such-index",
      `There is no face ${wish + 1} in ${name}: ${seen}.`,
      faces.length === 0 ? "Give another photo." : `Faces are counted from the left: name one of 1 to ${faces.length}.`,
    );
  }
  const point: Point = [wish.at[0] * width, wish.at[1] * height];
  const distance = (box: Box): number => Math.hypot(...centreOf(box).map((v, axis) => v - point[axis]!)) / sideOf(box);
  const there = faces.flatMap(({ box }, i) => (holds(withHair(box), point) ? [i] : []));
  const nearestFace = there.reduce<number | undefined>(
    (best, i) => (best === undefined || distance(faces[i]!.box) < distance(faces[best]!.box) ? i : best),
    undefined,
  );
  if (nearestFace !== undefined) return nearestFace;
  throw new UserError(
    "face/not-at-point",
    `There is no face at ${wish.at.join(",")} in ${name}: ${seen}.`,
    faces.length === 0
      ? "Give another photo."
      : "Give a point on a face, as shares of the width and of the height from the upper left corner.",
  );
}

/** A face's box with hair and ears. */
function withHair(box: Box): Box {
  const [x, y] = [widthOf(box) / 4, heightOf(box) / 4];
  return { left: box.left - x, top: box.top - y, right: box.right + x, bottom: box.bottom + y };
}

function sayAlike(photo: PhotoToChooseFrom, face: number, notices: Notice[]): void {
  const side = sideOf(photo.faces[face]!.box);
  const rivals = photo.faces.filter(({ box }) => sideOf(box) >= NEARLY_ALIKE * side).length;
  if (rivals < 2) return;
  const other = face === 0 ? 1 : 0;
  notices.push({
    code: "face/several-alike",
    message: `${photo.name} has ${rivals} faces of nearly the same size, and nothing tells whose is meant. Face ${face + 1} from the left is taken, the largest. Choose another with ${asIndex(photo.name, other)}, or give a second photo of the person alone.`,
  });
}

const asIndex = (name: string, face: number): string => `${name}#${face + 1}`;
const listed = (members: readonly Member[], photos: readonly PhotoToChooseFrom[]): string =>
  members.map(({ photo, face }) => asIndex(photos[photo]!.name, face)).join(", ");

/** Compares each chosen face with those of the other photos, and says which are unlike them. */
function compared(
  photos: readonly PhotoToChooseFrom[],
  choices: readonly Omit<ChosenFace, "likeness">[],
  person: readonly Member[],
  same: number,
  notices: Notice[],
): ChosenFace[] {
  const members = choices.flatMap(({ face }, n) => (face === undefined ? [] : [memberOf(photos, n, face)]));
  const isPerson = ({ photo, face }: Member): boolean => person.some((each) => each.photo === photo && each.face === face);
  const core = members.filter(isPerson);
  const alike = members.map((one) => {
    const rest = (core.length > 1 || (core.length === 1 && !isPerson(one)) ? core : members).filter((each) => each !== one);
    return rest.length === 0
      ? undefined
      : averageCosine(
          one.vector,
          rest.map(({ vector }) => vector),
        );
  });
  const unlike = members.filter((_, i) => alike[i] !== undefined && alike[i]! < same);
  const cosineOf = (one: Member): string => alike[members.indexOf(one)]!.toFixed(2);
  notices.push(...unlikeNotices(photos, members, unlike, cosineOf, same));
  return choices.map((choice, n) => {
    const at = members.findIndex(({ photo }) => photo === n);
    return at < 0 || alike[at] === undefined ? choice : { ...choice, likeness: alike[at] };
  });
}

/** Says which photos show somebody else. */
function unlikeNotices(
  photos: readonly PhotoToChooseFrom[],
  members: readonly Member[],
  unlike: readonly Member[],
  cosineOf: (one: Member) => string,
  same: number,
): Notice[] {
  if (unlike.length === 0) return [];
  const nameOf = ({ photo }: Member): string => photos[photo]!.name;
  const withCosine = shortList(unlike.map((one) => `${nameOf(one)} (${cosineOf(one)})`));
  if (unlike.length === members.length)
    return [
      {
        code: "face/different-people",
        message: `No two photos seem to show the same person: ${withCosine}. From a likeness of ${same} on, faces are taken for one person's. All are used.`,
      },
    ];
  const several = unlike.filter(({ photo }) => photos[photo]!.faces.length > 1);
  const other = several.map((one) => asIndex(nameOf(one), one.face === 0 ? 1 : 0)).slice(0, 1);
  const notices: Notice[] = [
    {
      code: "face/unlike",
      message: `${unlike.length === 1 ? "The face in one photo is" : `The faces in ${unlike.length} photos are`} unlike those of the others: ${withCosine}; one person's likeness is ${same} or more. ${unlike.length === 1 ? "It is" : "They are"} used all the same. Leave out what shows somebody else${other.length > 0 ? `, or choose another face, as with ${other[0]}` : ""}.`,
    },
  ];
  const [second = []] = groupPeople(unlike, same);
  if (second.length > 1)
    notices.push({
      code: "face/different-people",
      message: `The photos seem to show more than one person: ${shortList(second.map((i) => nameOf(unlike[i]!)))} show another one than ${shortList(members.filter((one) => !unlike.includes(one)).map(nameOf))}. Give photos of one person, or mix two on purpose.`,
    });
  return notices;
}

const MOST = 5;
const shortList = (names: readonly string[]): string =>
  names.length <= MOST ? names.join(", ") : `${names.slice(0, MOST).join(", ")} and ${names.length - MOST} more`;
