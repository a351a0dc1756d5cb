import type { z } from "zod";
import { type ErrorCode, UserError } from "../core/errors.ts";
import { checkFromPicture } from "./from-picture.ts";
import { GenerateRequest } from "./generate-request.ts";
import { LoadOptions } from "./load-options.ts";
import { refuseNotYet } from "./not-yet.ts";
import { type Person, peopleOf, type WithPeople } from "./person.ts";
import { type NameOf, plainName, requestError } from "./request-error.ts";
import { withStyle } from "./styles.ts";

export { type GenerateInput, GenerateRequest } from "./generate-request.ts";
export { type LoadInput, LoadOptions } from "./load-options.ts";

/**
 * Checks a request and fills in its defaults.
 * @param nameOf gives the user's name of a value
 * @throws UserError request/unknown-key, and `<subject>/<what is wrong>` such as size/not-multiple-of-8, steps/out-of-range,
 *   prompt/missing, prompt/empty, only-image/out-of-range, scheduler/unknown; merge-step/given-twice, people/given-twice, style/unknown, people/not-yet,
 *   control/not-yet; those of checkFromPicture
 */
export function parseGenerateRequest(value: unknown, nameOf: NameOf = plainName): GenerateRequest {
  const request = parseOptions(GenerateRequest, value, nameOf);
  if (request.startMergeStep !== undefined && request.styleStrength !== undefined)
    throw new UserError(
      "merge-step/given-twice",
      `Both ${nameOf(["startMergeStep"])} and ${nameOf(["styleStrength"])} are given, and both say when the identity comes in.`,
      "Give one of them.",
    );
  if (request.onlyImage !== undefined && request.onlyImage >= request.numImagesPerPrompt)
    throw new UserError(
      "only-image/out-of-range",
      `${nameOf(["onlyImage"])} is ${request.onlyImage}, and ${nameOf(["numImagesPerPrompt"])} is ${request.numImagesPerPrompt}: the last is ${request.numImagesPerPrompt - 1}.`,
      "Count from 0, and give as many pictures as were made at once.",
    );
  if (request.people !== undefined && peopleOf({ ...request, people: [] }).length > 0)
    throw new UserError(
      "people/given-twice",
      `Both people and ${["inputIdImages", "idEmbeds", "idTokens"].map((key) => nameOf([key])).join(", ")} say who the person is.`,
      "Give people alone, or the person without people.",
    );
  checkFromPicture(request, nameOf);
  refuseNotYet(request);
  return withStyle(request);
}

const idPhotos = GenerateRequest.pick({
  inputIdImages: true,
  idEmbeds: true,
  idCrop: true,
  idBackground: true,
  allowSmallFaces: true,
});

/**
 * Checks photos of one person, as `PhotoMaker.encodeIdImages` takes them.
 * @throws UserError id-images/wrong-type, id-images/empty, id-embeds/wrong-type
 */
export const parseIdPhotos = (value: z.input<typeof idPhotos>): z.output<typeof idPhotos> => parseOptions(idPhotos, value);

/**
 * Checks photos to look at, and the faces that are asked for in them.
 * @throws UserError id-images/wrong-type, id-images/empty, people/wrong-type and other faults of people
 */
export function parsePhotosToLookAt(inputIdImages: unknown, face: unknown): Pick<Person, "photos" | "face"> {
  const { inputIdImages: photos } = parseIdPhotos({ inputIdImages } as z.input<typeof idPhotos>);
  const { people } = parseOptions(GenerateRequest.pick({ people: true }), { people: [{ ...(face !== undefined && { face }) }] });
  return { photos, face: people![0]!.face };
}

/**
 * Checks load options and fills in their defaults.
 * @throws UserError request/unknown-key, and `<subject>/<what is wrong>`, as {@link parseGenerateRequest}
 */
export const parseLoadOptions = (value: unknown, nameOf: NameOf = plainName): LoadOptions =>
  parseOptions(LoadOptions, value, nameOf);

/**
 * Checks that models and request fit together, as far as can be known before a file is opened.
 * @throws UserError id-images/missing, id-images/not-wanted, id-embeds/not-wanted, id-tokens/not-wanted, id-tokens/given-twice, those of checkPersonFile
 */
export function checkPhotos(
  adapter: boolean,
  request: WithPeople & Partial<Pick<GenerateRequest, "person" | "mix">>,
  nameOf: NameOf = plainName,
): void {
  const [photosName, embedsName, tokensName] = ["inputIdImages", "idEmbeds", "idTokens"].map((key) => nameOf([key]));
  const people = peopleOf(request);
  checkPersonFile(adapter, request, people.length > 0, nameOf);
  if (request.person !== undefined) return;
  if (!adapter && people.length > 0) {
    const [{ photos, idEmbeds, idTokens }] = people as [(typeof people)[0]];
    const [code, what, option] =
      idTokens !== undefined
        ? (["id-tokens/not-wanted", "ID tokens", tokensName] as const)
        : photos.length === 0 && idEmbeds !== undefined
          ? (["id-embeds/not-wanted", "Face embeddings", embedsName] as const)
          : (["id-images/not-wanted", "Photos", photosName] as const);
    throw new UserError(
      code,
      `${what} are given, but no PhotoMaker adapter that could use them.`,
      `Give the adapter with ${nameOf(["adapter"])}, or leave ${option} out to draw without a person.`,
    );
  }
  if (!adapter) return;
  if (people.length === 0 || people.some(({ photos, idTokens }) => photos.length === 0 && idTokens === undefined))
    throw new UserError("id-images/missing", "There is no photo of the person.", `Give one or more with ${photosName}.`);
  for (const { photos, idEmbeds, idTokens } of people)
    if (idTokens !== undefined && (photos.length > 0 || idEmbeds !== undefined))
      throw new UserError(
        "id-tokens/given-twice",
        `Both ${photos.length > 0 ? photosName : embedsName} and ${tokensName} are given, and both say who the person is.`,
        "Give one of them.",
      );
}

/** @throws UserError person/not-wanted, person/given-twice, mix/nobody, mix/not-one-person, mix/shares */
function checkPersonFile(
  adapter: boolean,
  { person, mix }: Partial<Pick<GenerateRequest, "person" | "mix">>,
  people: boolean,
  nameOf: NameOf,
): void {
  const refuse = (code: ErrorCode, problem: string, remedy: string) => new UserError(code, problem, remedy);
  const [personName, mixName] = [nameOf(["person"]), nameOf(["mix"])];
  if (person !== undefined && !adapter)
    throw refuse(
      "person/not-wanted",
      `A person's file is given, but no PhotoMaker adapter that could use it.`,
      `Give the adapter with ${nameOf(["adapter"])}, or leave ${personName} out to draw without a person.`,
    );
  if (person !== undefined && people)
    throw refuse(
      "person/given-twice",
      `${personName} and photos or ID tokens are given, and both say who the person is.`,
      `Give one of them. To mix two people: ${mixName}.`,
    );
  if (mix !== undefined && person === undefined && !people)
    throw refuse(
      "mix/nobody",
      `${mixName} is given, but no person to mix with.`,
      `Give the first person's photos with ${nameOf(["inputIdImages"])}, or ${personName}.`,
    );
  for (const [i, part] of (mix ?? []).entries()) {
    const ways = [part.photos.length > 0, part.idTokens !== undefined, part.person !== undefined].filter(Boolean).length;
    if (ways === 1) continue;
    throw refuse(
      "mix/not-one-person",
      `Person ${i + 1} of ${mixName} has ${ways === 0 ? "neither photos nor a file" : "more than one of photos, idTokens and a person's file"}.`,
      "Give photos, or ID tokens, or a file that photomaker person wrote.",
    );
  }
  const shares = (mix ?? []).reduce((sum, { share = 0 }) => sum + share, 0);
  if (shares >= 1)
    throw refuse(
      "mix/shares",
      `The shares of ${mixName} are ${shares} together, and leave nothing for the first person.`,
      "Give shares of less than 1 together, such as 0.3.",
    );
}

/**
 * Parses options by their schema.
 * @throws UserError request/unknown-key, and `<subject>/<what is wrong>`
 */
export function parseOptions<T extends z.ZodObject>(schema: T, value: unknown, nameOf: NameOf = plainName): z.output<T> {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  throw requestError(result.error, schema, nameOf);
}
